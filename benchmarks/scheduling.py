"""How many pictures that cost nothing go through a second, beside Ray's own pool and Prefect's own map?"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.batch_efficiency import drive
from benchmarks.measurement import Measurement, alternate, at_least, median, plain
from benchmarks.night import night_manifest, one_by_one, plan_of
from benchmarks.served_house import served_house
from flows.bootstrap import House
from flows.prefect_server import standing_server, use_server
from flows.submitting import submit_plan
from flows.workshop import Workshop, open_workshop
from policy.plan import ExecutionPlan
from policy.tasks import ArtefactRef, BatchResult, RenderTask, TakeResult
from workers.pool import PoolOptions, RenderPool
from workers.workbench import BenchProgress

ITEMS, MAPPED, WORKERS, ROUNDS = 8000, 300, 2, 3


def measure() -> Measurement:
    """Ours leases, sends, settles each picture in the ledger; the others only call."""
    with served_house(workers=WORKERS, renderer="synthetic") as house:
        server = standing_server(house.settings)
        if server is None:
            raise RuntimeError("The benchmark's Prefect server is gone.")
        use_server(house.settings.home, server)
        _round(house, 0)  # warms up
        rounds = [_round(house, number) for number in range(1, ROUNDS + 1)]
        mapped = alternate({"prefect": _prefect_rate}, ROUNDS)["prefect"]
    ours, alone, ray_pool = ([one[side] for one in rounds] for side in ("ours", "alone", "ray"))
    return Measurement(
        question="How many pictures that cost nothing go through a second?",
        figures=(
            at_least(
                "P4", "ours / ray.util.ActorPool.map_unordered", median(ours) / median(ray_pool), 5, "x"
            ),
            at_least("P5", "ours / Prefect map", median(ours) / median(mapped), 50, "x"),
            plain("ours, ledger on, in planned batches", median(ours), "pictures/s"),
            plain("ours, ledger on, every picture a batch of its own", median(alone), "pictures/s"),
            plain("ray.util.ActorPool", median(ray_pool), "items/s"),
            plain("Prefect map over threads", median(mapped), "items/s"),
        ),
        conditions=(
            f"{ITEMS:,} pictures, {WORKERS} actors; ours leases, calls and settles every take in SQLite (a "
            f"bench that answers at once), in the batches that the policy composes, and once more with every "
            f"picture alone; ActorPool maps a no-op; Prefect maps a no-op task over {MAPPED} items on its "
            f"thread runner; median of {ROUNDS} rounds in turn."
        ),
        rounds={"ours": ours, "ours_alone": alone, "ray_actor_pool": ray_pool, "prefect_map": mapped},
    )


class IdleBench:
    """Answers for every picture at once: what is left is scheduling."""

    def run(self, tasks: Sequence[RenderTask]) -> Iterator[BatchResult]:
        for task in tasks:
            yield BatchResult(
                task_id=task.task_id,
                takes=tuple(_answer(shot.take_id, shot.shot_key) for shot in task.shots),
                worker="idle:1",
                device="none",
                stack_id=task.load.stack.stack_id,
                loaded=(),
                timesteps=(),
                rows=1,
                steps=task.steps,
                load_seconds=0.0,
                denoise_seconds=0.0,
                total_seconds=0.0,
                versions=(),
            )

    def cancel(self) -> None:
        return

    def set_aside(self) -> None:
        return

    def progress(self) -> BenchProgress:
        return BenchProgress(stage="idle", stack_id="", steps_done=0, takes_done=0)


def _answer(take_id: str, shot_key: str) -> TakeResult:
    kept = ArtefactRef(sha256=shot_key, size=1, media_type="image/png", path=f"/nowhere/{shot_key}")
    return TakeResult(
        take_id=take_id,
        shot_key=shot_key,
        artefact=kept,
        provenance=None,
        figures=None,
        fault=None,
        detail="",
        seconds=0.0,
    )


def make_idle_bench() -> IdleBench:
    """Picklable to the workers."""
    return IdleBench()


def _round(house: House, number: int) -> dict[str, float]:
    """Pictures a second of each side; ours and Ray's on the same Ray."""
    composed = _order(house, 2 * number)
    alone = one_by_one(_order(house, 2 * number + 1))
    job = submit_plan(house, composed)
    with open_workshop(house, job.job_id, lambda _stage: None) as workshop:
        workshop.pool.stop()
        rates = {
            "ours": _our_rate(house, job.job_id),
            "alone": _our_rate(house, submit_plan(house, alone).job_id),
        }
        return rates | {"ray": _actor_pool_rate()}


def _order(house: House, number: int) -> ExecutionPlan:
    manifest = night_manifest(ITEMS, first_seed=number * ITEMS)
    return plan_of(house, manifest, steps=1, method="emoji-64-full")


def _our_rate(house: House, job_id: str) -> float:
    pool = RenderPool(PoolOptions(workers=WORKERS, make_bench=partial(make_idle_bench)))
    pool.start()
    idle = Workshop(house, job_id, pool)
    start = time.perf_counter()
    drive(idle)
    seconds = time.perf_counter() - start
    pool.stop()
    return ITEMS / seconds


def _actor_pool_rate() -> float:
    import ray
    from ray.util import ActorPool

    @ray.remote
    class Idle:
        def answer(self, item: int) -> int:
            return item

    pool = ActorPool([Idle.remote() for _ in range(WORKERS)])
    list(pool.map_unordered(_call, range(WORKERS * 2)))  # the actors stand
    start = time.perf_counter()
    answered = sum(1 for _ in pool.map_unordered(_call, range(ITEMS)))
    return answered / (time.perf_counter() - start)


def _call(actor: Any, item: int) -> Any:
    return actor.answer.remote(item)


def _prefect_rate() -> float:
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.task_runners import ThreadPoolTaskRunner

    @task(cache_policy=NO_CACHE, persist_result=False)
    def idle(item: int) -> int:
        return item

    @flow(name="idle-map", task_runner=ThreadPoolTaskRunner(max_workers=8), persist_result=False)
    def mapped() -> float:
        start = time.perf_counter()
        for future in idle.map(range(MAPPED)):
            future.result()
        return MAPPED / (time.perf_counter() - start)

    return mapped()
