"""Live sessions over a real socket: who gets in, what arrives, and what is on record of it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus

from flows.access import revoke_key
from flows.bootstrap import House
from flows.live import PROCESS_ENDED, LiveOrder, PlannedLive, begin_live, end_orphans, plan_live
from flows.recalling import affected, revoke_model
from policy.canvas import CanvasOpened
from policy.segments import broken_at
from registry.evidence.disclosure import says_machine_made
from registry.live_records import LiveSession
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import wait_until
from tests.integration.web.desk import BASE, SHAPES, NearPlaces
from tests.integration.web.listening import served
from tests.integration.web.test_doors import bearing, secret_of
from tests.integration.web.watching import BEGIN, picture_in, png, sha256, watching

RED = (255, 0, 0)


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    with served(app) as found:
        yield found


def on_record(house: House, session: str) -> LiveSession:
    with unit_of_work(house.engine, read_only=True) as work:
        return work.live.session(session)


def ended(house: House, session: str) -> LiveSession:
    """The record of a session, once it is closed."""
    wait_until("it is ended on record", lambda: on_record(house, session).ended_at is not None)
    return on_record(house, session)


def events_of(house: House, session: str) -> list[tuple[str, dict[str, Any]]]:
    with unit_of_work(house.engine, read_only=True) as work:
        return [(one.event.tag, json.loads(one.event.payload)) for one in work.audit.events(subject=session)]


# What arrives


def test_frames_arrive_in_order_marked_and_in_the_size_asked_for(address: str):
    with watching(address) as client:
        begun = client.begin(size="32x48")
        frames = [client.frame() for _ in range(4)]
    assert (begun["method"], begun["steps"], begun["width"], begun["height"]) == ("emoji-64-lcm", 4, 32, 48)
    assert [frame.number for frame in frames] == sorted({frame.number for frame in frames})
    assert frames[0].pts == 0
    assert [frame.pts for frame in frames] == sorted({frame.pts for frame in frames})
    assert {picture_in(frame).size for frame in frames} == {(32, 48)}
    assert all(says_machine_made(frame.body) for frame in frames)


@pytest.mark.parametrize("form", ["webp", "jpeg", "png"])
def test_a_frame_comes_in_the_format_asked_for(address: str, form: str):
    with watching(address) as client:
        client.begin(format=form)
        frame = client.frame()
    assert frame.media_type == f"image/{form}"
    assert picture_in(frame).format == form.upper()
    assert says_machine_made(frame.body)


def test_a_change_is_acknowledged_with_the_first_frame_that_shows_it(address: str):
    with watching(address) as client:
        client.begin()
        before = client.frame()
        client.say("change", prompt="a robot", steps=2)
        told = client.until("applied")
        after = client.frame()
    assert (told["change"], told["frame"]) == (1, after.number)
    assert (before.prompt, before.change) == (0, 0)
    assert (after.prompt, after.change) == (1, 1)
    assert after.body != before.body
    assert all(one.change == 0 for one in client.frames if one.number < after.number)


def test_of_many_changes_between_two_frames_the_last_one_counts(address: str, places: NearPlaces):
    with watching(address) as client:
        client.begin(fps=4)
        client.frame()
        for number in range(20):
            client.say("change", prompt=f"fox {number}")
        client.frame_with(20)
    told = [one.prompt for one in places.all[0].asked if one is not None]
    assert told[-1] == "fox 19"
    assert len(told) < 10, "what was written over was never drawn"


def test_a_sketch_is_drawn_from(address: str):
    with watching(address) as client:
        client.begin()
        before = client.frame()
        client.socket.send(png(RED, (200, 100)))
        after = client.frame_with(1)
    was, now = (picture_in(one).convert("RGB").getpixel((5, 5)) for one in (before, after))
    assert now[0] == was[0]
    assert now[1:] < was[1:]


def test_what_stays_the_same_is_not_drawn_again_where_only_changes_are_asked_for(
    address: str, places: NearPlaces
):
    with watching(address) as client:
        client.begin(only_changes=True)
        client.frame()
        client.say("change", seed=7)
        client.frame_with(1)
        client.say("end")
        client.closed()
    assert len(places.all[0].asked) == 2


def test_a_pause_makes_no_frames_until_it_is_over(address: str, places: NearPlaces):
    with watching(address) as client:
        client.begin()
        client.frame()
        client.say("pause")
        client.say("change", strength=7)  # refused: answered after the pause was heard
        client.until("error")
        drawn = len(places.all[0].asked) + 1  # one may be under way
        client.say("change", seed=9)
        client.say("change", strength=7)
        client.until("error")
        assert len(places.all[0].asked) <= drawn
        client.say("pause", paused=False)
        client.frame_with(1)


# Who gets in


def test_a_ticket_opens_one_socket_and_no_second(address: str, house: House):
    key = secret_of(house, "submit")
    ticket = httpx2.post(f"{address}/v1/live/tickets", headers=bearing(key)).json()["ticket"]
    with watching(address, f"?ticket={ticket}") as client:
        client.begin()
        client.frame()
        with watching(address, f"?ticket={ticket}") as second:
            refused = second.until("refused")
            assert second.closed() == 4401
        client.say("end")
        assert client.closed() == 1000
    assert refused["problem"]["type"].endswith("key-unknown")


def test_a_socket_needs_the_scope_that_orders_need(address: str, house: House):
    for key, code in ((secret_of(house, "read"), 4403), ("rs_nobody", 4401), ("", 4401)):
        with watching(address, **(bearing(key) if key else {})) as client:
            assert client.until("refused")["problem"]["next_step"]
            assert client.closed() == code


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:1", "null"])
def test_a_page_of_another_site_opens_no_socket(address: str, house: House, origin: str):
    key = secret_of(house, "submit")
    with pytest.raises(InvalidStatus) as refused, watching(address, origin=origin, **bearing(key)):
        pass
    assert refused.value.response.status_code == 403


def test_a_page_of_ours_opens_one(address: str):
    with watching(address, origin=address) as client:
        client.begin()
        client.frame()


def test_a_model_that_may_not_be_hosted_is_refused_with_its_clause(address: str, house: House):
    with watching(address) as client:
        client.socket.send(json.dumps({**BEGIN, "loras": [{"repo": SHAPES}]}))
        problem = client.until("refused")["problem"]
        assert client.closed() == 4422
    reasons = [one for one in problem["reasons"] if one["component"] == SHAPES]
    assert reasons[0]["licence"] == "cc-by-nc-4.0"
    assert reasons[0]["clause"].startswith("2(a)(1)")
    with unit_of_work(house.engine, read_only=True) as work:
        assert work.audit.latest(1)[0].event.tag == "job:plan:refused"


def test_a_method_that_does_not_keep_up_is_refused(address: str):
    with watching(address) as client:
        client.socket.send(json.dumps({**BEGIN, "model": f"{BASE}:emoji-64-full"}))
        problem = client.until("refused")["problem"]
        assert client.closed() == 4422
    assert "rung_not_in_tier" in {one["code"] for one in problem["reasons"]}


@pytest.mark.parametrize(
    "wish", [{"steps": 8}, {"steps": 1, "strength": 0.5}, {"fps": 100}, {"size": "65x64"}, {"model": "a/b"}]
)
def test_what_cannot_be_shown_is_refused_and_takes_no_place(
    address: str, places: NearPlaces, wish: dict[str, Any]
):
    with watching(address) as client:
        client.socket.send(json.dumps({**BEGIN, "fps": 10, **wish}))
        assert client.until("refused")["problem"]["next_step"]
        assert client.closed() >= 4400
    assert not places.all[0].is_taken


def test_one_session_too_many_is_refused_and_served_once_there_is_room(address: str, house: House):
    with watching(address) as first:
        begun = first.begin()
        with watching(address) as second:
            second.socket.send(json.dumps(BEGIN))
            assert second.until("refused")["problem"]["type"].endswith("busy")
            assert second.closed() == 4503
        first.say("end")
        assert first.closed() == 1000
    assert ended(house, begun["session"]).ended_because == "asked"
    with watching(address) as third:
        third.begin()
        third.frame()


# What is on record


def test_every_delivered_frame_is_in_a_chain_that_the_audit_log_vouches_for(address: str, house: House):
    key = secret_of(house, "submit")
    with watching(address, **bearing(key)) as client:
        begun = client.begin(user="Ann")
        while len(client.frames) < 120:
            client.frame()
        client.say("end")
        assert client.closed() == 1000
    record = ended(house, begun["session"])
    with unit_of_work(house.engine, read_only=True) as work:
        segments = work.live.segments_of(begun["session"])
    noted = [frame for segment in segments for frame in segment.frames]
    assert noted == [(frame.number, sha256(frame)) for frame in client.frames]
    assert broken_at(segments) is None
    assert (record.frames, record.segments) == (len(client.frames), len(segments))
    assert len(segments) == 2
    assert (record.actor, record.recipient) == ("studio", "studio/Ann")
    assert client.words[-1] == {
        "type": "ended",
        "session": begun["session"],
        "because": "asked",
        "frames": record.frames,
    }
    told = events_of(house, begun["session"])
    assert [tag for tag, _ in told] == [
        "live:session:began",
        *["live:segment:delivered"] * 2,
        "live:session:ended",
    ]
    assert told[-1][1]["head"] == segments[-1].hash
    assert told[0][1]["recipient"] == "studio/Ann"


def test_a_recall_finds_who_was_shown_what(address: str, house: House):
    with watching(address) as client:
        begun = client.begin(user="Ann")
        frame = client.frame()
        client.say("end")
        client.closed()
    ended(house, begun["session"])
    for needle in (BASE, f"{BASE}-lcm-lora", begun["stack_id"], sha256(frame)):
        (session,) = affected(house, needle).live
        assert (session.session_id, session.recipient) == (begun["session"], "tester/Ann")
    assert affected(house, SHAPES).live == affected(house, "0" * 64).live == ()


def test_a_session_whose_process_ended_is_ended_at_the_next_start(house: House):
    planned = plan_live(house, LiveOrder(model=BASE, prompt="a fox", recipient="Ann"))
    assert isinstance(planned, PlannedLive)
    opened = CanvasOpened(worker="here:1", device="cpu", loaded=(), load_seconds=0.0, is_synthetic=True)
    session = begin_live(house, planned, opened)
    assert end_orphans(house) == 1
    record = on_record(house, session.session_id)
    assert (record.ended_because, record.frames) == (PROCESS_ENDED, 0)
    assert end_orphans(house) == 0


def test_a_key_that_is_revoked_ends_its_session(address: str, house: House):
    key = secret_of(house, "submit")
    with watching(address, **bearing(key)) as client:
        begun = client.begin(fps=5)
        client.frame()
        revoke_key(house, key, "lost")
        assert client.closed() == 4401
    assert ended(house, begun["session"]).ended_because == "key_ended"


def test_a_model_that_is_withdrawn_ends_the_sessions_that_show_it(address: str, house: House):
    with watching(address) as client:
        begun = client.begin(fps=5)
        client.frame()
        found = revoke_model(house, f"{BASE}-lcm-lora", "rights holder asked")
        assert client.closed() == 4422
    assert ended(house, begun["session"]).ended_because == "withdrawn"
    assert [one.session_id for one in found.affected.live] == [begun["session"]]


# What is told of it


def test_sessions_and_frames_are_told_to_prometheus(address: str, house: House):
    def told() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        text = httpx2.get(f"{address}/metrics").text
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if "_live_" in sample.name and not sample.name.endswith("_bucket")
        }

    def figure(name: str, **labels: str) -> float | None:
        return told().get((f"rightstep_live_{name}", frozenset(labels.items())))

    assert (figure("places"), figure("sessions_open")) == (1, 0)
    with watching(address) as client:
        session = client.begin()["session"]
        client.frame()
        assert figure("sessions_open") == 1
        client.say("end")
        frames = client.until("ended")["frames"]
    ended(house, session)
    wait_until("it is counted", lambda: figure("sessions_open") == 0)
    method = "emoji-64-lcm"
    assert figure("sessions_ended_total", because="asked") == 1
    assert figure("frames_total", method=method) == frames
    assert figure("first_frame_seconds_count", method=method) == 1
    assert (figure("first_frame_seconds_sum", method=method) or 0) > 0
    assert figure("frames_dropped_total", method=method) == on_record(house, session).dropped
