"""Ending a job: every end has its own state, and going on never renders twice."""

import pytest

from policy.errors import LedgerFault
from policy.tasks import FaultKind, TakeState
from registry.records import JobState, ShotCounts
from registry.unit_of_work import unit_of_work
from tests.integration.registry.ledger_play import (
    counts,
    failed,
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


def cancel(store: Store, job_id: str):
    with unit_of_work(store.engine) as work:
        job = work.ledger.cancel(job_id, actor="alice", now=later(10))
        work.commit()
    return job


def resume(store: Store, job_id: str, *, retry_dead: bool = False):
    with unit_of_work(store.engine) as work:
        job = work.ledger.resume(job_id, retry_dead=retry_dead)
        work.commit()
    return job


def finish(store: Store, job_id: str):
    with unit_of_work(store.engine) as work:
        job = work.ledger.finish(job_id, later(20))
        work.commit()
    return job


def kill_every_shot(store: Store, job_id: str):
    for worker in ("a:1", "b:2", "c:3"):
        chunk = must_lease(store.engine, job_id, max_batches=10)
        settle(store.engine, chunk, results_of(chunk, failed(FaultKind.SHOT), worker=worker))


def test_a_job_with_open_shots_cannot_be_finished(store: Store):
    job = submit(store.engine)
    settle(store.engine, must_lease(store.engine, job.job_id))
    with pytest.raises(LedgerFault, match="still has 8 shots to render"):
        finish(store, job.job_id)


def test_a_lost_lease_never_reads_as_done(store: Store):
    job = submit(store.engine)
    must_lease(store.engine, job.job_id, max_batches=10, ttl_seconds=1)
    with unit_of_work(store.engine) as work:
        work.ledger.expire_leases(later(1000))
        work.commit()
    assert counts(store.engine, job.job_id) == ShotCounts(queued=16)
    with pytest.raises(LedgerFault, match="16 shots"):
        finish(store, job.job_id)


def test_finishing_twice_keeps_the_first_end(store: Store):
    job = submit(store.engine)
    first = render_all(store.engine, job.job_id)
    assert finish(store, job.job_id) == first


def test_a_job_with_dead_shots_ends_as_failed(store: Store):
    job = submit(store.engine, plan_of(8))
    kill_every_shot(store, job.job_id)
    ended = finish(store, job.job_id)
    assert (ended.state, ended.detail) == (JobState.FAILED, "8 of 8 shots could not be made.")


def test_cancelling_ends_what_is_open_and_keeps_what_is_made(store: Store):
    job = submit(store.engine)
    settle(store.engine, must_lease(store.engine, job.job_id))
    running = must_lease(store.engine, job.job_id)
    cancelled = cancel(store, job.job_id)
    assert (cancelled.state, cancelled.detail) == (JobState.CANCELLED, "Cancelled by alice.")
    assert cancelled.counts == ShotCounts(done=8, cancelled=8)
    assert lease(store.engine, job.job_id) is None
    late = settle(store.engine, running)
    assert (late.done, late.late, late.job_state) == (0, 8, JobState.CANCELLED)
    assert cancel(store, job.job_id).ended_at == cancelled.ended_at


def test_what_a_cancelled_job_made_is_reused_by_the_next(store: Store):
    job = submit(store.engine)
    settle(store.engine, must_lease(store.engine, job.job_id))
    cancel(store, job.job_id)
    assert submit(store.engine).counts == ShotCounts(reused=8, queued=8)


def test_a_cancelled_job_is_not_resumed_and_a_finished_one_not_cancelled(store: Store):
    job = submit(store.engine)
    cancel(store, job.job_id)
    with pytest.raises(LedgerFault, match="finished shots are reused"):
        resume(store, job.job_id)
    done = submit(store.engine, job_key="other")
    render_all(store.engine, done.job_id)
    with pytest.raises(LedgerFault, match="nothing is left to cancel"):
        cancel(store, done.job_id)
    with pytest.raises(LedgerFault, match="cannot be held"), unit_of_work(store.engine) as work:
        work.ledger.hold(done.job_id, reason="Too late.")


def test_resuming_a_running_or_finished_job_changes_nothing(store: Store):
    job = submit(store.engine)
    assert resume(store, job.job_id) == job
    ended = render_all(store.engine, job.job_id)
    assert resume(store, job.job_id) == ended


def test_a_failed_job_goes_on_with_new_takes_for_its_dead_shots(store: Store):
    job = submit(store.engine, plan_of(8))
    kill_every_shot(store, job.job_id)
    finish(store, job.job_id)
    resumed = resume(store, job.job_id, retry_dead=True)
    assert (resumed.state, resumed.counts) == (JobState.RUNNING, ShotCounts(queued=8, failed_takes=24))
    assert render_all(store.engine, job.job_id).state is JobState.FINISHED
    with unit_of_work(store.engine, read_only=True) as work:
        takes = work.ledger.takes(job.job_id)
    assert [take.state for take in takes if take.ordinal == 0] == [TakeState.FAILED] * 3 + [TakeState.DONE]


def test_a_failed_job_without_another_try_ends_the_same_way(store: Store):
    job = submit(store.engine, plan_of(8))
    kill_every_shot(store, job.job_id)
    finish(store, job.job_id)
    resume(store, job.job_id)
    assert lease(store.engine, job.job_id) is None
    assert finish(store, job.job_id).state is JobState.FAILED


def test_one_order_never_has_two_unfinished_jobs(store: Store):
    job = submit(store.engine, plan_of(8))
    kill_every_shot(store, job.job_id)
    finish(store, job.job_id)
    twin = submit(store.engine, plan_of(8))
    assert twin.job_id != job.job_id
    with pytest.raises(LedgerFault, match=twin.job_id):
        resume(store, job.job_id, retry_dead=True)


def test_shots_held_for_review_are_released_by_name_and_reason(store: Store):
    job = submit(store.engine, plan_of(8))
    with unit_of_work(store.engine) as work:
        names = ("shot-00001", "shot-00002")
        work.ledger.hold_shots(job.job_id, names, code="burnt", detail="Clipping 3.6x.", now=later(1))
        work.ledger.hold_shots(job.job_id, names[:1], code="burnt", detail="Again.", now=later(2))
        work.commit()
    with unit_of_work(store.engine) as work:
        assert [(held.shot, held.detail) for held in work.ledger.holds(job.job_id)] == [
            ("shot-00001", "Clipping 3.6x."),
            ("shot-00002", "Clipping 3.6x."),
        ]
        assert (
            work.ledger.release_holds(job.job_id, actor="bob", because="It is meant to.", now=later(3)) == 2
        )
        assert work.ledger.release_holds(job.job_id, actor="eve", because="Once more.", now=later(4)) == 0
        work.commit()
    with unit_of_work(store.engine, read_only=True) as work:
        held = work.ledger.holds(job.job_id)
    assert all(item.is_released and item.released_by == "bob" for item in held)


def test_a_shot_that_is_not_there_cannot_be_held(store: Store):
    from policy.errors import UnknownName

    job = submit(store.engine, plan_of(8))
    with pytest.raises(UnknownName, match="'ghost'"), unit_of_work(store.engine) as work:
        work.ledger.hold_shots(job.job_id, ("ghost",), code="burnt", detail="", now=later(1))
