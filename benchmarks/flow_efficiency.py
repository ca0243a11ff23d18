"""How much of the workers' time is rendering through the whole stack?"""

import time

from benchmarks.batch_efficiency import ITEM_SECONDS, bare_seconds
from benchmarks.measurement import Measurement, at_least, median, plain
from benchmarks.night import night_manifest, one_by_one, plan_of
from benchmarks.served_house import served_house
from flows.bootstrap import House
from flows.rendering import job_of, render_job
from flows.submitting import submit_plan
from registry.unit_of_work import unit_of_work

ITEMS, WORKERS, ROUNDS = 2000, 2, 3


def measure() -> Measurement:
    """Run a job through the flow; the ledger's own times tell its steady part from its start and end."""
    with served_house(
        workers=WORKERS, renderer="synthetic", synthetic_seconds_per_step=ITEM_SECONDS
    ) as house:
        _run(house, 100, 0)  # the first flow of a process imports Prefect and Ray
        steady, fixed, bare = list[float](), list[float](), list[float]()
        for number in range(1, ROUNDS + 1):
            bare.append(bare_seconds(house))
            whole, rendering, a_picture = _run(house, ITEMS, number * 10_000)
            steady.append(a_picture)
            fixed.append(whole - rendering)
    ideal = median(bare) / WORKERS
    return Measurement(
        question="How much of the workers' time is rendering through the whole stack?",
        figures=(
            at_least(
                "P2", "ideal time / orchestrated time, once pictures come", ideal / median(steady), 0.95
            ),
            plain("a picture in a bare loop", median(bare) * 1000, "ms"),
            plain("fixed cost of a run: flow, Ray, workers, first chunk, artifact", median(fixed), "s"),
        ),
        conditions=(
            f"A job of {ITEMS} pictures of {ITEM_SECONDS * 1000:.0f} ms through Prefect, Ray, {WORKERS} "
            "workers and the ledger, on a standing server; from the first settled chunk (12 pictures) "
            f"to the last one; ideal is the same renderer in a bare loop; median of {ROUNDS} rounds."
        ),
        rounds={"steady_seconds_a_picture": steady, "fixed_seconds": fixed, "bare_seconds_a_picture": bare},
    )


def _run(house: House, items: int, first_seed: int) -> tuple[float, float, float]:
    """Seconds of the whole run, of its steady part, and of a picture in that part."""
    plan = one_by_one(
        plan_of(house, night_manifest(items, first_seed=first_seed), steps=1, method="emoji-64-full")
    )
    job = submit_plan(house, plan)
    start = time.perf_counter()
    render_job(house, job.job_id)
    whole = time.perf_counter() - start
    if job_of(house, job.job_id).counts.done != items:
        raise RuntimeError("The benchmark's job did not finish.")
    with unit_of_work(house.engine, read_only=True) as work:
        settled = [take.settled_at for take in work.ledger.takes(job.job_id) if take.settled_at is not None]
    first, last = min(settled), max(settled)
    rendering = (last - first).total_seconds()
    return whole, rendering, rendering / sum(moment > first for moment in settled)
