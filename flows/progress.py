"""Where a job stands, told while it runs: the driver's stages, and the ledger's counts."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from flows.bootstrap import House
from policy.errors import RightstepError
from registry.records import JobRecord
from registry.unit_of_work import unit_of_work

LOOK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """A job under way; ``rate`` is pictures made a second since rendering began."""

    job_id: str
    stage: str
    done: int
    reused: int
    failed: int
    total: int
    rate: float = 0.0
    eta_seconds: float | None = None


OnProgress = Callable[[Progress], None]


class _Board:
    """The stage that this process is in; one, because a process drives one job at a time."""

    def __init__(self) -> None:
        self.stage = "starting"


_BOARD = _Board()


def report_stage(stage: str) -> None:
    """Say what the driver is doing now."""
    _BOARD.stage = stage


@contextmanager
def watched(house: House, job_id: str, on_progress: OnProgress | None) -> Generator[None]:
    """Tell ``on_progress`` where the job stands, twice a second and at the end."""
    if on_progress is None:
        yield
        return
    watcher = _Watcher(house, job_id, on_progress)
    thread = threading.Thread(target=watcher.run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watcher.over.set()
        thread.join()
        watcher.look()


class _Watcher:
    """Looks at the ledger and the board; a look that fails is made again at the next tick."""

    def __init__(self, house: House, job_id: str, on_progress: OnProgress) -> None:
        self.over = threading.Event()
        self._house = house
        self._job_id = job_id
        self._on_progress = on_progress
        self._first: tuple[float, int] | None = (
            None  # when the first picture was seen, and how many there were
        )

    def run(self) -> None:
        while not self.over.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        try:
            with unit_of_work(self._house.engine, read_only=True) as work:
                job = work.ledger.job(self._job_id)
        except RightstepError:
            return
        self._on_progress(self._progress(job))

    def _progress(self, job: JobRecord) -> Progress:
        counts = job.counts
        now = time.monotonic()
        if self._first is None and counts.leased:
            self._first = (now, counts.done)
        made, seconds = 0, 0.0
        if self._first is not None:
            made, seconds = counts.done - self._first[1], now - self._first[0]
        rate = made / seconds if seconds > 0 else 0.0
        stage = _BOARD.stage
        if made or (counts.leased and stage == "workers are up"):
            stage = "rendering"
        return Progress(
            job_id=job.job_id,
            stage=job.state.value if job.state.is_finished else stage,
            done=counts.done,
            reused=counts.reused,
            failed=counts.dead,
            total=counts.shots,
            rate=rate,
            eta_seconds=counts.open / rate if rate > 0 else None,
        )
