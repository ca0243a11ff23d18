"""How much of the workers' time is rendering, when each picture takes 20 ms and the ledger is on?"""

import threading
import time
from contextlib import AbstractContextManager

from benchmarks.bench_tasks import tasks_of
from benchmarks.measurement import Measurement, at_least, median, plain, timed
from benchmarks.night import night_manifest, one_by_one, plan_of, temporary_house
from flows.bootstrap import House
from flows.submitting import submit_plan
from flows.workshop import Workshop, open_workshop
from workers.renderer import RendererKind, RenderOptions, make_renderer

ITEMS, ITEM_SECONDS, WORKERS, ROUNDS = 1000, 0.020, 2, 3
BARE = 100  # pictures of the bare loop


def measure() -> Measurement:
    """Drive a sleeping renderer through leases, workers and settling; compare with that renderer alone."""
    with sleeping_house() as house:
        _round(house, 0)  # warms up
        rounds, bare = list[float](), list[float]()
        for number in range(1, ROUNDS + 1):
            bare.append(bare_seconds(house))
            rounds.append(_round(house, number))
    ideal = ITEMS * median(bare) / WORKERS
    return Measurement(
        question="How much of the workers' time is rendering, with the ledger on?",
        figures=(
            at_least("P1", "ideal time / orchestrated time", ideal / median(rounds), 0.97),
            plain("orchestrated time", median(rounds), "s"),
            plain("a picture in a bare loop", median(bare) * 1000, "ms"),
            plain("overhead a picture", (median(rounds) - ideal) * WORKERS / ITEMS * 1000, "ms of a worker"),
        ),
        conditions=(
            f"{ITEMS} pictures of {ITEM_SECONDS * 1000:.0f} ms (a renderer that sleeps and draws; checks, "
            f"PNG and statement come on top) on {WORKERS} workers, SQLite, one transaction a chunk; ideal is "
            f"that renderer in a bare loop; median of {ROUNDS} rounds in turn; start-up of Ray and of the "
            "worker processes excluded, loading the stack included."
        ),
        rounds={"orchestrated_seconds": rounds, "bare_seconds_a_picture": bare},
    )


def bare_seconds(house: House) -> float:
    """Seconds of a picture in a loop around the renderer: no ledger, no Ray, nothing kept."""
    plan = one_by_one(plan_of(house, night_manifest(BARE), steps=1, method="emoji-64-full"))
    tasks = tasks_of(house, plan)
    options = RenderOptions(kind=RendererKind.SYNTHETIC, seconds_per_step=ITEM_SECONDS)
    renderer = make_renderer(options)
    renderer.load(tasks[0].load)
    return timed(lambda: [renderer.render(task, lambda _step: None) for task in tasks]) / BARE


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
