"""How much of the workers' time is rendering through the whole stack?"""

import time

from benchmarks.measurement import Measurement, at_least, median, plain
from benchmarks.night import night_manifest, one_by_one, plan_of
from benchmarks.served_house import served_house
from flows.bootstrap import House
from flows.rendering import job_of, render_job
from flows.submitting import submit_plan

ITEM_SECONDS, WORKERS, ROUNDS = 0.020, 2, 3
SMALL, LARGE = (
    100,
    900,
)  # the difference is steady state; what is left of the small job is the fixed cost of a run


def measure() -> Measurement:
    """Run a small and a large job in turn; their difference has no start-up in it."""
    with served_house(
        workers=WORKERS, renderer="synthetic", synthetic_seconds_per_step=ITEM_SECONDS
    ) as house:
        _run(house, SMALL, 0)  # the first flow of a process imports Prefect and Ray
        small, large = [], []
        for number in range(1, ROUNDS + 1):
            small.append(_run(house, SMALL, number * 10_000))
            large.append(_run(house, LARGE, number * 10_000 + 5_000))
    ideal = (LARGE - SMALL) * ITEM_SECONDS / WORKERS
    steady = [one - other for one, other in zip(large, small, strict=True)]
    fixed = median(small) - SMALL * ITEM_SECONDS / WORKERS
    return Measurement(
        question="How much of the workers' time is rendering through the whole stack?",
        figures=(
            at_least("P2", "ideal time / orchestrated time, after start-up", ideal / median(steady), 0.95),
            plain("fixed cost of a run: flow, Ray, workers, artifact", fixed, "s"),
        ),
        conditions=(
            f"Jobs of {SMALL} and {LARGE} pictures of {ITEM_SECONDS * 1000:.0f} ms through Prefect, "
            f"Ray, {WORKERS} workers and the ledger, on a standing server; the ratio is of their difference; "
            f"median of {ROUNDS} rounds."
        ),
        rounds={"small_seconds": small, "large_seconds": large},
    )


def _run(house: House, items: int, first_seed: int) -> float:
    plan = one_by_one(
        plan_of(house, night_manifest(items, first_seed=first_seed), steps=1, method="emoji-64-full")
    )
    job = submit_plan(house, plan)
    start = time.perf_counter()
    render_job(house, job.job_id)
    seconds = time.perf_counter() - start
    if job_of(house, job.job_id).counts.done != items:
        raise RuntimeError("The benchmark's job did not finish.")
    return seconds
