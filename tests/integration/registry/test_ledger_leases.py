"""Leases: nobody renders what another holds, and nothing is lost with its holder."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from policy.errors import UnknownName
from registry.database import open_database
from registry.records import JobState, LeasedChunk, ShotCounts
from registry.unit_of_work import unit_of_work
from tests.factories import make_execution_plan, make_manifest, make_menu, make_shot
from tests.integration.registry.ledger_play import (
    counts,
    later,
    lease,
    must_lease,
    plan_of,
    render_all,
    results_of,
    settle,
    submit,
)
from tests.integration.registry.stores import Store


def test_a_lease_is_for_batches_of_one_stack(store: Store):
    manifest = make_manifest(
        shots=(
            *(make_shot(f"full-{number}", seed=number) for number in range(8)),
            *(make_shot(f"fast-{number}", seed=number, method="emoji-64-lcm") for number in range(8)),
        )
    )
    plan = make_execution_plan(manifest=manifest, menu=make_menu())
    stacks = {decision.offer.stack.stack_id for decision in plan.decisions}
    assert len(stacks) == 2, "the claim needs two stacks"
    job = submit(store.engine, plan)
    first = must_lease(store.engine, job.job_id, max_batches=100)
    second = must_lease(store.engine, job.job_id, max_batches=100)
    assert {first.stack_id, second.stack_id} == stacks
    for chunk in (first, second):
        decided = {plan.decisions[batch.decision].offer.stack.stack_id for batch in chunk.batches}
        assert decided == {chunk.stack_id}


def test_the_resident_stack_comes_first_while_it_has_work(store: Store):
    manifest = make_manifest(
        shots=(make_shot("full"), make_shot("fast", method="emoji-64-lcm"), make_shot("full-2", seed=4))
    )
    plan = make_execution_plan(manifest=manifest)
    job = submit(store.engine, plan)
    resident = plan.decisions[plan.shots[1].decision].offer.stack.stack_id
    first = must_lease(store.engine, job.job_id, prefer_stack=resident)
    assert first.stack_id == resident
    then = must_lease(store.engine, job.job_id, prefer_stack=resident)
    assert then.stack_id != resident


def test_what_is_leased_is_not_leased_again(store: Store):
    job = submit(store.engine)
    first = must_lease(store.engine, job.job_id)
    second = must_lease(store.engine, job.job_id, holder="driver-2")
    assert lease(store.engine, job.job_id, holder="driver-3") is None
    assert {batch.number for batch in first.batches}.isdisjoint(batch.number for batch in second.batches)


def drain(engine: Engine, job_id: str, holder: str, ready: threading.Barrier) -> list[str]:
    """Lease and settle until nothing is left; the takes that this holder was given."""
    taken: list[str] = []
    ready.wait()
    while (chunk := lease(engine, job_id, holder=holder, max_batches=2)) is not None:
        taken.extend(shot.take_id for batch in chunk.batches for shot in batch.shots)
        settle(engine, chunk)
    return taken


def test_drivers_at_the_same_time_never_get_the_same_batch(store: Store):
    job = submit(store.engine, plan_of(160))
    ready = threading.Barrier(4)
    engines = [open_database(store.url) for _ in range(4)]
    with ThreadPoolExecutor(4) as drivers:
        running = [
            drivers.submit(drain, engine, job.job_id, f"driver-{number}", ready)
            for number, engine in enumerate(engines)
        ]
        shares = [future.result() for future in running]
    for engine in engines:
        engine.dispose()
    everything = [take for share in shares for take in share]
    assert len(everything) == len(set(everything)) == 160
    assert counts(store.engine, job.job_id) == ShotCounts(done=160)


def test_the_work_of_a_dead_holder_is_leased_again_when_its_lease_runs_out(store: Store):
    job = submit(store.engine, plan_of(8))
    lost = must_lease(store.engine, job.job_id, ttl_seconds=30)
    assert lease(store.engine, job.job_id, now=later(29)) is None
    again = must_lease(store.engine, job.job_id, holder="driver-2", now=later(31))
    assert [batch.number for batch in again.batches] == [batch.number for batch in lost.batches]
    assert again.batches[0].run == 2
    assert again.lease != lost.lease


def test_a_renewed_lease_does_not_run_out(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id, ttl_seconds=30)
    with unit_of_work(store.engine) as work:
        assert work.ledger.renew(chunk, ttl_seconds=30, now=later(20))
        work.commit()
    assert lease(store.engine, job.job_id, now=later(40)) is None


def expire(store: Store, seconds: float) -> int:
    with unit_of_work(store.engine) as work:
        expired = work.ledger.expire_leases(later(seconds))
        work.commit()
    return expired


def test_a_slow_holder_takes_its_lease_back_while_nobody_took_it(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id, ttl_seconds=30)
    assert expire(store, 31) == 1
    assert counts(store.engine, job.job_id) == ShotCounts(queued=8)
    with unit_of_work(store.engine) as work:
        assert work.ledger.renew(chunk, ttl_seconds=30, now=later(32))
        work.commit()
    assert counts(store.engine, job.job_id) == ShotCounts(leased=8)


def test_a_lease_that_another_took_cannot_be_renewed_or_released(store: Store):
    job = submit(store.engine, plan_of(8))
    stale = must_lease(store.engine, job.job_id, ttl_seconds=30)
    must_lease(store.engine, job.job_id, holder="driver-2", now=later(31))
    with unit_of_work(store.engine) as work:
        assert not work.ledger.renew(stale, ttl_seconds=30, now=later(32))
        assert work.ledger.release(stale) == 0
        work.commit()
    assert counts(store.engine, job.job_id) == ShotCounts(leased=8)


def test_released_batches_are_queued_again_and_settled_ones_are_not(store: Store):
    job = submit(store.engine)
    chunk = must_lease(store.engine, job.job_id, max_batches=2)
    settle(store.engine, chunk, results_of(chunk)[:1])
    with unit_of_work(store.engine) as work:
        assert work.ledger.release(chunk) == 1
        work.commit()
    assert counts(store.engine, job.job_id) == ShotCounts(done=8, queued=8)


def test_expiry_leaves_running_leases_alone(store: Store):
    job = submit(store.engine)
    must_lease(store.engine, job.job_id, ttl_seconds=30)
    must_lease(store.engine, job.job_id, ttl_seconds=300)
    assert expire(store, 31) == 1
    assert expire(store, 31) == 0
    assert counts(store.engine, job.job_id) == ShotCounts(queued=8, leased=8)


def test_the_first_lease_starts_the_job_and_later_ones_do_not_start_it_again(store: Store):
    job = submit(store.engine)
    must_lease(store.engine, job.job_id, now=later(5))
    must_lease(store.engine, job.job_id, now=later(50))
    with unit_of_work(store.engine, read_only=True) as work:
        record = work.ledger.job(job.job_id)
    assert (record.state, record.started_at) == (JobState.RUNNING, later(5))


def test_nothing_is_leased_of_a_job_that_is_held_or_over(store: Store):
    job = submit(store.engine)
    with unit_of_work(store.engine) as work:
        work.ledger.hold(job.job_id, reason="A person looks at it.")
        work.commit()
    assert lease(store.engine, job.job_id) is None
    with unit_of_work(store.engine) as work:
        work.ledger.resume(job.job_id)
        work.commit()
    render_all(store.engine, job.job_id)
    assert lease(store.engine, job.job_id) is None


def test_a_job_that_is_not_there_cannot_be_leased(store: Store):
    with pytest.raises(UnknownName, match="no job"):
        lease(store.engine, "20260131-nowhere")


def test_a_leased_batch_carries_all_that_a_render_task_needs(store: Store):
    plan = plan_of(8)
    job = submit(store.engine, plan)
    chunk: LeasedChunk = must_lease(store.engine, job.job_id)
    (batch,) = chunk.batches
    assert batch.task_id == f"{job.job_id}/0/1"
    assert (batch.width, batch.height, batch.frames, batch.decision) == (64, 64, 1, 0)
    planned = [plan.shots[index] for index in plan.batches[0].shots]
    assert [(shot.name, shot.prompt, shot.seed, shot.shot_key) for shot in batch.shots] == [
        (item.shot.name, item.shot.prompt, item.shot.seed, item.shot_key) for item in planned
    ]


def test_leases_of_holders_that_are_gone_are_reclaimed_at_once(store: Store):
    job = submit(store.engine, plan_of(24))
    gone = must_lease(store.engine, job.job_id, holder="gone")
    must_lease(store.engine, job.job_id, holder="alive")
    for expected in (1, 0):
        with unit_of_work(store.engine) as work:
            assert work.ledger.reclaim_leases(lambda holder: holder == "gone") == expected
            work.commit()
    assert counts(store.engine, job.job_id) == ShotCounts(queued=16, leased=8)
    again = must_lease(store.engine, job.job_id, holder="next")
    assert [batch.number for batch in again.batches] == [batch.number for batch in gone.batches]
    assert settle(store.engine, gone).late == 8


def test_nobody_is_reclaimed_when_nothing_is_leased(store: Store):
    submit(store.engine)
    with unit_of_work(store.engine) as work:
        assert work.ledger.reclaim_leases(lambda _holder: True) == 0
