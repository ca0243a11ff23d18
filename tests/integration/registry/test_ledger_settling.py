"""Settling: lost is never done, stale never overwrites, and failures are somebody's."""

from dataclasses import replace

import pytest

from policy.errors import LedgerFault, UnknownName
from policy.tasks import FaultKind, TakeResult, TakeState
from registry.ledger_blame import SHOT_FAULTS
from registry.records import JobState, LeasedShot, ShotCounts
from registry.unit_of_work import unit_of_work
from tests.factories import make_artefact
from tests.integration.registry.ledger_play import (
    counts,
    failed,
    later,
    lease,
    made,
    must_lease,
    plan_of,
    render_all,
    results_of,
    settle,
    submit,
)
from tests.integration.registry.stores import Store


def only_the_first(kind: FaultKind):
    def outcome(shot: LeasedShot) -> TakeResult:
        return failed(kind)(shot) if shot.name == "shot-00000" else made(shot)

    return outcome


def test_made_pictures_are_done(store: Store):
    job = submit(store.engine, plan_of(8))
    settled = settle(store.engine, must_lease(store.engine, job.job_id), now=later(9))
    assert (settled.done, settled.failed, settled.late) == (8, 0, 0)
    with unit_of_work(store.engine, read_only=True) as work:
        shot, take = work.ledger.shots(job.job_id)[0], work.ledger.takes(job.job_id)[0]
    assert shot.artefact is not None
    assert shot.artefact.sha256 == make_artefact(shot.shot_key).sha256 == take.artefact_sha256
    assert shot.artefact.figures is not None
    assert (take.worker, take.run, take.settled_at, take.seconds) == ("here:4711", 1, later(9), 0.5)


