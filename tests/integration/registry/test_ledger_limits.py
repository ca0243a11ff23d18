"""A job that stops by itself, on both databases: after its probes, and at its budget in each of its ways."""

from typing import Any

import pytest

from policy.errors import WrongMoment
from policy.limits import BudgetEnd, Halt, Limits
from registry.records import JobRecord, JobState, LeasedChunk, ShotCounts
from registry.unit_of_work import unit_of_work
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

BATCHES = 5
SHOTS = 8 * BATCHES
PROBED = Limits(probes=True, hold_after_probes=True)


def submitted(store: Store, limits: Limits) -> JobRecord:
    return submit(store.engine, plan_of(SHOTS, limits=limits))


def enforce(store: Store, job_id: str) -> Halt | None:
    with unit_of_work(store.engine) as work:
        found = work.ledger.enforce_limits(job_id, later(50))
        work.commit()
    return found


def state_of(store: Store, job_id: str) -> tuple[JobState, str]:
    with unit_of_work(store.engine, read_only=True) as work:
        job = work.ledger.job(job_id)
    return job.state, job.detail


def resume(store: Store, job_id: str) -> None:
    with unit_of_work(store.engine) as work:
        work.ledger.resume(job_id)
        work.commit()


def numbers(chunk: LeasedChunk | None) -> list[int]:
    return [] if chunk is None else [batch.number for batch in chunk.batches]


def settle_in(store: Store, chunk: LeasedChunk, seconds: float) -> Any:
    return settle(store.engine, chunk, results_of(chunk, total_seconds=seconds))


def test_probes_are_handed_out_first_and_nothing_after_them_until_somebody_has_looked(store: Store):
    job_id = submitted(store, PROBED).job_id
    chunk = must_lease(store.engine, job_id, max_batches=99)
    assert numbers(chunk) == [0, 2, 4]
    assert numbers(lease(store.engine, job_id)) == []
    assert enforce(store, job_id) is None, "they are not made yet"
    settle(store.engine, chunk)
    found = enforce(store, job_id)
    assert found is not None
    assert state_of(store, job_id) == (JobState.HELD, found.detail)
    assert lease(store.engine, job_id) is None
    resume(store, job_id)
    assert enforce(store, job_id) is None, "nobody is asked twice"
    assert numbers(must_lease(store.engine, job_id, max_batches=99)) == [1, 3]


def test_a_pause_in_the_middle_of_the_probes_is_no_approval(store: Store):
    job_id = submitted(store, PROBED).job_id
    first = must_lease(store.engine, job_id)
    with unit_of_work(store.engine) as work:
        work.ledger.pause(job_id, actor="alice", reason="")
        work.commit()
    settle(store.engine, first)
    resume(store, job_id)
    assert numbers(must_lease(store.engine, job_id, max_batches=99)) == [2, 4]
    assert numbers(lease(store.engine, job_id)) == []


def test_an_order_without_probes_is_handed_out_as_it_was_planned(store: Store):
    job_id = submitted(store, Limits()).job_id
    assert numbers(must_lease(store.engine, job_id, max_batches=99)) == [0, 1, 2, 3, 4]


def test_shots_that_are_put_first_stay_in_the_order_of_probes_among_themselves(store: Store):
    job_id = submitted(store, Limits(probes=True)).job_id
    with unit_of_work(store.engine) as work:
        work.ledger.put_shots_before(job_id, ["shot-00008"], 5)
        work.commit()
    assert numbers(must_lease(store.engine, job_id, max_batches=1)) == [1]
    rest = [numbers(must_lease(store.engine, job_id))[0] for _ in range(4)]
    assert rest == [0, 2, 4, 3]


def test_a_spent_budget_holds_a_job_until_it_gets_another(store: Store):
    job_id = submitted(store, Limits(budget_seconds=100.0)).job_id
    first, flying = must_lease(store.engine, job_id), must_lease(store.engine, job_id)
    settle_in(store, first, 60.0)
    assert enforce(store, job_id) is None
    settle_in(store, must_lease(store.engine, job_id), 60.0)
    found = enforce(store, job_id)
    assert found is not None
    assert (found.how, found.code) == (BudgetEnd.HOLD, "budget_spent")
    assert state_of(store, job_id)[0] is JobState.HELD
    assert settle(store.engine, flying).done == 8, "what is in flight ends and counts"
    resume(store, job_id)
    assert enforce(store, job_id) is not None, "it is spent as before"
    with unit_of_work(store.engine) as work:
        job = work.ledger.set_budget(job_id, 1000.0)
        work.commit()
    assert (job.budget_seconds, job.budget_end) == (1000.0, BudgetEnd.HOLD)
    resume(store, job_id)
    assert enforce(store, job_id) is None
    assert render_all(store.engine, job_id).counts == ShotCounts(done=SHOTS)


def test_a_job_that_finishes_at_its_budget_ends_with_what_is_in_flight(store: Store):
    job_id = submitted(store, Limits(budget_seconds=1.0, budget_end=BudgetEnd.FINISH)).job_id
    first, flying = must_lease(store.engine, job_id), must_lease(store.engine, job_id)
    settle_in(store, first, 60.0)
    found = enforce(store, job_id)
    assert found is not None
    assert state_of(store, job_id) == (JobState.RUNNING, found.detail)
    assert counts(store.engine, job_id) == ShotCounts(done=8, leased=8, cancelled=SHOTS - 16)
    assert lease(store.engine, job_id) is None
    assert enforce(store, job_id) is None, "once is enough"
    assert settle(store.engine, flying).done == 8
    with unit_of_work(store.engine) as work:
        ended = work.ledger.close(job_id, later(60))
        work.commit()
    assert (ended.state, ended.detail) == (JobState.CANCELLED, found.detail)
    assert ended.counts == ShotCounts(done=16, cancelled=SHOTS - 16)


def test_a_job_that_stops_at_its_budget_is_over_at_once(store: Store):
    job_id = submitted(store, Limits(budget_seconds=1.0, budget_end=BudgetEnd.STOP)).job_id
    first, flying = must_lease(store.engine, job_id), must_lease(store.engine, job_id)
    settle_in(store, first, 60.0)
    found = enforce(store, job_id)
    assert found is not None
    assert state_of(store, job_id) == (JobState.CANCELLED, found.detail)
    assert settle(store.engine, flying).late == 8
    assert counts(store.engine, job_id) == ShotCounts(done=8, cancelled=SHOTS - 8)
    with pytest.raises(WrongMoment, match="was cancelled"), unit_of_work(store.engine) as work:
        work.ledger.set_budget(job_id, 9.0)


def test_a_budget_may_come_and_go_while_a_job_runs(store: Store):
    job_id = submitted(store, Limits()).job_id
    settle_in(store, must_lease(store.engine, job_id), 60.0)
    assert enforce(store, job_id) is None
    with unit_of_work(store.engine) as work:
        work.ledger.set_budget(job_id, 10.0, BudgetEnd.HOLD)
        assert work.ledger.spent_seconds(job_id) == 60.0
        work.ledger.set_budget(job_id, None)
        assert work.ledger.enforce_limits(job_id, later(1)) is None
        work.commit()
