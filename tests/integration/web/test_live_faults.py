"""What goes wrong with a live socket: nothing leaks, the place is free again, and the record says why."""

import io
import json
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image
from websockets.sync.client import connect

from flows.bootstrap import House, open_house
from flows.settings import Settings
from rightstep.web.app import build_app
from rightstep.web.live import Canvases
from rightstep.web.live_wire import MOST_SKETCH
from tests.integration.flows.jobs.night import wait_until
from tests.integration.web.desk import HERE, NearDriver, NearPlaces
from tests.integration.web.listening import served
from tests.integration.web.test_live import ended, on_record
from tests.integration.web.watching import BEGIN, Watching, watching


class Held:
    """A house with live sessions, by settings of its own."""

    def __init__(self, home: Path, **settings: Any) -> None:
        facts = {"home": home, "renderer": "synthetic", "actor": "tester", **settings}
        self.house: House = open_house(Settings(**facts), clock=lambda: datetime(2026, 1, 31, tzinfo=UTC))
        self.places = NearPlaces(self.house, 1)
        self.canvases = Canvases(port=self.places)
        self.app: FastAPI = build_app(self.house, driver=NearDriver(self.house), live=self.canvases)

    def is_clean(self) -> bool:
        """Whether nothing is left of any session."""
        return not (self.canvases.runs or self.canvases.watchers or self.places.all[0].is_taken)

    def because(self, session: str) -> str:
        record = ended(self.house, session)
        wait_until("nothing is left of it", self.is_clean)
        return record.ended_because


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Callable[..., Held]]:
    made: list[Held] = []

    def hold(**settings: Any) -> Held:
        made.append(Held(tmp_path / f"home-{len(made)}", **settings))
        return made[-1]

    yield hold
    for one in made:
        one.house.engine.dispose()


def test_a_dropped_socket_ends_its_session_after_the_grace(held: Callable[..., Held]):
    here = held(live_grace_seconds=0)
    with served(here.app) as address, watching(address) as client:
        begun = client.begin()
        client.frame()
        client.drop()
        assert here.because(begun["session"]) == "left"


def test_a_session_is_resumed_by_its_token_and_goes_on_where_it_was(held: Callable[..., Held]):
    here = held(live_grace_seconds=60)
    with served(here.app) as address:
        with watching(address) as client:
            begun = client.begin()
            client.say("change", prompt="a robot")
            last = client.frame_with(1)
            client.drop()
        with watching(address) as again:
            again.say("resume", session=begun["session"], token=begun["token"])
            assert again.until("begun")["change"] == 1
            frame = again.frame()
            assert frame.number > last.number
            assert (frame.prompt, frame.change) == (1, 1)
            again.say("end")
            assert again.closed() == 1000
        assert here.because(begun["session"]) == "asked"


def test_nobody_resumes_without_the_token(held: Callable[..., Held]):
    here = held(live_grace_seconds=60)
    with served(here.app) as address, watching(address) as client:
        begun = client.begin()
        for token in ("", "x" * len(begun["token"])):
            with watching(address) as thief:
                thief.say("resume", session=begun["session"], token=token)
                assert thief.until("refused")["problem"]["type"].endswith("session-unknown")
                assert thief.closed() == 4404
        client.frame()


def test_whoever_comes_back_takes_over_from_a_socket_that_hangs(held: Callable[..., Held]):
    here = held()
    with served(here.app) as address, watching(address) as first:
        begun = first.begin()
        first.frame()
        with watching(address) as second:
            second.say("resume", session=begun["session"], token=begun["token"])
            second.frame()
            assert first.closed() == 4409
            second.frame()
        assert here.because(begun["session"]) == "left"


def test_a_client_that_lags_is_sent_the_newest_frame_and_never_a_queue(held: Callable[..., Held]):
    here = held()
    with served(here.app) as address, watching(address) as client:
        begun = client.begin(fps=30)
        client.say("shown", frame=client.frame().number)
        place = here.places.all[0]
        drawn = len(place.asked)
        wait_until("many more are made", lambda: len(place.asked) > drawn + 20)
        client.say("shown", frame=10**6)  # all that was sent by now
        while client.frame().number < drawn + 20:
            pass
        assert len(client.frames) < 12
        client.say("end")
        client.closed()
        record = ended(here.house, begun["session"])
    assert record.dropped > 10
    assert record.frames == len(client.frames)


