"""The Ray actor around one bench: a lane that renders, and a lane that answers and stops it meanwhile."""

import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError

from policy.errors import ServiceFault
from policy.tasks import BatchResult, RenderTask
from workers.stations import StationFault, StationLost, WorkerIdentity
from workers.workbench import Bench, BenchProgress

FLUSH_SECONDS = 0.5  # results leave the worker at least this often: a killed worker loses no more
SWITCH_SECONDS = 0.0005  # the rendering thread must not queue for the interpreter behind those that encode


class RenderActor:
    """One worker process with one bench. Knows tasks and results; knows nothing of jobs."""

    def __init__(self, make_bench: Callable[[], Bench]) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        self._bench = make_bench()

    @ray.method(concurrency_group="render", num_returns="streaming")
    def render(self, tasks: list[RenderTask]) -> Iterator[list[BatchResult]]:
        """Results in the order of the tasks, in groups, as they become durable."""
        ready: list[BatchResult] = []
        flushed = time.monotonic()
        for result in self._bench.run(tasks):
            ready.append(result)
            if time.monotonic() - flushed >= FLUSH_SECONDS:
                yield ready
                ready, flushed = [], time.monotonic()
        yield ready

    @ray.method(concurrency_group="control")
    def identity(self) -> WorkerIdentity:
        """Answers once the bench stands."""
        return WorkerIdentity(name=f"{platform.node() or 'localhost'}:{os.getpid()}", pid=os.getpid())

    @ray.method(concurrency_group="control")
    def progress(self) -> BenchProgress:
        """Where the bench stands, answered while it renders."""
        return self._bench.progress()

    @ray.method(concurrency_group="control")
    def cancel(self) -> None:
        """Stop the bench at its next step boundary."""
        self._bench.cancel()

    @ray.method(concurrency_group="control")
    def set_aside(self) -> None:
        """Stop the bench there, its batch kept."""
        self._bench.set_aside()


class RayStation:
    """A worker process of a pool, seen from the driver."""

    def __init__(self, make_bench: Callable[[], Bench], *, cpus: float, gpus: float) -> None:
        facts: dict[str, Any] = {
            "num_cpus": cpus,
            "num_gpus": gpus,
            "max_restarts": 0,  # a dead worker is replaced by the pool, which knows what it lost
            "max_task_retries": 0,
            "concurrency_groups": {"render": 1, "control": 2},
        }
        made = ray.remote(**facts)(RenderActor)
        self._actor: Any = made.remote(make_bench)
        self._asked: Any = self._actor.identity.remote()

    def render(self, tasks: Sequence[RenderTask]) -> Iterator[list[BatchResult]]:
        try:
            for group in self._actor.render.remote(list(tasks)):
                yield ray.get(group)
        except RayActorError as fault:
            raise StationLost(f"The worker process died: {_reason(fault)}.") from fault
        except RayError as fault:
            raise StationFault(f"The call to the worker failed: {_reason(fault)}.") from fault

    def identity(self, seconds: float) -> WorkerIdentity | None:
        try:
            found: WorkerIdentity = ray.get(self._asked, timeout=seconds)
        except GetTimeoutError:
            return None
        except RayError as fault:
            raise StationLost(f"The worker process died: {_reason(fault)}.") from fault
        return found

    def progress(self, seconds: float) -> BenchProgress | None:
        try:
            found: BenchProgress = ray.get(self._actor.progress.remote(), timeout=seconds)
        except RayError:  # busy starting, or gone: what is known stays
            return None
        return found

    def cancel(self) -> None:
        self._actor.cancel.remote()

    def set_aside(self) -> None:
        self._actor.set_aside.remote()

    def close(self) -> None:
        ray.kill(self._actor, no_restart=True)


def open_ray_station(make_bench: Callable[[], Bench], cpus: float, gpus: float) -> RayStation:
    """Start a worker process on the Ray this process is connected to; ServiceFault where there is none."""
    if not ray.is_initialized():
        raise ServiceFault(
            "There is no Ray to start workers on.", "Start or connect to one first: workers.cluster."
        )
    return RayStation(make_bench, cpus=cpus, gpus=gpus)


def _reason(fault: Exception) -> str:
    """What a person wants of Ray's long reports: why."""
    text = str(fault)
    told = re.search(r"Worker exit type: (\w+)", text)
    if told:
        return told.group(1).lower().replace("_", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines or [type(fault).__name__])[-1][:300].rstrip(".")