def test_a_take_without_a_picture_is_never_done(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    settled = settle(store.engine, chunk, results_of(chunk, lambda shot: replace(made(shot), artefact=None)))
    assert (settled.done, settled.requeued) == (0, 8)
    assert counts(store.engine, job.job_id) == ShotCounts(queued=8)


def test_a_result_that_leaves_takes_out_leaves_them_queued(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    (result,) = results_of(chunk)
    settle(store.engine, chunk, [replace(result, takes=result.takes[:3])])
    assert counts(store.engine, job.job_id) == ShotCounts(done=3, queued=5)
    (batch,) = must_lease(store.engine, job.job_id).batches
    assert len(batch.reuse) == 3


def test_settling_twice_changes_nothing(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    settle(store.engine, chunk)
    again = settle(store.engine, chunk)
    assert (again.done, again.late) == (0, 8)
    assert counts(store.engine, job.job_id) == ShotCounts(done=8)


def test_results_of_a_stale_lease_are_late_and_overwrite_nothing(store: Store):
    job = submit(store.engine, plan_of(8))
    stale = must_lease(store.engine, job.job_id, ttl_seconds=30)
    newer = must_lease(store.engine, job.job_id, holder="driver-2", now=later(31))
    settled = settle(store.engine, stale, now=later(32))
    assert (settled.done, settled.late) == (0, 8)
    assert counts(store.engine, job.job_id) == ShotCounts(leased=8)
    assert settle(store.engine, newer, now=later(33)).done == 8
    with unit_of_work(store.engine, read_only=True) as work:
        assert {take.run for take in work.ledger.takes(job.job_id)} == {2}


def test_pictures_of_a_stale_lease_are_not_lost(store: Store):
    job = submit(store.engine, plan_of(8))
    stale = must_lease(store.engine, job.job_id, ttl_seconds=30)
    must_lease(store.engine, job.job_id, holder="driver-2", now=later(31))
    settle(store.engine, stale, now=later(32))
    with unit_of_work(store.engine) as work:
        work.ledger.cancel(job.job_id, actor="alice", now=later(33))
        work.commit()
    assert submit(store.engine, plan_of(8)).counts == ShotCounts(reused=8)


def test_a_lease_that_ran_out_but_nobody_took_still_settles(store: Store):
    job = submit(store.engine, plan_of(8))
    slow = must_lease(store.engine, job.job_id, ttl_seconds=30)
    with unit_of_work(store.engine) as work:
        work.ledger.expire_leases(later(60))
        work.commit()
    assert settle(store.engine, slow, now=later(61)).done == 8


def test_a_second_digest_for_a_shot_is_recorded_and_nothing_breaks(store: Store):
    first = submit(store.engine, plan_of(8))
    render_all(store.engine, first.job_id)
    again = submit(store.engine, plan_of(8), kept=lambda _sha256: False)
    chunk = must_lease(store.engine, again.job_id)

    def otherwise(shot: LeasedShot) -> TakeResult:
        other = make_artefact("other bits of " + shot.shot_key)
        return replace(made(shot), artefact=other) if shot.name == "shot-00003" else made(shot)

    settled = settle(store.engine, chunk, results_of(chunk, otherwise))
    with unit_of_work(store.engine, read_only=True) as work:
        now, before = work.ledger.shots(again.job_id)[3], work.ledger.shots(first.job_id)[3]
    assert settled.done == 8
    assert settled.second_digests == (now.shot_key,)
    assert now.artefact is not None
    assert before.artefact is not None
    assert now.artefact.sha256 != before.artefact.sha256


def test_a_failed_shot_gets_another_take_in_the_same_batch(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    settled = settle(store.engine, chunk, results_of(chunk, only_the_first(FaultKind.SHOT)))
    assert (settled.done, settled.failed, settled.dead) == (7, 1, 0)
    assert counts(store.engine, job.job_id) == ShotCounts(done=7, queued=1, failed_takes=1)
    (batch,) = must_lease(store.engine, job.job_id).batches
    assert [shot.name for shot in batch.shots] == [shot.name for shot in chunk.batches[0].shots]
    assert [shot.name for shot in batch.shots if not shot.is_settled] == ["shot-00000"]
    assert batch.shots[0].take_id == f"{job.job_id}/0/2"


def fail_until_dead(store: Store, job_id: str, workers: list[str], kind: FaultKind = FaultKind.SHOT) -> int:
    """How often the first shot failed before it was given up, or all the workers were used."""
    for attempt, worker in enumerate(workers, start=1):
        chunk = must_lease(store.engine, job_id)
        settled = settle(store.engine, chunk, results_of(chunk, only_the_first(kind), worker=worker))
        if settled.dead:
            return attempt
    return 0


def test_a_shot_that_fails_on_three_workers_is_dead(store: Store):
    job = submit(store.engine, plan_of(8))
    assert fail_until_dead(store, job.job_id, ["a:1", "b:2", "b:2", "c:3"]) == 4
    assert counts(store.engine, job.job_id) == ShotCounts(done=7, dead=1, failed_takes=3)
    assert lease(store.engine, job.job_id) is None
    with unit_of_work(store.engine, read_only=True) as work:
        shot = work.ledger.shots(job.job_id)[0]
    assert (shot.state, shot.detail, shot.attempts) == (TakeState.DEAD, "It went wrong.", 4)


def test_a_shot_that_kills_three_workers_is_dead_too(store: Store):
    job = submit(store.engine, plan_of(8))
    assert fail_until_dead(store, job.job_id, ["a:1", "b:2", "c:3"], FaultKind.WORKER) == 3


def test_a_house_with_one_worker_gives_a_shot_up_after_enough_tries(store: Store):
    job = submit(store.engine, plan_of(8))
    assert fail_until_dead(store, job.job_id, ["a:1"] * 10) == SHOT_FAULTS


def test_a_full_disk_blames_nobody(store: Store):
    job = submit(store.engine, plan_of(8))
    for worker in ("a:1", "b:2", "c:3", "d:4", "e:5", "f:6"):
        chunk = must_lease(store.engine, job.job_id)
        settled = settle(
            store.engine, chunk, results_of(chunk, only_the_first(FaultKind.STORAGE), worker=worker)
        )
        assert (settled.storage_faults, settled.dead) == (1, 0)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.worker_faults(job.job_id) == ()
    assert render_all(store.engine, job.job_id).state is JobState.FINISHED


def test_an_interrupted_take_is_queued_again_without_an_attempt(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    settled = settle(store.engine, chunk, results_of(chunk, failed(FaultKind.CANCELLED)))
    assert (settled.requeued, settled.failed) == (8, 0)
    assert counts(store.engine, job.job_id) == ShotCounts(queued=8)


def test_too_many_dead_shots_hold_the_job(store: Store):
    job = submit(store.engine, plan_of(16, max_failed_shots=7))
    states = []
    for worker in ("a:1", "b:2", "c:3"):
        chunk = must_lease(store.engine, job.job_id)
        results = results_of(chunk, failed(FaultKind.SHOT), worker=worker)
        states.append(settle(store.engine, chunk, results).job_state)
    assert states == [JobState.RUNNING, JobState.RUNNING, JobState.HELD]
    assert lease(store.engine, job.job_id) is None
    with unit_of_work(store.engine, read_only=True) as work:
        assert "8 shots are given up" in work.ledger.job(job.job_id).detail


def test_as_many_dead_shots_as_the_manifest_allows_do_not_hold_it(store: Store):
    job = submit(store.engine, plan_of(16, max_failed_shots=8))
    for worker in ("a:1", "b:2", "c:3"):
        chunk = must_lease(store.engine, job.job_id)
        settle(store.engine, chunk, results_of(chunk, failed(FaultKind.SHOT), worker=worker))
    assert lease(store.engine, job.job_id) is not None


def test_a_faulty_picture_is_never_kept_for_reuse(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    burnt = results_of(
        chunk, lambda shot: replace(made(shot), fault=FaultKind.SHOT, detail="It is all black.")
    )
    assert settle(store.engine, chunk, burnt).failed == 8
    with unit_of_work(store.engine) as work:
        work.ledger.cancel(job.job_id, actor="alice", now=later(1))
        work.commit()
    assert submit(store.engine, plan_of(8)).counts == ShotCounts(queued=8)


def test_a_result_under_another_shots_key_is_refused_as_a_whole(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    (result,) = results_of(chunk)
    swapped = (replace(result.takes[0], shot_key=result.takes[1].shot_key), *result.takes[1:])
    with pytest.raises(LedgerFault, match="another shot's key"):
        settle(store.engine, chunk, [replace(result, takes=swapped)])
    assert counts(store.engine, job.job_id) == ShotCounts(leased=8)


def test_a_result_of_another_chunk_is_refused(store: Store):
    job = submit(store.engine)
    first, second = must_lease(store.engine, job.job_id), must_lease(store.engine, job.job_id)
    with pytest.raises(LedgerFault, match="not of this chunk"):
        settle(store.engine, first, results_of(second))


def test_failures_are_told_by_worker_and_stack(store: Store):
    job = submit(store.engine)
    for worker in ("bad:1", "bad:1", "good:2"):
        chunk = must_lease(store.engine, job.job_id)
        outcome = failed(FaultKind.SHOT) if worker == "bad:1" else only_the_first(FaultKind.SHOT)
        settle(store.engine, chunk, results_of(chunk, outcome, worker=worker))
    with unit_of_work(store.engine, read_only=True) as work:
        faults = work.ledger.worker_faults(job.job_id)
    assert [(fault.worker, fault.shots) for fault in faults] == [("bad:1", 8), ("good:2", 1)]


def test_a_chunk_of_a_job_that_is_not_there_is_refused(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    with pytest.raises(UnknownName, match="no job"):
        settle(store.engine, replace(chunk, job_id="20260131-nowhere"))


def test_settling_no_results_changes_nothing(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    assert settle(store.engine, chunk, []).job_state is JobState.RUNNING
    assert counts(store.engine, job.job_id) == ShotCounts(leased=8)
