"""The pool on real Ray processes: killed, cancelled, failing, and asked what they do."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from policy.errors import ServiceFault
from policy.tasks import BatchResult, FaultKind, RenderTask
from registry.verification import hashed_files, verify_files
from tests.unit.workers.batches import make_task, no_faults, pinned_digests
from workers.artefacts import ArtefactStore
from workers.pool import RenderPool, SeatGroup
from workers.renderer import RendererKind, RenderOptions
from workers.routing import UNTOLD, Forecast
from workers.workbench import Bench, BenchOptions, BenchProgress, make_workbench


def synthetic_bench(store: Path, seconds_per_step: float = 0.0) -> Callable[[], Bench]:
    render = RenderOptions(kind=RendererKind.SYNTHETIC, seconds_per_step=seconds_per_step)
    return partial(
        make_workbench, BenchOptions(store=store, verify=no_faults, digests=pinned_digests, render=render)
    )


class BrokenBench:
    """A bench that breaks its promise never to raise."""

    def run(self, _tasks: Sequence[RenderTask]) -> Iterator[BatchResult]:
        raise ValueError("the bench itself is broken")

    def cancel(self) -> None:
        """Nothing to stop."""

    def set_aside(self) -> None:
        """Nothing to keep."""

    def progress(self) -> BenchProgress:
        return BenchProgress(stage="idle", stack_id="", steps_done=0, takes_done=0)


def cannot_be_built() -> Bench:
    raise OSError("there is no such device")


class Sent:
    """A chunk sent from a thread of its own, as task runs do."""

    def __init__(self, pool: RenderPool, tasks: Sequence[RenderTask], forecast: Forecast = UNTOLD) -> None:
        self.results: list[BatchResult] = []
        self.thread = threading.Thread(
            target=lambda: self.results.extend(pool.run_chunk(tasks, forecast)), daemon=True
        )
        self.thread.start()

    def faults(self) -> list[FaultKind | None]:
        self.thread.join(timeout=120)
        assert not self.thread.is_alive(), "the chunk never came back"
        return [take.fault for result in self.results for take in result.takes]


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it never happened")


def test_chunks_from_many_threads_are_all_answered(make_pool, tmp_path):
    pool = make_pool(workers=2, make_bench=synthetic_bench(tmp_path))
    chunks = [Sent(pool, [make_task(10 * chunk + number) for number in range(5)]) for chunk in range(8)]
    assert [chunk.faults() for chunk in chunks] == [[None] * 10] * 8
    store = ArtefactStore(tmp_path)
    takes = [take for chunk in chunks for result in chunk.results for take in result.takes]
    assert all(store.has(take.artefact.sha256, take.artefact.size) for take in takes)
    assert len({take.artefact.sha256 for take in takes}) == 80
    assert {result.worker for chunk in chunks for result in chunk.results} == {r.name for r in pool.workers()}


def test_kill_minus_nine_costs_only_what_the_worker_had_not_delivered(make_pool, tmp_path, kill_minus_nine):
    pool = make_pool(workers=1, make_bench=synthetic_bench(tmp_path, seconds_per_step=0.1))
    begun = Sent(pool, [make_task(number, steps=4) for number in range(12)])
    wait_until(lambda: pool.progress().takes_done >= 6)
    queued = Sent(pool, [make_task(50)])
    wait_until(lambda: pool.progress().chunks_in_flight == 2)
    (victim,) = pool.workers()
    assert victim.pid is not None
    kill_minus_nine(victim.pid)
    faults = begun.faults()
    delivered = faults.count(None)
    assert 0 < delivered < 24
    assert faults == [None] * delivered + [FaultKind.WORKER] * (24 - delivered)
    assert begun.results[-1].worker == victim.name
    assert queued.faults() == [None, None], "the chunk behind it was never begun and is nobody's fault"
    (successor,) = pool.workers()
    assert (successor.deaths, successor.pid != victim.pid) == (1, True)
    retried = [
        task
        for task, result in zip([make_task(n, steps=4) for n in range(12)], begun.results, strict=True)
        if result.takes[0].fault
    ]
    assert [take.fault for result in pool.run_chunk(retried) for take in result.takes] == [None] * (
        24 - delivered
    )
    assert list((tmp_path / "tmp").glob("*.part")) == [] or ArtefactStore(tmp_path).clean(0.0) > 0


def test_cancelling_frees_the_workers_within_steps(make_pool, tmp_path):
    pool = make_pool(workers=1, make_bench=synthetic_bench(tmp_path, seconds_per_step=0.05))
    chunks = [Sent(pool, [make_task(number, steps=10_000)]) for number in range(3)]
    wait_until(lambda: pool.progress().steps_done >= 1)
    pool.cancel()
    assert [chunk.faults() for chunk in chunks] == [[FaultKind.CANCELLED] * 2] * 3
    assert pool.progress().steps_done < 1000
    assert list(tmp_path.glob("*/*.png")) == []


def test_a_broken_bench_is_a_fault_and_not_a_hang(make_pool):
    pool = make_pool(workers=1, make_bench=BrokenBench)
    (result,) = pool.run_chunk([make_task()])
    assert result.takes[0].fault is FaultKind.WORKER
    assert "the bench itself is broken" in result.takes[0].detail


def test_a_bench_that_cannot_be_built_stops_the_start_with_its_reason(make_pool):
    with pytest.raises(ServiceFault, match="there is no such device"):
        make_pool(workers=1, make_bench=cannot_be_built)


def test_more_workers_than_cpus_are_refused_in_time(make_pool, tmp_path):
    with pytest.raises(ServiceFault, match="did not answer in time"):
        make_pool(workers=1, cpus_per_worker=64, make_bench=synthetic_bench(tmp_path), start_seconds=1.0)


def test_real_pictures_from_a_ray_worker_equal_those_of_this_process(make_pool, tiny, tmp_path):
    load = tiny.load()
    task = make_task(load=load, shots=3, steps=3)
    options = BenchOptions(store=tmp_path / "ray", verify=verify_files, digests=hashed_files)
    pool = make_pool(workers=1, make_bench=partial(make_workbench, options))
    (far,) = pool.run_chunk([task])
    (near,) = make_workbench(replace(options, store=tmp_path / "here")).run([task])
    assert [take.fault for take in far.takes] == [None] * 3
    assert [take.artefact.sha256 for take in far.takes] == [take.artefact.sha256 for take in near.takes]
    assert far.loaded == near.loaded
    assert (far.timesteps, far.rows, far.device) == (near.timesteps, near.rows, near.device)


def test_processes_of_two_speeds_share_the_work_and_the_slow_one_leaves_the_end_to_the_quick_one(
    make_pool: Callable[..., RenderPool], tmp_path: Path
):
    def bench(threads: int, step: float) -> Callable[[], Bench]:
        render = RenderOptions(kind=RendererKind.SYNTHETIC, threads=threads, seconds_per_step=step)
        options = BenchOptions(
            store=tmp_path / "store", verify=no_faults, digests=pinned_digests, render=render
        )
        return partial(make_workbench, options)

    slow = SeatGroup(workers=1, make_bench=bench(1, 0.4), device="synthetic-1")
    pool = make_pool(workers=1, make_bench=bench(2, 0.01), device="synthetic-2", others=(slow,))
    seconds = (("synthetic-1", 2 * 0.4 * 3), ("synthetic-2", 2 * 0.01 * 3))

    def made_on(forecast: Forecast, chunks: int) -> Counter[str]:
        sent = [
            Sent(pool, [make_task(10 * number + place) for place in range(3)], forecast)
            for number in range(chunks)
        ]
        assert all(fault is None for one in sent for fault in one.faults())
        return Counter(result.device for one in sent for result in one.results)

    with_much_to_come = made_on(Forecast(seconds=seconds, behind=1000), 8)
    at_the_end = made_on(Forecast(seconds=seconds), 8)
    assert set(with_much_to_come) == {"synthetic-1", "synthetic-2"}
    assert set(at_the_end) == {"synthetic-2"}
