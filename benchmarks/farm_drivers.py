"""Drivers on one PostgreSQL: processes of the real workshop, each with a worker that only sleeps."""

import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
from sqlalchemy import event

from benchmarks.farm_job import house_at
from benchmarks.farm_workers import NearPool, shots_in
from benchmarks.night import night_manifest, plan_of
from flows.bootstrap import House
from flows.submitting import submit_plan
from flows.workshop import Workshop, staff_workshop
from policy.errors import LedgerFault
from policy.tasks import TakeState
from registry.records import LeasedChunk
from registry.unit_of_work import unit_of_work

TRIES = 8  # of a chunk that the database refused, as the flow tries again
SMALL = 400  # batches of the job that is settled batch by batch
CREW = 2  # threads of a driver: one chunk is slept through while the other is settled


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What one driver did."""

    pictures: int
    chunks: int
    began: float
    ended: float
    refused: tuple[tuple[str, int], ...]  # what the database refused, by SQLSTATE: each was tried again


@dataclass(frozen=True, kw_only=True, slots=True)
class Race:
    """What all drivers did together."""

    drivers: int
    jobs: int
    pictures: int
    seconds: float  # from the first lease to the last settled chunk
    chunks: int
    refused: Counter[str]
    lost: int
    doubled: int
    transactions: int  # of the server
    waiting: float  # sessions that waited for a lock of another, on the average

    @property
    def rate(self) -> float:
        return self.pictures / self.seconds


def race(url: str, *, drivers: int, jobs: int, shots: int, seconds: float, first_seed: int) -> Race:
    """So many drivers render so many jobs of so many shots each, driver by driver on the next job in turn."""
    with tempfile.TemporaryDirectory(prefix="rsb-") as folder:
        home = Path(folder)
        with house_at(home, database_url=url) as house:
            ids = [_submitted(house, shots, first_seed + number * shots) for number in range(jobs)]
            with psycopg.connect(url, autocommit=True) as watch, _sampled(url) as waits:
                before = _commits(watch)
                with ProcessPoolExecutor(drivers, mp_context=_ready_to_fork()) as processes:
                    at = time.time() + 5.0 + 0.1 * drivers  # until all stand
                    asked = [
                        processes.submit(drive, home, url, ids[number % jobs], seconds, at, f"near:{number}")
                        for number in range(drivers)
                    ]
                    shares = [one.result() for one in asked]
                commits = _commits(watch) - before
            done = Counter(name for job in ids for name in _done(house, job))
    return Race(
        drivers=drivers, jobs=jobs, pictures=sum(share.pictures for share in shares),
        seconds=max(share.ended for share in shares) - min(share.began for share in shares),
        chunks=sum(share.chunks for share in shares),
        refused=sum((Counter(dict(share.refused)) for share in shares), Counter()),
        lost=jobs * shots - len(done), doubled=sum(count - 1 for count in done.values()),
        transactions=commits, waiting=sum(waits) / max(1, len(waits)),
    )  # fmt: skip


def small_chunk(url: str) -> tuple[float, float]:
    """Seconds of the clock and of the driver's CPU to settle a chunk of one batch and lease the next."""
    with (
        tempfile.TemporaryDirectory(prefix="rsb-") as folder,
        house_at(Path(folder), database_url=url) as house,
    ):
        job_id = _submitted(house, 8 * SMALL, 20_000_000)
        workshop = Workshop(house, job_id, NearPool())  # type: ignore[arg-type]  # what a workshop asks of it
        chunks = list[LeasedChunk]()
        with unit_of_work(house.engine) as work:
            for _ in range(SMALL // 2):
                chunk = work.ledger.lease_chunk(
                    job_id, holder=workshop.holder, ttl_seconds=600, max_batches=1, now=house.clock()
                )
                if chunk is not None:
                    chunks.append(chunk)
            work.commit()
        clock, cpu = time.perf_counter(), time.process_time()
        for chunk in chunks:
            results = NearPool().run_chunk(workshop.tasks(chunk))
            with unit_of_work(house.engine) as work:
                work.ledger.settle(chunk, results, house.clock())
                work.ledger.lease_chunk(
                    job_id, holder=workshop.holder, ttl_seconds=600, max_batches=1, now=house.clock()
                )
                work.commit()
        return (time.perf_counter() - clock) / len(chunks), (time.process_time() - cpu) / len(chunks)


def _ready_to_fork() -> BaseContext:
    """Processes that share what is imported: thirty-two drivers would import it for a minute."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.farm_drivers"])
    return context


def drive(home: Path, url: str, job_id: str, seconds: float, at: float, worker: str) -> Share:
    """One driver: its share of a job, chunk by chunk, until nothing is to be had."""
    with house_at(home, database_url=url) as house:
        refused = _refusals(house)
        with staff_workshop(house, job_id, NearPool(worker=worker, seconds=seconds)) as workshop:  # type: ignore[arg-type]  # what a workshop asks of it
            time.sleep(max(0.0, at - time.time()))
            began = time.time()
            made = list[int]()
            crew = [Thread(target=_work, args=(workshop, made)) for _ in range(CREW)]
            for thread in crew:
                thread.start()
            for thread in crew:
                thread.join()
            ended = time.time()
        return Share(
            pictures=sum(made), chunks=len(made), began=began, ended=ended, refused=tuple(refused.items())
        )


def _work(workshop: Workshop, made: list[int]) -> None:
    while (chunk := _again(workshop.lease)) is not None:
        _again(workshop.render, chunk.lease)
        made.append(shots_in(chunk))


def _again(ask: Any, *given: str) -> Any:
    """Ask once more where the ledger refused, as the flow's tasks do."""
    for number in range(TRIES):
        try:
            return ask(*given)
        except LedgerFault:
            if number + 1 == TRIES:
                raise
            time.sleep(0.1 * 2**number)
    raise AssertionError("it answered or raised")


def _refusals(house: House) -> Counter[str]:
    """Counts what the database refuses from now on, by its own code."""
    refused = Counter[str]()

    @event.listens_for(house.engine, "handle_error")
    def note(context: Any) -> None:
        refused[getattr(context.original_exception, "sqlstate", None) or "unreachable"] += 1

    return refused


def _submitted(house: House, shots: int, first_seed: int) -> str:
    plan = plan_of(house, night_manifest(shots, first_seed=first_seed), steps=1, method="emoji-64-full")
    return submit_plan(house, plan).job_id


def _done(house: House, job_id: str) -> Iterator[str]:
    with unit_of_work(house.engine, read_only=True) as work:
        takes = work.ledger.takes(job_id)
    return (f"{job_id} {take.shot}" for take in takes if take.state is TakeState.DONE)


def _commits(connection: "psycopg.Connection[Any]") -> int:
    connection.execute("SELECT pg_stat_clear_snapshot()")
    row = connection.execute(
        "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    return int(row[0]) if row else 0


@contextmanager
def _sampled(url: str) -> Generator[Sequence[int]]:
    """How many sessions wait for a lock of another, ten times a second while the block runs."""
    seen, over = list[int](), list[bool]()

    def look() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not over:
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                ).fetchone()
                seen.append(int(row[0]) if row else 0)
                time.sleep(0.1)

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.append(True)
        thread.join()
