"""Several workers in the test's own process, each what the test makes of it, and a driver's threads around them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from flows.bootstrap import House
from flows.judging import judge_job
from flows.workshop import Workshop
from policy.tasks import BatchResult, FaultKind, RenderTask
from registry.records import JobRecord
from registry.unit_of_work import unit_of_work
from tests.integration.flows.near import NearStation, near_station
from workers.pool import PoolOptions, RenderPool, SeatGroup
from workers.pool import unrendered as failed_batch
from workers.stations import WorkerIdentity

Breaks = Callable[
    [RenderTask], FaultKind | None
]  # how a worker fails a batch; None where it makes it. One that dies raises StationLost.


class CrewStation(NearStation):
    """A worker with a name of its own, which fails what the test says."""

    def __init__(self, house: House, name: str, breaks: Breaks) -> None:
        super().__init__(near_station(house).bench)
        self.name, self.breaks = name, breaks
        self.is_closed = False
        self.never_stands = False

    def render(self, tasks: Sequence[RenderTask]) -> Iterator[list[BatchResult]]:
        for task in tasks:
            self.rendered += 1
            kind = self.breaks(task)
            if kind is not None:
                yield [failed_batch(task, kind, "It came out grey.", self.name)]
            else:
                yield [replace(result, worker=self.name) for result in self.bench.run([task])]

    def identity(self, _seconds: float) -> WorkerIdentity | None:
        return None if self.never_stands else WorkerIdentity(name=self.name, pid=1)

    def close(self) -> None:
        self.is_closed = True


class Crew:
    """Workers of one pool in the order in which their processes were started, and the workshop that has them."""

    def __init__(
        self,
        house: House,
        job_id: str,
        *breaks: Breaks,
        devices: Sequence[str] = (),
        start_seconds: float = 60.0,
        stillborn: Sequence[int] = (),
    ) -> None:
        """A worker for each of ``breaks``; whoever comes later makes everything, or does as ``later`` says."""
        self.opened: list[CrewStation] = []
        self.later: Breaks = makes_all
        self._stillborn = stillborn  # which processes never stand
        self._house, self._breaks = house, breaks
        kinds = devices or [""] * len(breaks)
        first, *others = (
            SeatGroup(workers=kinds.count(kind), make_bench=lambda: None, device=kind)  # type: ignore[arg-type, return-value]
            for kind in dict.fromkeys(kinds)
        )
        options = PoolOptions(
            workers=first.workers,
            make_bench=first.make_bench,
            device=first.device,
            others=tuple(others),
            start_seconds=start_seconds,
        )
        self.pool = RenderPool(options, open_station=self._open)
        self.pool.start()
        self.workshop = Workshop(house, job_id, self.pool)

    def _open(self, *_facts: object) -> CrewStation:
        number = len(self.opened)
        breaks = self._breaks[number] if number < len(self._breaks) else self._late
        self.opened.append(CrewStation(self._house, f"here:{number + 1}", breaks))
        self.opened[-1].never_stands = number in self._stillborn
        return self.opened[-1]

    def _late(self, task: RenderTask) -> FaultKind | None:
        return self.later(task)

    def render(self, threads: int | None = None) -> JobRecord:
        """Render with two chunks in flight a worker, as a driver does, until nothing is open; then judge."""
        self.start(threads)
        self.join()
        judge_job(self._house, self.workshop.job_id)
        with unit_of_work(self._house.engine, read_only=True) as work:
            return work.ledger.job(self.workshop.job_id)

    def start(self, threads: int | None = None) -> None:
        """Begin to render."""
        many = threads or 2 * len(self._breaks)
        self._threads = [threading.Thread(target=self._render_chunks) for _ in range(many)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Until nothing of the job is open or in the hands of others."""
        for thread in self._threads:
            thread.join(timeout=120)
            assert not thread.is_alive()

    def _render_chunks(self) -> None:
        while True:
            if (chunk := self.workshop.lease()) is not None:
                self.workshop.render(chunk.lease)
            elif not self.workshop.others_are_at_work():
                return
            else:
                threading.Event().wait(0.01)


def makes_all(_task: RenderTask) -> FaultKind | None:
    return None


def fails_all(_task: RenderTask) -> FaultKind | None:
    return FaultKind.SHOT  # a broken card blames the shots
