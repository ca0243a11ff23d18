"""The port between the pool and its workers, so that routing and replacement know no Ray."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from policy.errors import ServiceFault
from policy.tasks import BatchResult, RenderTask
from workers.workbench import Bench, BenchProgress


class StationLost(ServiceFault):
    """The worker process is gone, with everything that had not left it."""


class StationFault(ServiceFault):
    """The worker lives, but this call failed outside of any task."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerIdentity:
    """Which process a worker is."""

    name: str  # host:pid, as results carry it
    pid: int


class Station(Protocol):
    """One worker process, seen from the driver."""

    def render(self, tasks: Sequence[RenderTask]) -> Iterator[list[BatchResult]]:
        """Results in groups as they become durable; StationLost where the process dies meanwhile."""
        ...

    def identity(self, seconds: float) -> WorkerIdentity | None:
        """Who it is, once its bench stands; None while it does not; StationLost where it never will."""
        ...

    def progress(self, seconds: float) -> BenchProgress | None:
        """Where it stands, or None where it does not answer in time."""
        ...

    def cancel(self) -> None:
        """Stop at the next step boundary; does not wait."""
        ...

    def set_aside(self) -> None:
        """Stop there and keep the batch to go on with; does not wait."""
        ...

    def close(self) -> None:
        """End the process; does not wait."""
        ...


OpenStation = Callable[[Callable[[], Bench], float, float], Station]  # make_bench, CPUs, GPUs
