"""The pool: chunks onto workers, two in flight each, dead workers replaced, every take answered for."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from policy.errors import ServiceFault, WrongUse
from policy.tasks import BatchResult, FaultKind, RenderTask
from workers.finishing import failed_take
from workers.routing import UNTOLD, Forecast, Request, choose_seat, may_take
from workers.seats import FailedAt, Place, Seat, SeatGroup, is_worker_fault, name_of
from workers.stations import OpenStation, Station, StationFault, StationLost

DEAD_STARTS = 3  # processes in a row that die before they made anything close a seat
ANSWER_SECONDS = 0.5  # how long a worker may take to say where it stands
AWAIT_SECONDS = 0.1  # between two looks whether a process that was started has come up


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolOptions(SeatGroup):
    """The workers of a pool: one group, and any others beside it."""

    others: tuple[SeatGroup, ...] = ()
    start_seconds: float = 180.0
    patience_seconds: float = 30.0  # a chunk that waited this long takes a worker with another stack
    grows_freely: bool = (
        False  # workers that are added reserve no CPU: this Ray was started with none to spare
    )
    on_stage: Callable[[str], None] | None = None  # told what start-up is doing

    @property
    def groups(self) -> tuple[SeatGroup, ...]:
        return (self, *self.others)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerRecord:
    """One worker as the pool knows it."""

    number: int
    name: str  # host:pid; "" until it stands
    device: str  # class; "" where all are alike
    pid: int | None
    stack_id: str
    in_flight: int  # chunks
    batches: int  # finished by this seat, replaced processes included
    deaths: int
    blocked: tuple[str, ...]  # stacks that it may no longer take
    is_draining: bool = False  # it takes no more chunks, and ends with those that it has
    is_gone: bool = False
    was_restarted: bool = False  # because the process before it was barred


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolProgress:
    """Where the whole pool stands; counts never fall, whatever dies."""

    stage: str  # starting, verifying, loading, rendering, idle
    steps_done: int
    takes_done: int
    chunks_in_flight: int
    workers_alive: int


class RenderPool:
    """Workers behind one blocking call that many threads may make at once."""

    def __init__(self, options: PoolOptions, open_station: OpenStation | None = None) -> None:
        if any(group.workers < 1 for group in options.groups):
            few = min(group.workers for group in options.groups)
            raise WrongUse(f"A pool of {few} workers renders nothing.", "Ask for at least one worker.")
        self._options = options
        self._open = open_station
        self._seats: list[Seat] = []
        self._changed = threading.Condition()
        self._waiting: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}  # of a stack: why a worker failed it last
        self._failures = FailedAt()
        self._is_cancelled = False

    def start(self) -> None:
        """Start all workers at once and wait until each stands; ServiceFault where one cannot."""
        if self._open is None:
            from workers.actor import open_ray_station  # noqa: PLC0415 - Ray is imported after its environment is set

            self._open = open_ray_station
        groups = [group for group in self._options.groups for _ in range(group.workers)]
        self._tell(f"starting {len(groups)} workers")
        self._seats = [
            Seat(number=number, group=group, station=self._opened(group))
            for number, group in enumerate(groups)
        ]
        deadline = time.monotonic() + self._options.start_seconds
        for seat in self._seats:
            try:
                late = not self._identify(seat, max(0.1, deadline - time.monotonic()))
                fault = f"number {seat.number + 1} did not answer in time." if late else ""
            except StationLost as lost:
                fault = lost.message
            if fault:
                self.stop()
                raise ServiceFault(
                    f"The workers did not start: {fault}", "Ask for fewer, or look into Ray's log."
                )
        self._tell("workers are up")

    def run_chunk(self, tasks: Sequence[RenderTask], forecast: Forecast = UNTOLD) -> list[BatchResult]:
        """Render batches of one stack on one worker: a result for each, in order, whatever happens.

        Blocks while all suitable workers have two chunks, or would end it later than those
        that have; ``forecast`` says what it takes where devices differ. What a dying worker had not
        delivered comes back as its fault, and another process takes its seat.
        """
        if not tasks:
            return []
        stack_id = tasks[0].load.stack.stack_id
        if any(task.load.stack.stack_id != stack_id for task in tasks):
            raise WrongUse("A chunk holds batches of one stack.", "Split it by stack.")
        while True:
            place = self._take_place(stack_id, forecast, tasks)
            if not isinstance(place, Place):
                return [unrendered(task, *place) for task in tasks]
            results, detail = self._render_at(place, tasks)
            if place.was_begun or results or self._is_cancelled:  # else it only queued, or was sent back
                break
        kind = FaultKind.CANCELLED if self._is_cancelled or place.was_sent_back else FaultKind.WORKER
        name = "" if len(results) == len(tasks) else name_of(place)
        return results + [unrendered(task, kind, detail, name) for task in tasks[len(results) :]]

    @property
    def is_cancelled(self) -> bool:
        """Whether nothing will be rendered any more."""
        return self._is_cancelled

    def cancel(self) -> None:
        """Stop every worker at its next step boundary; chunks that wait come back as cancelled. Final."""
        for station in self._ended():
            station.cancel()

    def set_aside(self) -> None:
        """The same, with every batch kept for whoever gets it next; one that cannot be is rendered first."""
        for station in self._ended():
            station.set_aside()

    def _ended(self) -> list[Station]:
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()
            return [seat.station for seat in self._seats if not seat.is_closed]

    def progress(self) -> PoolProgress:
        """Ask every worker where it stands; one that does not answer in time stays as last seen."""
        for seat in tuple(self._seats):
            station = seat.station
            seen = None if seat.is_closed else station.progress(ANSWER_SECONDS)
            with self._changed:
                if seen is not None and station is seat.station:
                    seat.seen = seen
        with self._changed:
            stages = {seat.seen.stage for seat in self._seats if seat.seen is not None}
            busy = [stage for stage in ("rendering", "loading", "verifying", "idle") if stage in stages]
            return PoolProgress(
                stage=busy[0] if busy else "starting",
                steps_done=sum(
                    seat.steps_before + (seat.seen.steps_done if seat.seen else 0) for seat in self._seats
                ),
                takes_done=sum(
                    seat.takes_before + (seat.seen.takes_done if seat.seen else 0) for seat in self._seats
                ),
                chunks_in_flight=sum(len(seat.queue) for seat in self._seats),
                workers_alive=sum(not seat.is_closed for seat in self._seats),
            )

    def workers(self) -> tuple[WorkerRecord, ...]:
        """Every worker as it stands now."""
        self._meet_awaited()
        with self._changed:
            return tuple(
                WorkerRecord(
                    number=seat.number,
                    name=seat.name,
                    device=seat.group.device,
                    pid=seat.pid,
                    stack_id=seat.stack_id,
                    in_flight=len(seat.queue),
                    batches=seat.batches,
                    deaths=seat.deaths,
                    blocked=tuple(sorted(seat.view().blocked)),
                    is_draining=seat.is_draining,
                    is_gone=seat.is_closed,
                    was_restarted=bool(seat.barred),
                )
                for seat in self._seats
            )

    @property
    def is_drained(self) -> bool:
        """Whether nobody takes a chunk any more: they were sent away, or did not come up again."""
        with self._changed:
            return self._is_drained()

    @property
    def is_missed(self) -> bool:
        """Whether a worker that was started did not come up."""
        with self._changed:
            return any(seat.is_missing for seat in self._seats)

    def _is_drained(self) -> bool:
        is_left = any(not seat.is_closed and not seat.is_draining for seat in self._seats)
        return not is_left and any(seat.is_draining or seat.is_missing for seat in self._seats)

    def drain(self, name: str) -> bool:
        """Let a worker end with the chunks that it has, nobody takes its seat; False where it is not here."""
        with self._changed:
            found = [seat for seat in self._seats if seat.name == name and not seat.is_closed]
            for seat in found:
                seat.is_draining = True
            self._changed.notify_all()
        for seat in found:
            self._end_drained(seat)
        return bool(found)

    def bar(self, name: str) -> bool:
        """End a worker that fails and fails, and put another process in its seat, once.

        What it had not delivered goes to others, or back without blame. True where its seat
        is closed: one was barred there before.
        """
        ended: list[Station] = []
        with self._changed:
            found = [seat for seat in self._seats if seat.name == name and not seat.is_closed]
            for seat in found:
                for place in seat.queue:
                    place.was_begun, place.was_sent_back = False, True
                ended.append(seat.station)
                seat.forget_process()
                seat.is_closed = bool(seat.barred)
                seat.barred.append(name)
                if not seat.is_closed:
                    self._open_again(seat)
            self._changed.notify_all()
        for station in ended:
            station.close()
        return all(seat.is_closed for seat in found)

    def readmit(self, name: str) -> bool:
        """Forgive the seat of a worker that was barred; one that is closed gets another process.

        False where no seat is that worker's.
        """
        with self._changed:
            found = [seat for seat in self._seats if name in seat.barred]
            for seat in found:
                seat.barred.clear()
                if seat.is_closed:
                    self._open_again(seat)
            self._changed.notify_all()
        return bool(found)

    def grow(self, device: str, workers: int) -> None:
        """Start so many more workers of a device's group; each takes chunks once it stands.

        Where one never does, its place is closed again. WrongUse where no group is of that device.
        """
        group = next((group for group in self._options.groups if group.device == device), None)
        if group is None:
            raise WrongUse(f"The pool has no workers on {device}.", "Add to a group that it has.")
        reserved = 0.0 if self._options.grows_freely else group.cpus_per_worker
        with self._changed:
            for _ in range(workers):
                alike = SeatGroup(
                    workers=1,
                    make_bench=group.make_bench,
                    device=group.device,
                    cpus_per_worker=reserved,
                    gpus_per_worker=group.gpus_per_worker,
                )
                number = len(self._seats)
                self._seats.append(Seat(number=number, group=alike, station=self._opened(alike)))
                self._seats[-1].awaited_since = time.monotonic()
            self._changed.notify_all()

    def crew(self) -> dict[str, int]:
        """How many workers of each device take chunks, or will once they stand."""
        with self._changed:
            counted = dict.fromkeys((group.device for group in self._options.groups), 0)
            for seat in self._seats:
                counted[seat.group.device] += not seat.view().is_closed
            return counted

    def _open_again(self, seat: Seat) -> None:
        """Another process in a seat, with a clean record."""
        seat.station, seat.is_closed = self._opened(seat.group), False
        seat.awaited_since = time.monotonic()
        seat.dead_starts = 0
        seat.incidents.clear()

    def _end_drained(self, seat: Seat) -> None:
        """End a worker that was asked to leave and has nothing left to do."""
        with self._changed:
            if not seat.is_draining or seat.is_closed or seat.queue:
                return
            seat.is_closed = True
            self._changed.notify_all()
        seat.station.close()

    def stop(self) -> None:
        """End every worker process. What was in flight comes back to its caller as a worker's fault."""
        with self._changed:
            self._is_cancelled = True
            stations = [seat.station for seat in self._seats if not seat.is_closed]
            for seat in self._seats:
                seat.is_closed = True
            self._changed.notify_all()
        for station in stations:
            station.close()

    def _render_at(self, place: Place, tasks: Sequence[RenderTask]) -> tuple[list[BatchResult], str]:
        """What came back from a worker, and why the rest did not."""
        results: list[BatchResult] = []
        try:
            for group in place.station.render(tasks):
                results += group
            return results, "The worker answered for fewer batches than it was given."
        except StationLost as fault:
            if not place.was_sent_back:
                self._replace(place)
            return results, fault.message
        except StationFault as fault:
            return results, fault.message
        finally:
            self._leave_place(place, results, tasks)

    def _take_place(
        self, stack_id: str, forecast: Forecast, tasks: Sequence[RenderTask]
    ) -> Place | tuple[FaultKind, str]:
        """Wait for a worker and queue there; where there will be none, the fault and its reason."""
        arrived = time.monotonic()
        with self._changed, self._waits_for(stack_id):
            while True:
                are_awaited = self._meet_awaited()
                if self._is_cancelled:
                    return FaultKind.CANCELLED, "The job was cancelled."
                now = time.monotonic()
                waited = now - arrived
                behind = forecast.behind + self._waiting.total() - 1
                request = Request(
                    stack_id=stack_id,
                    wanted_elsewhere=frozenset(self._waiting) - {stack_id},
                    is_impatient=waited >= self._options.patience_seconds,
                    failed_at=self._failures.of(tasks),
                    forecast=replace(forecast, behind=behind),
                )
                views = [seat.view(now) for seat in self._seats]
                if self._is_drained():
                    return FaultKind.CANCELLED, "No worker is left, and none of them is to blame."
                if not any(may_take(request, view) for view in views):
                    told = "No worker is left that may take this stack: it failed on each."
                    return FaultKind.WORKER, f"{told} {self._reasons.get(stack_id, '')}".strip()
                chosen = choose_seat(request, views)
                if chosen is not None:
                    seat = self._seats[chosen]
                    seconds = dict(forecast.seconds).get(seat.group.device, 0.0)
                    place = Place(seat=seat, station=seat.station, stack_id=stack_id, seconds=seconds)
                    if not seat.queue:
                        seat.since = now
                    seat.queue.append(place)
                    seat.stack_id = stack_id
                    return place
                remaining = self._options.patience_seconds - waited
                pause = remaining if remaining > 0 else None
                self._changed.wait(timeout=AWAIT_SECONDS if are_awaited else pause)

    @contextmanager
    def _waits_for(self, stack_id: str) -> Generator[None]:
        self._waiting[stack_id] += 1
        try:
            yield
        finally:
            self._waiting[stack_id] -= 1
            self._waiting += Counter()  # drops zeros
            self._changed.notify_all()  # a seat may have become unwanted

    def _leave_place(self, place: Place, results: list[BatchResult], tasks: Sequence[RenderTask]) -> None:
        seat = place.seat
        failed = [is_worker_fault(result) for result in results]
        reasons = [
            take.detail for result in results for take in result.takes if take.fault is FaultKind.WORKER
        ]
        with self._changed:
            self._reasons.update({place.stack_id: reasons[-1]} if reasons else {})
            seat.leave(place)
            seat.batches += len(results)
            died = len(results) < len(tasks) and place.was_begun and not self._is_cancelled
            self._failures.note(seat.number, tasks, results, lost=died)
            if not place.was_sent_back:
                if len(results) > sum(failed):
                    seat.dead_starts = 0
                    seat.incidents.pop(place.stack_id, None)
                seat.incidents[place.stack_id] += sum(failed) + died
            self._changed.notify_all()
        self._end_drained(seat)

    def _replace(self, place: Place) -> None:
        """Put a fresh process where one has died; two chunks that lost the same one replace it once.

        A worker renders in the order it was asked, so only the first in its queue was begun.
        """
        seat = place.seat
        with self._changed:
            if seat.station is not place.station or seat.is_closed:
                return
            for follower in seat.queue[1:]:
                follower.was_begun = False
            seat.deaths += 1
            seat.dead_starts += 1
            seat.forget_process()
            seat.is_closed = seat.dead_starts >= DEAD_STARTS or seat.is_draining
            if not seat.is_closed:
                seat.station, seat.awaited_since = self._opened(seat.group), time.monotonic()
        ending = "is not replaced" if seat.is_closed else "is replaced"
        self._tell(f"worker {seat.number + 1} died and {ending}")

    def _identify(self, seat: Seat, seconds: float) -> bool:
        station = seat.station
        try:
            found = station.identity(seconds)
        except StationLost:
            if seat.awaited_since is None:
                raise
            self._replace_stillborn(seat, station)
            return False
        with self._changed:
            if found is not None and station is seat.station:
                seat.name, seat.pid = found.name, found.pid
                seat.awaited_since = None
                self._changed.notify_all()
        return found is not None

    def _meet_awaited(self) -> bool:
        """Let in whoever came up since, close the places of those who never do; is anybody awaited still?"""
        since = time.monotonic() - self._options.start_seconds
        for seat in tuple(self._seats):
            if seat.is_closed or seat.awaited_since is None or self._identify(seat, seconds=0.0):
                continue
            if seat.awaited_since < since:
                with self._changed:
                    seat.is_closed = seat.is_missing = True
                    self._changed.notify_all()
                seat.station.close()
                self._tell(f"worker {seat.number + 1} did not come up")
        return any(seat.awaited_since is not None and not seat.is_closed for seat in self._seats)

    def _replace_stillborn(self, seat: Seat, station: Station) -> None:
        """A process that died before it stood: its seat gets another, as often as it may."""
        with self._changed:
            if seat.station is not station or seat.is_closed:
                return
            seat.deaths += 1
            seat.dead_starts += 1
            seat.is_closed = seat.dead_starts >= DEAD_STARTS
            if not seat.is_closed:
                seat.station = self._opened(seat.group)

    def _opened(self, group: SeatGroup) -> Station:
        if self._open is None:
            raise ServiceFault("The pool was not started.", "Call start() first.")
        return self._open(group.make_bench, group.cpus_per_worker, group.gpus_per_worker)

    def _tell(self, stage: str) -> None:
        if self._options.on_stage is not None:
            self._options.on_stage(stage)


def unrendered(task: RenderTask, kind: FaultKind, detail: str, worker: str = "") -> BatchResult:
    """The answer for a batch of which nothing came back."""
    return BatchResult(
        task_id=task.task_id,
        takes=tuple(failed_take(shot, kind, detail) for shot in task.shots if shot.take_id not in task.reuse),
        worker=worker,
        device="",
        stack_id=task.load.stack.stack_id,
        loaded=(),
        timesteps=(),
        rows=0,
        steps=task.steps,
        load_seconds=0.0,
        denoise_seconds=0.0,
        total_seconds=0.0,
        versions=(),
    )