def test_a_client_that_never_reads_costs_no_memory_and_holds_nobody_up(held: Callable[..., Held]):
    """Frames of noise fill every buffer on the way; from then on each new one takes the place of the last."""
    here = held(live_grace_seconds=0)
    with served(here.app) as address:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((HERE, int(address.rpartition(":")[2])))
        with connect(f"{address.replace('http', 'ws', 1)}/v1/live", sock=raw, compression=None) as opened:
            client = Watching(opened)
            begun = client.begin(size="512x512")
            opened.send(noise())
            (run, _), place = here.canvases.runs[begun["session"]], here.places.all[0]
            wait_until("frames are dropped", lambda: run.slot.dropped > 20)
            assert len(run.chain._open) < 60  # what was delivered, and is not yet on record
            assert place.is_taken
            client.drop()
        assert here.because(begun["session"]) == "left"


def noise() -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (512, 512), os.urandom(512 * 512 * 3)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        "[]",
        '{"type": "dance"}',
        '{"type": "change", "promt": "a fox"}',
        '{"type": "change", "strength": 0.01}',
        '{"type": "change", "steps": 3}',
        '{"type": "change", "seed": -1}',
        json.dumps({"type": "change", "prompt": "x" * 3_000}),
        "x" * 100_000,
        b"no picture",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
    ],
    ids=range(11),
)
def test_what_cannot_be_read_is_told_and_changes_nothing(held: Callable[..., Held], message: str | bytes):
    here = held()
    with served(here.app) as address, watching(address) as client:
        client.begin()
        client.socket.send(message)
        assert client.until("error")["next_step"]
        frame = client.frame()
        assert (frame.prompt, frame.change) == (0, 0)


def test_garbage_without_end_ends_the_session(held: Callable[..., Held]):
    here = held()
    with served(here.app) as address, watching(address) as client:
        begun = client.begin()
        for _ in range(20):
            client.say("nonsense")
        assert client.closed() == 4400
        assert here.because(begun["session"]) == "garbage"


def test_a_message_that_is_too_large_ends_the_session_unread(held: Callable[..., Held]):
    here = held()
    with served(here.app) as address, watching(address) as client:
        begun = client.begin()
        client.socket.send(b"x" * (MOST_SKETCH + 1))
        assert client.closed() == 1009
        assert here.because(begun["session"]) == "left"


@pytest.mark.parametrize("message", ["nonsense", b"nonsense", '{"type": "end"}'])
def test_a_socket_that_does_not_begin_is_refused(held: Callable[..., Held], message: str | bytes):
    here = held()
    with served(here.app) as address, watching(address) as client:
        client.socket.send(message)
        assert client.until("refused")
        assert client.closed() == 4422
        assert here.is_clean()


def test_a_renderer_that_dies_ends_its_session_and_frees_its_place(held: Callable[..., Held]):
    here = held()
    with served(here.app) as address, watching(address) as client:
        begun = client.begin()
        client.frame()
        here.places.all[0].is_lost = True
        assert client.closed() == 4503
        assert here.because(begun["session"]) == "renderer_lost"
        assert on_record(here.house, begun["session"]).frames == len(client.frames)


@pytest.mark.parametrize(
    ("settings", "because"), [({"live_idle_seconds": 1}, "idle"), ({"live_seconds": 1}, "too_long")]
)
def test_no_session_goes_on_for_ever(held: Callable[..., Held], settings: dict[str, Any], because: str):
    here = held(**settings)
    with served(here.app) as address, watching(address) as client:
        begun = client.begin()
        assert client.closed() == 4408
        assert here.because(begun["session"]) == because


def test_a_house_that_shuts_down_closes_the_record_of_its_sessions(held: Callable[..., Held]):
    here = held()
    with served(here.app) as address:
        client = Watching(connect(f"{address.replace('http', 'ws', 1)}/v1/live", compression=None))
        client.socket.send(json.dumps(BEGIN))
        begun = client.until("begun")
        client.frame()
    assert client.closed() == 1012
    assert on_record(here.house, begun["session"]).ended_because == "shut_down"
