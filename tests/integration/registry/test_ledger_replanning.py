"""Rounds in the ledger, on both databases: what may change, what may not, and what is kept of it."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Engine

from policy.plan import Decision
from policy.replanning import Settled
from policy.tasks import FaultKind
from registry.ledger_replanning import NewSteps
from registry.records import ChangedBatches
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.ledger_play import failed, must_lease, plan_of, results_of, settle, submit
from tests.integration.registry.stores import Store


def make_new_steps(decision: Decision, **changes: Any) -> NewSteps:
    return replace(
        NewSteps(
            before=0,
            after=0,
            batches=100,
            decision=replace(decision, steps=30),
            key_of=lambda shot: f"new key of {shot.name}",
            reason="It is late.",
        ),
        **changes,
    )


def change(engine: Engine, job_id: str, **changes: Any) -> tuple[ChangedBatches, ...]:
    with unit_of_work(engine) as work:
        decision = work.ledger.decisions(job_id)[0]
        changed = work.ledger.change_steps(job_id, [make_new_steps(decision, **changes)])
        work.commit()
    return changed


def batches_of(engine: Engine, job_id: str) -> dict[int, int]:
    """The decision of every batch."""
    with unit_of_work(engine, read_only=True) as work:
        return {shot.batch: shot.decision for shot in work.ledger.shots(job_id)}


def test_queued_batches_are_handed_to_a_new_decision_in_the_order_of_rendering(store: Store):
    job_id = submit(store.engine, plan_of(32)).job_id
    (one,) = change(store.engine, job_id, after=1, batches=2)
    assert (one.before, one.decision, one.batches, one.shots) == (0, 1, 2, 16)
    assert (one.steps_before, one.steps, one.reason) == (40, 30, "It is late.")
    assert batches_of(store.engine, job_id) == {0: 0, 1: 1, 2: 1, 3: 0}
    with unit_of_work(store.engine, read_only=True) as work:
        shots = work.ledger.shots(job_id)
        assert [decision.steps for decision in work.ledger.decisions(job_id)] == [40, 30]
        assert [batch.decision for batch in work.ledger.plan(job_id).batches] == [0, 1, 1, 0]
    assert all((shot.shot_key == f"new key of {shot.name}") == (shot.decision == 1) for shot in shots)


def test_what_is_leased_settled_or_tried_before_stays(store: Store):
    job_id = submit(store.engine, plan_of(40)).job_id
    settle(store.engine, must_lease(store.engine, job_id))
    tried = must_lease(store.engine, job_id)
    settle(store.engine, tried, results_of(tried, failed(FaultKind.WORKER)))
    must_lease(store.engine, job_id, max_batches=2)
    (one,) = change(store.engine, job_id)
    assert one.batches == 2
    assert list(batches_of(store.engine, job_id).values()).count(1) == 2


def test_a_batch_with_a_picture_that_is_made_already_stays(store: Store):
    first = submit(store.engine, plan_of(16))
    settle(store.engine, must_lease(store.engine, first.job_id))  # eight pictures
    again = submit(store.engine, plan_of(20), job_key="another")  # batches of 7, 7 and 6
    (one,) = change(store.engine, again.job_id)
    assert (one.batches, one.shots) == (1, 6)


def test_nothing_left_to_change_changes_nothing(store: Store):
    job_id = submit(store.engine, plan_of(8)).job_id
    must_lease(store.engine, job_id)
    assert change(store.engine, job_id) == ()
    with unit_of_work(store.engine, read_only=True) as work:
        assert len(work.ledger.decisions(job_id)) == 1


def test_standings_tell_what_is_untried_in_flight_and_settled(store: Store):
    job_id = submit(store.engine, plan_of(40)).job_id
    settle(store.engine, must_lease(store.engine, job_id))
    must_lease(store.engine, job_id)
    with unit_of_work(store.engine, read_only=True) as work:
        (one,) = work.ledger.standings(job_id)
    assert (one.decision, one.pictures, one.untried, one.open) == (0, 8, 3, 4)
    assert one.settled == (Settled(device="cpu-2", batches=1, pictures=8, seconds=0.5),)
    assert one.shot.steps is None


def test_rounds_are_kept_in_order(store: Store):
    job_id = submit(store.engine, plan_of(8)).job_id
    changed = change(store.engine, job_id)
    with unit_of_work(store.engine) as work:
        for p95, some in ((90.0, changed), (110.0, ())):
            work.ledger.note_round(job_id, finish=(80.0, p95), left=100.0, changes=some, now=NOW)
        work.commit()
    with unit_of_work(store.engine, read_only=True) as work:
        first, second = work.ledger.rounds(job_id)
    assert (first.number, first.at_risk, first.changes) == (1, False, changed)
    assert (second.number, second.at_risk, second.changes, second.at) == (2, True, (), NOW)
