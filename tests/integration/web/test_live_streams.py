"""Causal streams over a real socket: planned, judged, made ahead, led by other words, and on record."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import WanPipeline, WanTransformer3DModel

from flows.bootstrap import House, open_house
from flows.live import LiveOrder, PlannedLive, planned_live
from flows.pinning import import_model, pin_model
from flows.settings import Settings
from policy.plan import PlanRefusal
from policy.segments import broken_at
from registry.evidence.disclosure import says_machine_made
from registry.unit_of_work import unit_of_work
from rightstep.web.app import build_app
from rightstep.web.live import Canvases
from tests.integration.flows.jobs.night import wait_until
from tests.integration.web.desk import NearDriver, NearPlaces
from tests.integration.web.listening import served
from tests.integration.web.watching import picture_in, png, watching
from tests.tiny_hub import videos as hub
from tests.tiny_hub.causal_models import PICKLE, SELF_FORCING, SMALL, student, write_self_forcing
from workers.causal.stream import stream_of

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)
FIRST, CHUNK = 9, 12  # frames
BEGIN = {"model": SMALL, "prompt": "waves", "fps": None, "only_changes": True}  # a stream goes on by itself


def house_of(home: Path, shelf: Path, renderer: str) -> House:
    settings = Settings(
        home=home, model_folders=(shelf,), renderer=renderer, synthetic_seconds_per_step=0.01, workers=1,
        actor="tester", territories=("WORLD",),
    )  # fmt: skip
    return open_house(settings, clock=lambda: NOW)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house whose streams are synthetic: repositories without a tensor, in their published layout."""
    shelf = hub.put_videos(tmp_path / "hub", hub.SMALL, hub.SELF_FORCING, hub.CAUSVID)
    opened = house_of(tmp_path / "home", shelf, "synthetic")
    for repo in (hub.SMALL, hub.SELF_FORCING, hub.CAUSVID):
        pin_model(opened, repo)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def address(house: House) -> Iterator[str]:
    with answering(house) as found:
        yield found


def answering(house: House):
    return served(build_app(house, driver=NearDriver(house), live=Canvases(port=NearPlaces(house, 1))))


# On the real engine


def test_frames_of_an_imported_student_are_the_engine_s_own_bit_for_bit(tmp_path: Path):
    shelf = write_self_forcing(tmp_path / "hub", layers=2)
    house = house_of(tmp_path / "home", shelf, "diffusers")
    pin_model(house, SMALL)
    import_model(house, SELF_FORCING, PICKLE)
    with answering(house) as address, watching(address) as client:
        begun = client.begin(**BEGIN, seed=7, format="png")
        frames = [client.frame() for _ in range(FIRST + 1)]
        client.say("end")
        assert client.until("ended")["frames"] >= FIRST + 1
    assert (begun["method"], begun["streams"], begun["steps"], begun["fps"]) == (
        "self-forcing-dmd", True, 4, 16,
    )  # fmt: skip
    assert (begun["width"], begun["height"]) == (832, 480)
    assert [frame.number for frame in frames] == list(range(FIRST + 1))
    assert all(says_machine_made(frame.body) for frame in frames)
    found = np.stack([np.asarray(picture_in(frame).convert("RGB")) for frame in frames])
    assert np.array_equal(found, plain_stream(house, shelf))
    house.engine.dispose()


def plain_stream(house: House, shelf: Path) -> np.ndarray:
    """The same frames of the engine, on the base with the student's own weights."""
    planned = planned_live(house, LiveOrder(model=SMALL, prompt="waves", recipient=""))
    assert isinstance(planned, PlannedLive), planned
    assert planned.canvas.stream is not None
    torch.set_num_threads(1)
    parts = {"text_encoder": torch.bfloat16, "transformer": torch.bfloat16, "vae": torch.float32}
    pipeline = WanPipeline.from_pretrained(shelf / SMALL, transformer=None, dtype=parts)
    student(2).save_pretrained(shelf.parent / "student")
    pipeline.transformer = WanTransformer3DModel.from_pretrained(
        shelf.parent / "student", dtype=torch.bfloat16
    )
    pipeline.set_progress_bar_config(disable=True)
    stream = stream_of(pipeline, planned.canvas.stream, prompt="waves", seed=7, size=(832, 480))
    return np.stack([frame.pixels for frame in islice(stream.frames(), FIRST + 1)])


# On the socket


def test_other_words_lead_from_a_chunk_s_first_frame_and_it_is_named(address: str):
    with watching(address) as client:
        client.begin(**BEGIN | {"fps": 30})
        client.frame()
        client.say("change", prompt="a forest")
        first = client.frame_with(1)
        told = client.words[-1]
    assert told == {"type": "applied", "change": 1, "frame": first.number}
    assert (first.number - FIRST) % CHUNK == 0
    assert {(frame.change, frame.prompt) for frame in client.frames[:-1]} == {(0, 0)}
    assert (first.change, first.prompt) == (1, 1)
    colours = [picture_in(frame).convert("RGB").getpixel((400, 470)) for frame in client.frames]
    assert len(set(colours[:-1])) == 1
    assert colours[-1] != colours[0]


def test_no_frame_of_a_stream_is_left_out_however_slow_its_watcher(address: str):
    with watching(address) as client:
        client.begin(**BEGIN | {"fps": 30})
        for _ in range(30):
            client.say("shown", frame=client.frame().number)
            time.sleep(0.07)  # half as fast as they could come
    assert [frame.number for frame in client.frames] == list(range(30))


def test_a_sketch_is_answered_with_an_error_and_the_stream_goes_on(address: str):
    with watching(address) as client:
        client.begin(**BEGIN)
        client.socket.send(png((255, 0, 0)))
        assert "words alone" in client.until("error")["detail"]
        client.say("change", strength=0.5)
        assert "words alone" in client.until("error")["detail"]
        number = client.frame().number
        assert client.frame().number == number + 1


def test_a_stream_is_on_record_as_any_live_session(house: House, address: str):
    with watching(address) as client:
        session = client.begin(**BEGIN)["session"]
        frames = [client.frame() for _ in range(3)]
        client.say("end")
        client.until("ended")

    def ended() -> bool:
        with unit_of_work(house.engine, read_only=True) as work:
            return work.live.session(session).ended_at is not None

    wait_until("it is ended on record", ended)
    with unit_of_work(house.engine, read_only=True) as work:
        record, segments = work.live.session(session), work.live.segments_of(session)
    assert record.method == "self-forcing-dmd"
    assert broken_at(segments) is None
    assert [number for segment in segments for number, _ in segment.frames][:3] == [
        frame.number for frame in frames
    ]


# What may stream


def outcome(house: House, **changes: object) -> PlannedLive | PlanRefusal:
    return planned_live(house, LiveOrder(model=SMALL, prompt="waves", recipient="", **changes))


def test_a_non_commercial_student_is_refused_with_its_clause(house: House):
    found = outcome(house, method="causvid-warp-4step")
    assert isinstance(found, PlanRefusal)
    assert any("cc-by-nc-sa-4.0" in reason.licence for reason in found.reasons)


def test_a_size_that_a_student_was_not_trained_at_is_refused(house: House):
    found = outcome(house, size=(640, 480))
    assert isinstance(found, PlanRefusal)
    assert "832 x 480" in " ".join(reason.detail for reason in found.reasons)


def test_frames_come_at_the_rate_of_the_method_unless_another_is_asked_for(house: House):
    for asked, given in ((None, 16.0), (8.0, 8.0)):
        found = outcome(house, fps=asked)
        assert isinstance(found, PlannedLive), found
        assert found.canvas.fps == given
