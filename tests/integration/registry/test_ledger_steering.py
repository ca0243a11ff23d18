"""Words to a job in the ledger, on both databases: what each changes, and what it leaves alone."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Engine

from policy.errors import UnknownName, WrongMoment
from policy.tasks import FaultKind, TakeResult, TakeState
from registry.ledger_steering import SteeredShots
from registry.records import JobRecord, JobState, LeasedShot, ShotCounts, TakeRecord
from registry.unit_of_work import unit_of_work
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

FIRST, SECOND = "shot-00000", "shot-00001"


def pause(engine: Engine, job_id: str, reason: str = "") -> JobRecord:
    with unit_of_work(engine) as work:
        job = work.ledger.pause(job_id, actor="alice", reason=reason)
        work.commit()
    return job


def resume(engine: Engine, job_id: str) -> JobRecord:
    with unit_of_work(engine) as work:
        job = work.ledger.resume(job_id)
        work.commit()
    return job


def eat(engine: Engine, job_id: str, *shots: str) -> SteeredShots:
    with unit_of_work(engine) as work:
        found = work.ledger.eat(job_id, shots, actor="alice", reason="The scene was cut.", now=later(9))
        work.commit()
    return found


def requeue(engine: Engine, job_id: str, *shots: str) -> SteeredShots:
    with unit_of_work(engine) as work:
        found = work.ledger.requeue(job_id, shots)
        work.commit()
    return found


def close(engine: Engine, job_id: str) -> JobRecord:
    with unit_of_work(engine) as work:
        job = work.ledger.close(job_id, later(20))
        work.commit()
    return job


def takes_of(engine: Engine, job_id: str, shot: str) -> list[TakeRecord]:
    with unit_of_work(engine, read_only=True) as work:
        return [take for take in work.ledger.takes(job_id) if take.shot == shot]


def kill(engine: Engine, job_id: str, doomed: Sequence[str]) -> None:
    """Render what is open, with these shots failing until they are given up."""

    def outcome(shot: LeasedShot) -> TakeResult:
        return failed(FaultKind.SHOT)(shot) if shot.name in doomed else made(shot)

    for worker in ("a:1", "b:2", "c:3"):
        chunk = must_lease(engine, job_id, max_batches=10)
        settle(engine, chunk, results_of(chunk, outcome, worker=worker))


def test_a_paused_job_hands_out_nothing_and_what_is_leased_still_settles(store: Store):
    job = submit(store.engine)
    running = must_lease(store.engine, job.job_id)
    paused = pause(store.engine, job.job_id, "Lunch.")
    assert (paused.state, paused.detail) == (JobState.PAUSED, "Paused by alice: Lunch.")
    assert lease(store.engine, job.job_id) is None
    settled = settle(store.engine, running)
    assert (settled.done, settled.job_state) == (8, JobState.PAUSED)
    assert close(store.engine, job.job_id).state is JobState.PAUSED, "half of it is still to be made"
    assert resume(store.engine, job.job_id).state is JobState.RUNNING
    assert render_all(store.engine, job.job_id).counts == ShotCounts(done=16)


def test_pausing_twice_keeps_who_was_first_and_one_that_never_began_waits_again_when_resumed(store: Store):
    job = submit(store.engine)
    first = pause(store.engine, job.job_id, "Lunch.")
    assert pause(store.engine, job.job_id, "Dinner.") == first
    assert resume(store.engine, job.job_id).state is JobState.QUEUED


def test_the_same_order_is_the_paused_job_and_no_second_one(store: Store):
    job = submit(store.engine)
    pause(store.engine, job.job_id)
    again = submit(store.engine)
    assert (again.job_id, again.attached) == (job.job_id, True)


def test_what_is_over_held_or_cancelled_is_not_paused(store: Store):
    over = submit(store.engine)
    render_all(store.engine, over.job_id)
    with pytest.raises(WrongMoment, match="finished and cannot be paused"):
        pause(store.engine, over.job_id)
    held = submit(store.engine, plan_of(24), job_key="held")
    with unit_of_work(store.engine) as work:
        work.ledger.hold(held.job_id, reason="The disk is full.")
        work.commit()
    with pytest.raises(WrongMoment, match="held already: The disk is full"):
        pause(store.engine, held.job_id)
    with unit_of_work(store.engine) as work:
        work.ledger.cancel(held.job_id, actor="alice", now=later(1))
        work.commit()
    with pytest.raises(WrongMoment, match="was cancelled"):
        pause(store.engine, held.job_id)


def test_an_eaten_shot_is_neither_done_nor_failed_and_says_who_and_why(store: Store):
    job = submit(store.engine)
    found = eat(store.engine, job.job_id, FIRST)
    assert found.shots == (FIRST,)
    assert found.job.counts == ShotCounts(queued=15, eaten=1)
    (take,) = takes_of(store.engine, job.job_id, FIRST)
    assert (take.state, take.detail) == (TakeState.EATEN, "Eaten by alice: The scene was cut.")
    ended = render_all(store.engine, job.job_id)
    assert (ended.state, ended.detail) == (JobState.FINISHED, "1 shot eaten.")
    assert ended.counts == ShotCounts(done=15, eaten=1)
    assert ended.counts.missing == 0


def test_the_rest_of_a_batch_is_computed_as_it_was_planned_around_an_eaten_shot(store: Store):
    job = submit(store.engine)
    eat(store.engine, job.job_id, FIRST)
    (batch,) = must_lease(store.engine, job.job_id).batches
    assert len(batch.shots) == 8, "bits depend on the composition"
    assert batch.reuse == (f"{job.job_id}/0/1",), "and nothing of the eaten one is stored"


def test_what_arrives_of_a_shot_that_was_eaten_meanwhile_counts_for_nothing(store: Store):
    job = submit(store.engine, plan_of(8))
    running = must_lease(store.engine, job.job_id)
    eat(store.engine, job.job_id, FIRST)
    settled = settle(store.engine, running)
    assert (settled.done, settled.late) == (7, 1)
    assert close(store.engine, job.job_id).counts == ShotCounts(done=7, eaten=1)


def test_a_batch_of_which_everything_is_eaten_is_never_handed_out(store: Store):
    job = submit(store.engine, plan_of(16))
    eat(store.engine, job.job_id, *[f"shot-{number:05d}" for number in range(8)])
    (batch,) = must_lease(store.engine, job.job_id, max_batches=9).batches
    assert batch.shots[0].name == "shot-00008"


def test_eating_what_a_job_failed_for_finishes_it_and_its_failures_stay_on_record(store: Store):
    job = submit(store.engine, plan_of(8))
    kill(store.engine, job.job_id, [FIRST, SECOND])
    failed_job = close(store.engine, job.job_id)
    assert failed_job.state is JobState.FAILED
    assert eat(store.engine, job.job_id, FIRST).job.state is JobState.FAILED, "another one is still lost"
    ended = eat(store.engine, job.job_id, SECOND).job
    assert (ended.state, ended.detail, ended.ended_at) == (
        JobState.FINISHED,
        "2 shots eaten.",
        failed_job.ended_at,
    )
    takes = takes_of(store.engine, job.job_id, FIRST)
    assert [take.state for take in takes] == [TakeState.FAILED] * 3 + [TakeState.EATEN]
    assert takes[2].fault is FaultKind.SHOT


def test_what_is_made_is_not_eaten_and_a_name_that_is_none_changes_nothing(store: Store):
    job = submit(store.engine)
    settle(store.engine, must_lease(store.engine, job.job_id))
    with pytest.raises(WrongMoment, match="made already"):
        eat(store.engine, job.job_id, "shot-00015", FIRST)
    with pytest.raises(UnknownName, match="ghost"):
        eat(store.engine, job.job_id, "shot-00015", "ghost")
    assert counts(store.engine, job.job_id) == ShotCounts(done=8, queued=8)
    eat(store.engine, job.job_id, "shot-00015")
    assert eat(store.engine, job.job_id, "shot-00015").shots == (), "once is as good as twice"


def test_requeueing_gives_every_shot_that_was_given_up_another_take(store: Store):
    job = submit(store.engine, plan_of(8))
    kill(store.engine, job.job_id, [FIRST, SECOND])
    close(store.engine, job.job_id)
    found = requeue(store.engine, job.job_id)
    assert found.shots == (FIRST, SECOND)
    assert (found.job.state, found.job.counts.queued) == (JobState.RUNNING, 2)
    assert render_all(store.engine, job.job_id).state is JobState.FINISHED
    states = [take.state for take in takes_of(store.engine, job.job_id, FIRST)]
    assert states == [TakeState.FAILED] * 3 + [TakeState.DONE]


def test_requeueing_by_name_leaves_the_others_given_up_and_a_paused_job_paused(store: Store):
    job = submit(store.engine, plan_of(16))
    kill(store.engine, job.job_id, [FIRST, SECOND])
    pause(store.engine, job.job_id)
    found = requeue(store.engine, job.job_id, SECOND)
    assert found.shots == (SECOND,)
    assert found.job.state is JobState.PAUSED
    assert (found.job.counts.queued, found.job.counts.dead) == (1, 1)


def test_an_eaten_shot_that_is_named_is_made_after_all(store: Store):
    job = submit(store.engine, plan_of(8))
    eat(store.engine, job.job_id, FIRST)
    assert render_all(store.engine, job.job_id).counts == ShotCounts(done=7, eaten=1)
    found = requeue(store.engine, job.job_id, FIRST)
    assert (found.job.state, found.job.ended_at) == (JobState.RUNNING, None)
    ended = render_all(store.engine, job.job_id)
    assert (ended.state, ended.detail, ended.counts) == (JobState.FINISHED, "", ShotCounts(done=8))


def test_there_is_nothing_to_requeue_where_nothing_was_given_up_and_what_is_made_stays_made(store: Store):
    job = submit(store.engine, plan_of(8))
    with pytest.raises(WrongMoment, match="is given up"):
        requeue(store.engine, job.job_id)
    assert requeue(store.engine, job.job_id, FIRST).shots == (), "it waits already"
    render_all(store.engine, job.job_id)
    with pytest.raises(WrongMoment, match="made already"):
        requeue(store.engine, job.job_id, FIRST)


def test_a_job_is_not_opened_by_requeueing_while_the_same_order_is_under_way(store: Store):
    job = submit(store.engine, plan_of(8))
    kill(store.engine, job.job_id, [FIRST])
    close(store.engine, job.job_id)
    twin = submit(store.engine, plan_of(8))
    with pytest.raises(WrongMoment, match=twin.job_id):
        requeue(store.engine, job.job_id)


def test_shots_of_a_higher_priority_are_handed_out_first_from_then_on(store: Store):
    job = submit(store.engine, plan_of(32))
    first = must_lease(store.engine, job.job_id)
    with unit_of_work(store.engine) as work:
        found = work.ledger.put_shots_before(job.job_id, ["shot-00030"], 5)
        work.commit()
    assert found.shots == ("shot-00030",)
    order = [must_lease(store.engine, job.job_id).batches[0].number for _ in range(3)]
    assert [first.batches[0].number, *order] == [0, 3, 1, 2]


def test_a_deadline_is_moved_in_the_job_and_in_its_order(store: Store):
    job = submit(store.engine)
    with unit_of_work(store.engine) as work:
        moved = work.ledger.move_deadline(job.job_id, later(3600))
        work.commit()
    assert moved.deadline == later(3600)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.job(job.job_id).deadline == later(3600)
        assert work.ledger.plan(job.job_id).manifest.service.deadline == later(3600)
    with unit_of_work(store.engine) as work:
        assert work.ledger.move_deadline(job.job_id, None).deadline is None
        work.commit()
    render_all(store.engine, job.job_id)
    with pytest.raises(WrongMoment, match="cannot get another deadline"), unit_of_work(store.engine) as work:
        work.ledger.move_deadline(job.job_id, later(7200))


def test_a_job_is_put_before_others_until_it_is_over(store: Store):
    job = submit(store.engine)
    with unit_of_work(store.engine) as work:
        assert work.ledger.put_before(job.job_id, 7).priority == 7
        work.commit()
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.job(job.job_id).priority == 7
    render_all(store.engine, job.job_id)
    with pytest.raises(WrongMoment, match="cannot get another priority"), unit_of_work(store.engine) as work:
        work.ledger.put_before(job.job_id, 8)
