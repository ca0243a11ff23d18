"""Live sessions on record: every segment is chained, the end is written once, and recalls find them."""

import json

import pytest

from policy.errors import LedgerFault, UnknownName
from policy.segments import SegmentChain, broken_at
from registry.audit_walk import verify
from registry.live_records import LiveDraft, LiveSession
from registry.unit_of_work import unit_of_work
from tests.factories import NOW, make_adapter_pin, make_stack
from tests.integration.registry.stores import Store

STACK = make_stack(adapters=(make_adapter_pin(),))
DRAFT = LiveDraft(
    actor="studio",
    recipient="studio/Ann",
    act="host_service_commercial",
    plan_hash="a" * 64,
    stack=STACK,
    method="emoji-64-lcm",
    worker="here:1",
    holder="here:2:3",
    loaded=(("studio/base/model.safetensors", "b" * 64),),
)


def begin(store: Store) -> LiveSession:
    with unit_of_work(store.engine) as work:
        session = work.live.begin(DRAFT, NOW)
        work.commit()
    return session


def deliver(store: Store, session: LiveSession, frames: int, chain: SegmentChain) -> None:
    with unit_of_work(store.engine) as work:
        for number in range(frames):
            chain.add(number, f"{number:064x}", 100, 0.0)
        segment = chain.close()
        assert segment is not None
        work.live.note(session, segment, NOW)
        work.commit()


def end(store: Store, session_id: str, because: str) -> LiveSession:
    with unit_of_work(store.engine) as work:
        ended = work.live.end(session_id, because, NOW, dropped=3)
        work.commit()
    return ended


def test_a_session_is_its_beginning_its_segments_and_its_end(store: Store):
    session, chain = begin(store), SegmentChain()
    deliver(store, session, 5, chain)
    deliver(store, session, 7, chain)
    ended = end(store, session.session_id, "asked")
    assert (ended.frames, ended.bytes_sent, ended.segments, ended.dropped) == (12, 1200, 2, 3)
    assert (ended.head, ended.ended_because) == (chain.head, "asked")
    with unit_of_work(store.engine, read_only=True) as work:
        segments = work.live.segments_of(session.session_id)
        events = work.audit.events(subject=session.session_id)
    assert broken_at(segments) is None
    assert [len(one.frames) for one in segments] == [5, 7]
    told = [(one.event.tag.rpartition(":")[2], json.loads(one.event.payload)) for one in events]
    assert [action for action, _ in told] == ["began", "delivered", "delivered", "ended"]
    assert [facts["hash"] for action, facts in told if action == "delivered"] == [
        one.hash for one in segments
    ]
    assert told[-1][1] | {"frames": 12, "dropped": 3, "head": chain.head, "because": "asked"} == told[-1][1]
    assert verify(store.engine).ok


def test_the_first_end_of_a_session_is_its_end(store: Store):
    session = begin(store)
    first = end(store, session.session_id, "renderer_lost")
    assert end(store, session.session_id, "asked") == first
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.live.open_ones() == ()
        assert len(work.audit.events(subject=session.session_id)) == 2


def test_a_segment_is_written_once(store: Store):
    session, chain = begin(store), SegmentChain()
    deliver(store, session, 2, chain)
    with pytest.raises(LedgerFault):
        deliver(store, session, 2, SegmentChain())
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.live.session(session.session_id).frames == 2


def test_a_session_is_found_by_what_it_ran_on_and_by_what_it_showed(store: Store):
    session, other = begin(store), begin(store)
    deliver(store, session, 3, SegmentChain())
    base, adapter = STACK.pins
    both = {session.session_id, other.session_id}
    with unit_of_work(store.engine, read_only=True) as work:
        for needle in (base.repo, adapter.repo, base.pin_id, STACK.stack_id, base.files[0].sha256):
            assert {one.session_id for one in work.live.touched_by(needle)} == both
        assert [one.session_id for one in work.live.touched_by(f"{2:064x}")] == [session.session_id]
        assert work.live.touched_by("f" * 64) == work.live.touched_by("nobody/nothing") == ()
        with pytest.raises(UnknownName):
            work.live.session("live-nothing")
