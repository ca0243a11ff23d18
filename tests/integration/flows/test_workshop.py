"""A driver's hold on its chunks, with a real ledger, a real store and benches in this very process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from flows.bootstrap import House, open_house
from flows.chunk_sizes import CHUNK_SECONDS
from flows.settings import load_settings
from flows.workshop import Workshop
from policy.errors import LedgerFault
from registry.records import LeasedChunk
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import takes_of, write_order
from tests.integration.flows.near import NearStation, near_station, open_near


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("RIGHTSTEP_RENDERER", "synthetic")
    opened = open_house(load_settings())
    yield opened
    opened.engine.dispose()


@pytest.fixture
def station(house: House) -> NearStation:
    return near_station(house)


@pytest.fixture
def workshop(house: House, station: NearStation, tmp_path: Path) -> Workshop:
    return open_near(house, station, write_order(tmp_path, 2, tier="interactive"))


def leased(workshop: Workshop) -> LeasedChunk:
    chunk = workshop.lease()
    assert chunk is not None
    return chunk


def fail_once_at(house: House, statement: str) -> None:
    """The next such statement is answered as a database does that is locked too long."""
    left = [statement]

    @event.listens_for(house.engine, "before_cursor_execute")
    def refuse(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if left and text.startswith(left[0]):
            left.clear()
            raise OperationalError(text, {}, Exception("database is locked"))


def statements_of(house: House) -> list[str]:
    """What is sent to the database from now on."""
    sent = list[str]()

    @event.listens_for(house.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        sent.append(text)

    return sent


def test_what_could_not_be_settled_is_settled_at_the_next_try_and_not_rendered_again(
    house: House, workshop: Workshop, station: NearStation
):
    chunk = leased(workshop)
    fail_once_at(house, "UPDATE takes")
    with pytest.raises(LedgerFault):
        workshop.render(chunk.lease)
    assert {take.state.value for take in takes_of(house, workshop.job_id)} == {"leased"}, (
        "nobody else may take it"
    )
    assert workshop.lease() is None

    settled = workshop.render(chunk.lease)

    assert settled.done == 2
    assert station.rendered == len(chunk.batches)
    assert {take.state.value for take in takes_of(house, workshop.job_id)} == {"done"}


def test_a_driver_that_gives_up_leaves_its_chunks_to_the_next(house: House, workshop: Workshop):
    chunk = leased(workshop)
    fail_once_at(house, "UPDATE takes")
    with pytest.raises(LedgerFault):
        workshop.render(chunk.lease)
    workshop.release_all()
    assert {take.state.value for take in takes_of(house, workshop.job_id)} == {"queued"}
    assert workshop.lease() is not None


def test_a_driver_sees_what_others_hold_and_when_it_is_over(house: House, workshop: Workshop):
    assert not workshop.others_are_at_work()
    with unit_of_work(house.engine) as work:
        other = work.ledger.lease_chunk(
            workshop.job_id, holder="elsewhere:1:1", ttl_seconds=3600, max_batches=99, now=house.clock()
        )
        work.commit()
    assert other is not None
    assert workshop.lease() is None
    assert workshop.others_are_at_work()
    with unit_of_work(house.engine) as work:
        work.ledger.release(other)
        work.commit()
    assert not workshop.others_are_at_work()


def quick_then_slow(folder: Path, quick: int, slow: int) -> Path:
    """Few-step shots first, full-step ones after them; the full stack is another one."""
    shots = [
        *({"method": "emoji-64-lcm", "steps": 4, "priority": 1} for _ in range(quick)),
        *({"method": "emoji-64-full", "steps": 40} for _ in range(slow)),
    ]
    shared = {"model": "rightstep/emoji-64", "prompt": "a flat fox"}
    head = {"manifest": {"name": "mixed", "territories": ["WORLD"]}, "defaults": shared}
    lines = [head, *({"name": f"shot-{number}", "seed": number, **shot} for number, shot in enumerate(shots))]
    path = folder / "mixed.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return path


def predicted_seconds(workshop: Workshop, chunk: LeasedChunk) -> float:
    decisions = [workshop.decisions[batch.decision] for batch in chunk.batches]
    return sum(decision.seconds_p50 * decision.batch_size for decision in decisions)


def test_chunks_grow_where_batches_turn_out_to_be_quick_and_a_slower_stack_starts_small_again(
    house: House, station: NearStation, tmp_path: Path
):
    workshop = open_near(house, station, quick_then_slow(tmp_path, 1200, 400))
    first = leased(workshop)
    assert predicted_seconds(workshop, first) <= 1.5 * CHUNK_SECONDS
    workshop.render(first.lease)
    second = leased(workshop)
    assert len(second.batches) > len(first.batches), "the synthetic renderer is quicker than predicted"
    assert second.stack_id == first.stack_id

    workshop.render(second.lease)
    while (chunk := leased(workshop)).stack_id == first.stack_id:
        workshop.render(chunk.lease)
    assert predicted_seconds(workshop, chunk) > CHUNK_SECONDS
    assert len(chunk.batches) == 1, "a batch of forty steps is a chunk by itself"


def test_a_chunk_that_failed_at_once_does_not_pass_for_a_quick_one(
    house: House, station: NearStation, tmp_path: Path
):
    workshop = open_near(house, station, write_order(tmp_path, 1200, tier="interactive"))
    first = leased(workshop)
    station.is_broken = True
    assert workshop.render(first.lease).failed
    assert len(leased(workshop).batches) == len(first.batches)


def test_settling_leases_the_next_chunk_and_giving_up_gives_that_back_too(
    house: House, station: NearStation, tmp_path: Path
):
    workshop = open_near(house, station, write_order(tmp_path, 1200, tier="interactive"))
    workshop.render(leased(workshop).lease)
    with unit_of_work(house.engine, read_only=True) as work:
        assert work.ledger.job(workshop.job_id).counts.leased > 0
    sent = statements_of(house)
    assert leased(workshop).batches
    assert sent == [], "it was there already"
    workshop.release_all()
    with unit_of_work(house.engine, read_only=True) as work:
        assert work.ledger.job(workshop.job_id).counts.leased == 0


def test_a_heartbeat_writes_leases_only_once_a_third_of_them_is_over(house: House, workshop: Workshop):
    leased(workshop)
    sent = statements_of(house)
    workshop.renew()
    workshop.renew()
    assert sum(text.startswith("UPDATE batches") for text in sent) == 1
