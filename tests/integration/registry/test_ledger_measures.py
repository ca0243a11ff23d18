"""What was measured and really loaded, as the checks, the planner and the ship gate ask for it."""

from dataclasses import replace

from policy.costs import CostKey, fit_profile
from registry.unit_of_work import unit_of_work
from tests.factories import make_execution_plan, make_manifest, make_shot
from tests.integration.registry.ledger_play import (
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


def test_figures_come_by_decision_in_the_order_of_the_plan(store: Store):
    shots = tuple(
        make_shot(f"{method}-{number}", seed=number, method=f"emoji-64-{method}")
        for method in ("full", "lcm")
        for number in range(8)
    )
    job = submit(store.engine, make_execution_plan(manifest=make_manifest(shots=shots)))
    render_all(store.engine, job.job_id)
    with unit_of_work(store.engine, read_only=True) as work:
        figures, decisions = work.ledger.figures(job.job_id), work.ledger.decisions(job.job_id)
    assert [(item.decision, len(item.pictures)) for item in figures] == [(0, 8), (1, 8)]
    for item in figures:
        assert item.stack_id == decisions[item.decision].offer.stack.stack_id
        assert {picture.figures.saturation for picture in item.pictures} == {0.52}


def test_reused_pictures_are_measured_too(store: Store):
    render_all(store.engine, submit(store.engine, plan_of(8)).job_id)
    again = submit(store.engine, plan_of(8))
    with unit_of_work(store.engine, read_only=True) as work:
        (figures,) = work.ledger.figures(again.job_id)
    assert len(figures.pictures) == 8


def test_a_picture_without_figures_is_no_measure(store: Store):
    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    (result,) = results_of(chunk)
    bare = replace(result, takes=tuple(replace(take, figures=None) for take in result.takes))
    settle(store.engine, chunk, [bare])
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.figures(job.job_id) == ()


def test_costs_are_told_without_the_time_to_load(store: Store):
    plan = plan_of(8)
    job = submit(store.engine, plan)
    chunk = must_lease(store.engine, job.job_id)
    measured = {"rows": 16, "steps": 40, "load_seconds": 2.0, "denoise_seconds": 3.0, "total_seconds": 5.5}
    settle(store.engine, chunk, results_of(chunk, **measured))
    with unit_of_work(store.engine, read_only=True) as work:
        (sample,) = work.ledger.cost_samples()
    stack = plan.decisions[0].offer.stack
    assert sample.key == CostKey(
        stack_id=stack.stack_id, pipeline=stack.pipeline, width=64, height=64, frames=1, device="cpu-2"
    )
    assert (sample.pictures, sample.rows, sample.steps) == (8, 16, 40)
    assert (sample.denoise_seconds, sample.total_seconds) == (3.0, 3.5)
    assert fit_profile([sample]).samples == 8


def test_settled_batches_are_told_in_order_with_their_time_since_the_start(store: Store):
    job = submit(store.engine, plan_of(24))
    for seconds, load in ((5.5, 2.0), (3.0, 0.0)):
        chunk = must_lease(store.engine, job.job_id)
        settle(store.engine, chunk, results_of(chunk, load_seconds=load, total_seconds=seconds))
    with unit_of_work(store.engine, read_only=True) as work:
        first, second = work.ledger.settled_batches(job.job_id)
    assert (first.seconds, first.load_seconds, first.pictures) == (3.5, 2.0, 8)
    assert (second.seconds, second.load_seconds) == (3.0, 0.0)
    assert 0 <= first.at <= second.at


def test_the_time_spent_loading_is_told_by_job(store: Store):
    job = submit(store.engine)
    other = submit(store.engine, job_key="other")
    for seconds in (2.0, 0.5):
        chunk = must_lease(store.engine, job.job_id)
        settle(store.engine, chunk, results_of(chunk, load_seconds=seconds))
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.load_seconds(job.job_id) == 2.5
        assert work.ledger.load_seconds(other.job_id) == 0.0


def test_late_and_broken_batches_are_no_measure_of_cost(store: Store):
    from policy.tasks import FaultKind

    job = submit(store.engine, plan_of(8))
    stale = must_lease(store.engine, job.job_id, ttl_seconds=1)
    newer = must_lease(store.engine, job.job_id, now=later(5))
    settle(store.engine, stale)
    broken = results_of(newer, failed(FaultKind.WORKER), denoise_seconds=0.0, total_seconds=0.0)
    settle(store.engine, newer, broken)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.cost_samples() == ()


def test_what_was_loaded_is_told_for_made_and_reused_pictures(store: Store):
    first = submit(store.engine, plan_of(16))
    for worker in ("here:1", "here:2"):
        chunk = must_lease(store.engine, first.job_id)
        settle(store.engine, chunk, results_of(chunk, worker=worker))
    again = submit(store.engine, plan_of(24), job_key="another")
    chunk = must_lease(store.engine, again.job_id)
    forged = (("rightstep/emoji-64/unet/diffusion_pytorch_model.safetensors", "f" * 64),)
    settle(store.engine, chunk, results_of(chunk, worker="here:3", loaded=forged))
    with unit_of_work(store.engine, read_only=True) as work:
        attested = work.ledger.attestations(again.job_id)
    assert [(item.worker, item.batches) for item in attested] == [("here:1", 1), ("here:2", 1), ("here:3", 1)]
    assert [item.loaded == forged for item in attested] == [False, False, True]
    assert attested[0].timesteps == (999.0, 759.0, 499.0, 259.0)
    assert dict(attested[0].versions)["renderer"] == "synthetic"


def test_what_a_failed_run_loaded_is_not_attested(store: Store):
    from policy.tasks import FaultKind

    job = submit(store.engine, plan_of(8))
    chunk = must_lease(store.engine, job.job_id)
    settle(store.engine, chunk, results_of(chunk, failed(FaultKind.WORKER), worker="here:9"))
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.ledger.attestations(job.job_id) == ()
    assert lease(store.engine, job.job_id) is not None
