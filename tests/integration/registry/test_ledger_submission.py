"""Submitting: one transaction, one unfinished job per order, nothing rendered that is kept already."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from policy.errors import LedgerFault, UnknownName
from policy.plan import PlannedBatch
from policy.tasks import TakeState
from registry import tables
from registry.ledger_submission import FirstLease, Submission
from registry.records import JobState, LeasedBatch, ShotCounts
from registry.unit_of_work import unit_of_work
from tests.factories import (
    BASE,
    NOW,
    make_execution_plan,
    make_input,
    make_manifest,
    make_menu,
    make_model_pin,
    make_offer,
    make_service,
    make_shot,
    make_stack,
)
from tests.integration.registry.ledger_play import (
    counts,
    must_lease,
    plan_of,
    render_all,
    results_of,
    settle,
    submit,
)
from tests.integration.registry.stores import Store


def test_a_job_keeps_everything_that_was_submitted(store: Store):
    plan = plan_of(16, max_failed_shots=2)
    job = submit(store.engine, plan)
    assert (job.state, job.attached, job.name) == (JobState.QUEUED, False, "night")
    assert (job.owner, job.actor, job.recipients) == ("studio", "alice", ("client",))
    assert job.labels == (("show", "foxes"),)
    assert (job.plan_hash, job.max_failed_shots, job.submitted_at) == (plan.plan_hash, 2, NOW)
    assert job.counts == ShotCounts(queued=16)


def test_the_plan_comes_back_as_it_was(store: Store):
    manifest = make_manifest(
        shots=(
            make_shot("fox", seed=2**64 - 1, prompt="ein Füchslein 🦊", where="night.toml: shots[0]"),
            make_shot("owl", steps=30, guidance=4.5, method="emoji-64-full", priority=-3),
            make_shot("elk", inputs=(make_input(), make_input(role="mask")), negative="blur"),
        ),
        service=make_service(deadline=NOW.replace(day=1, month=2)),
        labels=(("show", "foxes"), ("show", "owls")),
    )
    plan = make_execution_plan(manifest=manifest)
    job = submit(store.engine, plan)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.plan(job.job_id) == plan
        assert work.ledger.decisions(job.job_id) == plan.decisions


def test_the_same_unfinished_order_attaches_to_its_job(store: Store):
    first = submit(store.engine)
    second = submit(store.engine)
    assert second.job_id == first.job_id
    assert second.attached
    assert second.counts.shots == 16


def test_a_finished_order_makes_a_new_job_of_reused_shots(store: Store):
    first = submit(store.engine)
    assert render_all(store.engine, first.job_id).state is JobState.FINISHED
    again = submit(store.engine)
    assert again.job_id != first.job_id
    assert again.counts == ShotCounts(reused=16)
    assert render_all(store.engine, again.job_id).state is JobState.FINISHED


def test_an_artefact_that_is_gone_is_not_reused(store: Store):
    first = submit(store.engine)
    render_all(store.engine, first.job_id)
    with unit_of_work(store.engine, read_only=True) as work:
        gone = {shot.artefact.sha256 for shot in work.ledger.shots(first.job_id)[:3] if shot.artefact}
    again = submit(store.engine, kept=lambda sha256: sha256 not in gone)
    assert again.counts == ShotCounts(queued=3, reused=13)


def test_a_partly_reused_batch_keeps_its_composition(store: Store):
    first = submit(store.engine, plan_of(16))
    render_all(store.engine, first.job_id)
    with unit_of_work(store.engine, read_only=True) as work:
        gone = work.ledger.shots(first.job_id)[0].artefact
    assert gone is not None
    again = submit(store.engine, kept=lambda sha256: sha256 != gone.sha256)
    (batch,) = must_lease(store.engine, again.job_id, max_batches=10).batches
    assert len(batch.shots) == 8
    assert len(batch.reuse) == 7
    assert [shot.name for shot in batch.shots if not shot.is_settled] == ["shot-00000"]


def test_reuse_crosses_jobs_and_orders(store: Store):
    render_all(store.engine, submit(store.engine, plan_of(16), job_key="one").job_id)
    larger = submit(store.engine, plan_of(24), job_key="two")
    assert larger.counts == ShotCounts(reused=16, queued=8)


def test_nothing_of_a_job_is_written_before_the_commit(store: Store):
    with unit_of_work(store.engine) as work:
        work.ledger.submit(
            plan_of(16),
            job_key="night",
            actor="alice",
            owner="studio",
            labels=(),
            recipients=(),
            kept=lambda _sha256: True,
            now=NOW,
        )
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.jobs() == ()


def test_a_plan_that_leaves_a_shot_without_a_batch_is_refused(store: Store):
    plan = plan_of(16)
    with pytest.raises(LedgerFault, match="without a batch"):
        submit(store.engine, replace(plan, batches=plan.batches[1:]))
    doubled = (*plan.batches, PlannedBatch(decision=0, shots=(0,)))
    with pytest.raises(LedgerFault, match="'shot-00000' is in two batches"):
        submit(store.engine, replace(plan, batches=doubled))


def test_an_empty_plan_is_refused(store: Store):
    with pytest.raises(LedgerFault, match="without a batch"):
        submit(store.engine, replace(plan_of(1), shots=(), batches=()))


def test_a_job_is_found_by_a_prefix_that_only_it_has(store: Store):
    job = submit(store.engine)
    other = submit(store.engine, job_key="other")
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.job(job.job_id) == job
        shared = "20260131-"
        with pytest.raises(UnknownName, match="Several jobs"):
            work.ledger.job(shared)
        with pytest.raises(UnknownName, match="no job 'elsewhere'"):
            work.ledger.job("elsewhere")
        with pytest.raises(UnknownName, match="no job"):
            work.ledger.job("%")
        assert {found.job_id for found in work.ledger.jobs()} == {job.job_id, other.job_id}
        assert work.ledger.jobs(states=(JobState.FINISHED,)) == ()


def test_the_most_urgent_shots_are_rendered_first(store: Store):
    shots = (
        *(make_shot(f"calm-{number}", seed=number) for number in range(8)),
        *(make_shot(f"late-{number}", seed=100 + number, priority=5) for number in range(8)),
    )
    plan = make_execution_plan(manifest=make_manifest(shots=shots))
    job = submit(store.engine, plan)
    (batch,) = must_lease(store.engine, job.job_id).batches
    assert any(shot.name.startswith("late") for shot in batch.shots)


def test_shots_and_takes_tell_where_each_one_stands(store: Store):
    job = submit(store.engine)
    settle(store.engine, must_lease(store.engine, job.job_id))
    must_lease(store.engine, job.job_id)
    assert counts(store.engine, job.job_id) == ShotCounts(done=8, leased=8)
    with unit_of_work(store.engine, read_only=True) as work:
        shots, takes = work.ledger.shots(job.job_id), work.ledger.takes(job.job_id)
    assert [shot.state for shot in shots] == [TakeState.DONE] * 8 + [TakeState.LEASED] * 8
    assert [take.state for take in takes] == [shot.state for shot in shots]
    assert all((shot.artefact is not None) == (shot.state is TakeState.DONE) for shot in shots)
    assert [take.take_id for take in takes] == [shot.take_id for shot in shots]


def test_a_job_that_is_not_there_has_no_plan(store: Store):
    with unit_of_work(store.engine, read_only=True) as work:
        for ask in (work.ledger.header, work.ledger.decisions, work.ledger.plan):
            with pytest.raises(UnknownName, match="rightstep job list"):
                ask("20260131-nowhere")


def test_a_stack_without_files_is_submitted_too(store: Store):
    bare = make_stack(base=make_model_pin(files=()))
    plan = make_execution_plan(menu=make_menu(offers=(make_offer(stack=bare),)))
    job = submit(store.engine, plan)
    assert job.counts == ShotCounts(queued=2)
    with unit_of_work(store.engine, read_only=True) as work:
        assert {one.offer.stack.stack_id for one in work.ledger.decisions(job.job_id)} == {bare.stack_id}
        parts = select(tables.stack_parts.c.repo).where(tables.stack_parts.c.stack_id == bare.stack_id)
        assert work.connection.scalars(parts).all() == [BASE]


def test_rows_that_a_database_refuses_leave_nothing(store: Store):
    plan = plan_of(16)
    twice = replace(plan.shots[0], shot=replace(plan.shots[0].shot, name=plan.shots[1].shot.name))
    with pytest.raises(LedgerFault, match="contradicts what it holds"):
        submit(store.engine, replace(plan, shots=(twice, *plan.shots[1:])))
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.jobs() == ()


@pytest.mark.parametrize("most", [1, 3, 64])
def test_what_is_leased_at_submission_is_what_would_be_leased_right_after_it(store: Store, most: int):
    plan = plan_of(32)
    first = must_lease(store.engine, submit(store.engine, plan).job_id, max_batches=2)
    settle(store.engine, first)  # some shots of the next jobs are on file already
    after = must_lease(store.engine, submit(store.engine, plan, job_key="after").job_id, max_batches=most)
    facts = Submission(
        job_key="at",
        actor="alice",
        owner="studio",
        labels=(("show", "foxes"),),
        recipients=("client",),
        now=NOW,
    )
    with unit_of_work(store.engine) as work:
        wish = FirstLease(holder="driver-1", ttl_seconds=60, max_batches=most)
        job, at = work.ledger.submit_leased(plan, facts, kept=lambda _sha256: True, first=wish)
        work.commit()
    assert at is not None
    assert at.expires_at == after.expires_at
    assert [_unnamed(batch) for batch in at.batches] == [_unnamed(batch) for batch in after.batches]
    with unit_of_work(store.engine) as work:
        assert work.ledger.job(job.job_id) == job
        other = work.ledger.job(after.job_id)
        assert (job.state, job.counts, job.started_at) == (other.state, other.counts, other.started_at)
        assert work.ledger.settle(at, results_of(at), NOW).late == 0


def test_a_job_that_is_attached_to_is_not_leased_by_submitting(store: Store):
    submit(store.engine)
    facts = Submission(job_key="night", actor="alice", owner="studio", labels=(), recipients=(), now=NOW)
    with unit_of_work(store.engine) as work:
        wish = FirstLease(holder="driver-1", ttl_seconds=60, max_batches=1)
        job, chunk = work.ledger.submit_leased(plan_of(16), facts, kept=lambda _sha256: True, first=wish)
    assert (job.attached, chunk) == (True, None)


def _unnamed(batch: LeasedBatch) -> LeasedBatch:
    """A batch without the id of its job."""

    def rest(name: str) -> str:
        return name.partition("/")[2]

    shots = tuple(replace(shot, take_id=rest(shot.take_id)) for shot in batch.shots)
    return replace(batch, task_id=rest(batch.task_id), shots=shots)
