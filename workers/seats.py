"""A place for one worker process in the pool, and what has been seen of it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from policy.tasks import BatchResult, FaultKind, RenderTask
from workers.routing import INCIDENTS, SeatView
from workers.stations import Station, StationLost
from workers.workbench import Bench, BenchProgress

REMEMBERED = 10_000  # failed batches; the oldest is forgotten first


@dataclass(frozen=True, kw_only=True, slots=True)
class SeatGroup:
    """Workers that are alike, and what each of them is."""

    workers: int
    make_bench: Callable[
        [], Bench
    ]  # pickled to each worker: functools.partial(make_workbench, BenchOptions(...))
    device: str = ""  # class, as forecasts name it; of no account where there is one group
    cpus_per_worker: float = 1.0  # what Ray reserves; threads of torch are set in the bench's own options
    gpus_per_worker: float = 0.0


@dataclass(kw_only=True)
class Seat:
    """A place for one worker process, and what has been seen of it. Guarded by the pool's lock."""

    number: int
    group: SeatGroup
    station: Station
    since: float = 0.0  # when its first chunk was begun
    stack_id: str = ""
    queue: list["Place"] = field(default_factory=list["Place"])  # the first one is being rendered
    batches: int = 0
    deaths: int = 0
    dead_starts: int = 0
    name: str = ""
    pid: int | None = None
    is_closed: bool = False
    is_draining: bool = False
    awaited_since: float | None = None  # started while the pool works: it takes nothing before it stands
    is_missing: bool = False  # closed because it never did
    incidents: Counter[str] = field(default_factory=Counter[str])
    steps_before: int = 0  # of processes that are gone
    takes_before: int = 0
    seen: BenchProgress | None = None
    barred: list[str] = field(default_factory=list[str])  # processes that were, and not readmitted since

    def view(self, now: float = 0.0) -> SeatView:
        blocked = frozenset(stack for stack, count in self.incidents.items() if count >= INCIDENTS)
        return SeatView(
            number=self.number,
            stack_id=self.stack_id,
            in_flight=len(self.queue),
            blocked=blocked,
            is_closed=self.is_closed or self.is_draining,
            is_awaited=self.awaited_since is not None,
            device=self.group.device,
            busy_seconds=self._busy_seconds(now),
        )

    def _busy_seconds(self, now: float) -> float:
        """Until its queue is empty, as predicted; a chunk that takes longer is taken to end any moment."""
        if not self.queue:
            return 0.0
        first, *queued = self.queue
        return max(0.0, first.seconds - (now - self.since)) + sum(place.seconds for place in queued)

    def leave(self, place: "Place") -> None:
        """A chunk ended: the next one in the queue begins."""
        if place in self.queue:  # a lost station took its queue with it
            self.queue.remove(place)
            self.since = time.monotonic()

    def forget_process(self) -> None:
        """The process is gone: what it did counts, and its queue is its callers' again."""
        self.steps_before += self.seen.steps_done if self.seen else 0
        self.takes_before += self.seen.takes_done if self.seen else 0
        self.queue.clear()
        self.seen, self.stack_id = None, ""
        self.name, self.pid = "", None


@dataclass(kw_only=True, eq=False)
class Place:
    """A chunk in the queue of one worker process."""

    seat: Seat
    station: Station
    stack_id: str
    seconds: float = 0.0  # that the chunk is predicted to take here
    was_begun: bool = True  # False where the process died before it came to this chunk
    was_sent_back: bool = (
        False  # the worker was barred meanwhile: what is left of the chunk is nobody's fault
    )


def name_of(place: Place) -> str:
    """The worker that lost a chunk, even if another process sits in its seat by now."""
    try:
        found = place.station.identity(0.0)
    except StationLost:
        found = None
    return found.name if found is not None else f"seat {place.seat.number + 1}"


class FailedAt:
    """Where batches failed, so that their next try is on another worker. Guarded by the pool's lock."""

    def __init__(self) -> None:
        self._seats: dict[str, set[int]] = {}  # by the key of a batch's first picture, which outlives a lease

    def of(self, tasks: Sequence[RenderTask]) -> frozenset[int]:
        """The numbers of seats that failed any of these."""
        if not self._seats:
            return frozenset()
        return frozenset(number for task in tasks for number in self._seats.get(_key(task), ()))

    def note(
        self, seat: int, tasks: Sequence[RenderTask], results: Sequence[BatchResult], *, lost: bool
    ) -> None:
        """What became of batches at a seat; ``lost``: those without a result failed there too."""
        for place, task in enumerate(tasks):
            if place < len(results) and not is_fault(results[place]):
                self._seats.pop(_key(task), None)
            elif place < len(results) or lost:
                self._seats.setdefault(_key(task), set()).add(seat)
        while len(self._seats) > REMEMBERED:
            del self._seats[next(iter(self._seats))]


def is_worker_fault(result: BatchResult) -> bool:
    """Whether a batch holds a failure that its worker is blamed for."""
    return any(take.fault is FaultKind.WORKER for take in result.takes)


def is_fault(result: BatchResult) -> bool:
    """Whether something of a batch failed, and somebody is to blame: the shot or the worker."""
    return any(take.fault in {FaultKind.SHOT, FaultKind.WORKER} for take in result.takes)


def _key(task: RenderTask) -> str:
    return task.shots[0].shot_key
