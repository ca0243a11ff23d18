"""A pool on stations of this process, whose chunks go on only when the test says what becomes of them."""

import queue
import threading
from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from policy.tasks import BatchResult, FaultKind, RenderTask
from tests.factories import make_batch_result, make_stack, make_take_result
from tests.unit.workers.batches import make_load, make_task
from workers.pool import PoolOptions, RenderPool
from workers.routing import UNTOLD, Forecast
from workers.stations import StationLost, WorkerIdentity
from workers.workbench import BenchProgress


def done(task: RenderTask, fault: FaultKind | None = None) -> BatchResult:
    takes = tuple(make_take_result(shot.take_id, shot.shot_key, fault=fault) for shot in task.shots)
    return make_batch_result(task_id=task.task_id, takes=takes)


class Worker:
    """A station whose chunks go on only when the test says what becomes of them."""

    numbers = count(1)

    def __init__(self) -> None:
        self.name = f"here:{next(self.numbers)}"
        self.begun: queue.Queue[Sequence[RenderTask]] = queue.Queue()
        self.fate: queue.Queue[object] = queue.Queue()
        self.lane = threading.Lock()
        self.dead = threading.Event()
        self.cancelled = threading.Event()
        self.aside = threading.Event()
        self.is_closed = False
        self.stands = True
        self.steps = 0

    def render(self, tasks: Sequence[RenderTask]) -> Iterator[list[BatchResult]]:
        while not self.lane.acquire(timeout=0.01):
            if self.dead.is_set():
                raise StationLost("The worker process died: killed.")
        try:
            self.begun.put(tasks)
            for task in tasks:
                fate = self.fate.get(timeout=30)
                if isinstance(fate, StationLost):
                    self.dead.set()
                if isinstance(fate, Exception):
                    raise fate
                self.steps += task.steps
                yield [fate(task)] if callable(fate) else []
        finally:
            if not self.dead.is_set():
                self.lane.release()

    def identity(self, _seconds: float) -> WorkerIdentity | None:
        return WorkerIdentity(name=self.name, pid=1) if self.stands else None

    def progress(self, _seconds: float) -> BenchProgress | None:
        if self.dead.is_set():
            return None
        return BenchProgress(stage="rendering", stack_id="", steps_done=self.steps, takes_done=self.steps)

    def cancel(self) -> None:
        self.cancelled.set()

    def set_aside(self) -> None:
        self.aside.set()

    def close(self) -> None:
        self.is_closed = True


class House:
    """A pool, its workers in the order they were opened, and chunks sent from threads."""

    def __init__(self, workers: int = 1, **options) -> None:
        self.opened: list[Worker] = []
        self.slow_to_stand = False
        self.stages: list[str] = []
        self.pool = RenderPool(
            PoolOptions(workers=workers, make_bench=lambda: None, on_stage=self.stages.append, **options),
            self.open,
        )
        self.pool.start()

    def open(self, *_facts) -> Worker:
        self.opened.append(Worker())
        self.opened[-1].stands = not self.slow_to_stand
        return self.opened[-1]

    def send(self, *tasks: RenderTask, forecast: Forecast = UNTOLD) -> "Chunk":
        return Chunk(self.pool, tasks, forecast)

    def wait_for(self, condition) -> None:
        for _ in range(1000):
            if condition():
                return
            threading.Event().wait(0.01)
        pytest.fail("it never happened")


class Chunk:
    def __init__(self, pool: RenderPool, tasks: Sequence[RenderTask], forecast: Forecast = UNTOLD) -> None:
        self.results: list[BatchResult] = []
        self.thread = threading.Thread(
            target=lambda: self.results.extend(pool.run_chunk(tasks, forecast)), daemon=True
        )
        self.thread.start()

    def faults(self) -> list[FaultKind | None]:
        self.thread.join(timeout=30)
        assert not self.thread.is_alive()
        return [take.fault for result in self.results for take in result.takes]


def other_stack(number: int) -> RenderTask:
    return make_task(number, load=make_load(stack=make_stack(dtype="float16")))


LOST = StationLost("The worker process died: killed.")
