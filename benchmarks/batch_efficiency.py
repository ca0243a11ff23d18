"""How much of the workers' time is rendering, when each picture takes 20 ms and the ledger is on?"""

import threading
import time
from contextlib import AbstractContextManager

from benchmarks.measurement import Measurement, at_least, median, plain
from benchmarks.night import night_manifest, one_by_one, plan_of, temporary_house
from flows.bootstrap import House
from flows.submitting import submit_plan
from flows.workshop import Workshop, open_workshop

ITEMS, ITEM_SECONDS, WORKERS, ROUNDS = 400, 0.020, 2, 3


def measure() -> Measurement:
    """Drive a sleeping renderer through leases, workers and settling; compare with sleeping alone."""
    with sleeping_house() as house:
        rounds = [_round(house, number) for number in range(ROUNDS + 1)][1:]  # the first one warms up
    ideal = ITEMS * ITEM_SECONDS / WORKERS
    return Measurement(
        question="How much of the workers' time is rendering, with the ledger on?",
        figures=(
            at_least("P1", "ideal time / orchestrated time", ideal / median(rounds), 0.97),
            plain("orchestrated time", median(rounds), "s"),
            plain("overhead a picture", (median(rounds) - ideal) * WORKERS / ITEMS * 1000, "ms of a worker"),
        ),
        conditions=(
            f"{ITEMS} pictures of {ITEM_SECONDS * 1000:.0f} ms (sleeps, then draws and stores a "
            f"marked PNG) on {WORKERS} workers, SQLite, one transaction a chunk; median of {ROUNDS} rounds; "
            "start-up of Ray and of the workers excluded."
        ),
        rounds={"orchestrated_seconds": rounds, "ideal_seconds": [ideal]},
    )


def sleeping_house(workers: int = WORKERS, seconds: float = ITEM_SECONDS) -> AbstractContextManager[House]:
    """A house whose renderer sleeps ``seconds`` a step; orders for it ask for one step."""
    return temporary_house(workers=workers, renderer="synthetic", synthetic_seconds_per_step=seconds)


def _round(house: House, number: int) -> float:
    manifest = night_manifest(ITEMS, first_seed=number * ITEMS)
    job = submit_plan(house, one_by_one(plan_of(house, manifest, steps=1, method="emoji-64-full")))
    with open_workshop(house, job.job_id, lambda _stage: None) as workshop:
        start = time.perf_counter()
        drive(workshop)
        return time.perf_counter() - start


def drive(workshop: Workshop) -> None:
    """Lease, render and settle from as many threads as the flow would use, without Prefect."""

    def work() -> None:
        while (chunk := workshop.lease()) is not None:
            workshop.render(chunk.lease)

    crew = [threading.Thread(target=work) for _ in range(workshop.crew)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
