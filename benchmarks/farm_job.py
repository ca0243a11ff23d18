"""One job of 100,000 shots, stage after stage, each in a process of its own as a command would be."""

import json
import resource
import time
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.farm_workers import NearPool, shots_in
from benchmarks.measurement import median, resident_mb, timed
from benchmarks.night import MODEL
from flows.bootstrap import House, open_house
from flows.exporting import make_view
from flows.handing_in import hand_in, order_of_file
from flows.judging import judge_job
from flows.planning import Overrides
from flows.rendering import job_of, list_jobs, shot_of, shots_after
from flows.reports.contact_sheet import write_contact_sheet
from flows.reports.morning_report import write_morning_report
from flows.reports.predictions import make_prediction
from flows.settings import Settings
from flows.steering import reopen_job
from flows.workshop import Workshop, reclaim_dead_leases, staff_workshop
from policy.plan import PlanRefusal
from registry.ledger_workers import WorkerStanding
from registry.unit_of_work import unit_of_work

WARM = 10_000  # pictures after which the driver is weighed
PICKS = 15
PAGE = 200  # shots of a page over HTTP
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Driven:
    """What a driver came to."""

    pictures: int
    seconds: float
    warm_mb: float  # resident once WARM pictures were made
    end_mb: float  # at the end, the job judged and closed
    peak_mb: float  # the most that was ever resident
    pick_first: float  # seconds of one lease before the first
    pick_last: float  # and with next to nothing left
    chunks: int


def alone(stage: Callable[..., T], *arguments: Any) -> T:
    """Run a stage in a fresh process: what it holds in memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(stage, *arguments).result()


@contextmanager
def house_at(home: Path, **settings: Any) -> Generator[House]:
    """A house that other processes open too."""
    house = open_house(Settings(home=home, renderer="synthetic", workers=1, actor="benchmark", **settings))
    try:
        yield house
    finally:
        house.engine.dispose()


def write_order(folder: Path, shots: int) -> Path:
    """The order as a supervisor has it: JSON Lines, a line a shot."""
    path = folder / "night.jsonl"
    with path.open("w") as file:
        shared = {"model": MODEL, "prompt": "a flat fox, seen from the left, on a plain ground", "steps": 1}
        head = {
            "manifest": {"name": f"night of {shots}", "territories": ["WORLD"]},
            "defaults": {**shared, "method": "emoji-64-full"},
        }
        file.write(json.dumps(head) + "\n")
        for number in range(shots):
            file.write(json.dumps({"name": f"shot-{number:06}", "seed": number}) + "\n")
    return path


def hand_in_order(home: Path, path: Path) -> tuple[str, float]:
    """From the file to the job, as ``rightstep render --detach`` goes: read, plan, gate, ledger."""
    with house_at(home) as house:
        start = time.perf_counter()
        job = hand_in(house, order_of_file(house, path, Overrides()))
        seconds = time.perf_counter() - start
        if isinstance(job, PlanRefusal):
            raise TypeError(f"The order of a benchmark was refused: {job.reasons}")
        return job.job_id, seconds


def drive(home: Path, job_id: str, until: int) -> Driven:
    """Render with a heartbeat and the crew of a flow until so many pictures are made, then leave."""
    with house_at(home) as house:
        first = pick_seconds(house, job_id)
        made, warm, last, chunks = 0, 0.0, 0.0, 0
        start = time.perf_counter()
        with staff_workshop(house, job_id, NearPool()) as workshop:  # type: ignore[arg-type]  # what a workshop asks of it
            while made < until and (chunk := workshop.lease()) is not None:
                workshop.render(chunk.lease)
                made, chunks = made + shots_in(chunk), chunks + 1
                if not warm and made >= WARM:
                    warm = resident_mb()
                if not last and made >= until - 2_000:
                    last = pick_seconds(house, job_id)
            seconds = time.perf_counter() - start
        judge_job(house, job_id)
        return Driven(
            pictures=made,
            seconds=seconds,
            warm_mb=warm,
            end_mb=resident_mb(),
            peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
            pick_first=first,
            pick_last=last,
            chunks=chunks,
        )


def pick_seconds(house: House, job_id: str) -> float:
    """One lease, taken back: nobody else is there."""

    def pick() -> None:
        with unit_of_work(house.engine) as work:
            work.ledger.lease_chunk(
                job_id, holder="picker", ttl_seconds=60, max_batches=8, now=datetime.now(UTC)
            )

    return median([timed(pick) for _ in range(PICKS)])


def resume_seconds(home: Path, job_id: str) -> float:
    """What ``rightstep job resume`` reckons before its first picture: reopen, reclaim, read, lease."""
    with house_at(home) as house:
        start = time.perf_counter()
        job_of(house, reopen_job(house, job_id).job_id)
        reclaim_dead_leases(house)
        workshop = Workshop(house, job_id, NearPool())  # type: ignore[arg-type]
        workshop.replan()
        chunk = workshop.lease()
        seconds = time.perf_counter() - start
        if chunk is None:
            raise RuntimeError("Nothing is left to resume.")
        workshop.release_all()
        return seconds


def ask_everything(home: Path, job_id: str, shots: int) -> dict[str, float]:
    """Seconds of what people ask of a job, each once and cold, by what it is called."""
    with house_at(home) as house:
        middle = shots // 2
        out = home / "out"
        out.mkdir(exist_ok=True)
        asked = {
            "job list": timed(lambda: list_jobs(house, 20)),
            "job show": timed(lambda: job_of(house, job_id)),
            f"a page of {PAGE} shots, the first": timed(lambda: shots_after(house, job_id, -1, PAGE)),
            f"a page of {PAGE} shots, in the middle": timed(lambda: shots_after(house, job_id, middle, PAGE)),
            "one shot by its name": timed(lambda: shot_of(house, job_id, f"shot-{middle:06}")),
        }
        start = time.perf_counter()
        view, _ = make_view(house, job_id)
        write_contact_sheet(view, out / "contact-sheet.html")
        write_morning_report(view, out / "report.html")
        make_prediction(view)
        return {**asked, "job report, its pictures not copied": time.perf_counter() - start}


def ledger_bytes(home: Path) -> int:
    """The ledger's file; whoever closed it last wrote its log back."""
    return sum(path.stat().st_size for path in home.glob("ledger.sqlite3*"))


def heartbeat_seconds(home: Path, job_id: str, workers: int) -> float:
    """One full heartbeat of a driver with so many workers: two chunks of each renewed, each worker told."""
    standing = [
        WorkerStanding(worker=f"host:{number}", device="near", stack_id="", in_flight=2, batches=0)
        for number in range(workers)
    ]
    with house_at(home) as house:
        with unit_of_work(house.engine) as work:
            lease: dict[str, Any] = {
                "holder": "driver",
                "ttl_seconds": 600,
                "max_batches": 1,
                "now": house.clock(),
            }
            found = [work.ledger.lease_chunk(job_id, **lease) for _ in range(2 * workers)]
            work.commit()
        chunks = [chunk for chunk in found if chunk is not None]

        def beat() -> None:
            with unit_of_work(house.engine) as work:
                work.ledger.renew(*chunks, ttl_seconds=600, now=house.clock())
                work.ledger.tell_workers("driver", job_id, standing, house.clock())
                work.commit()

        beat()  # the first one adds the workers
        seconds = median([timed(beat) for _ in range(PICKS)])
        with unit_of_work(house.engine) as work:
            for chunk in chunks:
                work.ledger.release(chunk)
            work.ledger.tell_workers("driver", job_id, (), house.clock())
            work.commit()
        return seconds
