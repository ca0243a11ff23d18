"""How long does it take to verify an audit log of 1,000,000 events, and how much memory?"""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from benchmarks.measurement import Figure, Measurement, at_most, median, plain, timed
from policy.audit import AuditEvent, ChainedEvent, chain
from policy.canonical import canonical_json
from policy.identities import KEY_TAG, IdentityRole
from registry.audit_guards import SQLITE_GUARDS_V1
from registry.audit_log import row_of
from registry.audit_walk import verify
from registry.bulk import insert_many
from registry.database import Engine, open_database, upgrade_database
from registry.evidence.keys import SigningKey, make_key
from registry.instants import instant_text
from registry.merkle import inclusion_ranges, range_roots
from registry.tables import audit_events
from registry.unit_of_work import unit_of_work

EVENTS, SMALL, ROUNDS = 1_000_000, 100_000, 3
NOW = datetime(2026, 1, 1, 19, 0, tzinfo=UTC)
T = TypeVar("T")
CACHE_KB = 800_000  # holds the index of hashes, which new rows hit everywhere


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A log on disk, and what it took to make it."""

    url: str
    events: int
    writing: float  # seconds
    signing: float


def measure() -> Measurement:
    """Write two logs and sign them; walk each in a process of its own, whose memory is the walk's alone."""
    with tempfile.TemporaryDirectory(prefix="rsb-") as folder:
        small = _apart(_write, f"sqlite:///{folder}/small.sqlite3", SMALL)
        large = _apart(_write, f"sqlite:///{folder}/large.sqlite3", EVENTS)
        (few,), small_mb = _apart(_walk, small, 1)
        seconds, large_mb = _apart(_walk, large, ROUNDS)
        proving = _apart(_prove, large)
    figures: tuple[Figure, ...] = (
        at_most("", f"walking {EVENTS:,} events, guards and checkpoint", median(seconds), 60.0, "s"),
        at_most("", "peak memory added by ten times the events", large_mb - small_mb, 50.0, "MB"),
        plain("events a second", EVENTS / median(seconds), ""),
        plain(f"walking {SMALL:,} events", few, "s"),
        plain(f"peak memory of the process that walks {EVENTS:,} events", large_mb, "MB"),
        plain(f"peak memory of the process that walks {SMALL:,} events", small_mb, "MB"),
        plain("the first checkpoint over all of them", large.signing, "s"),
        plain("proving one of them", proving, "s"),
        plain("writing the log for this benchmark", large.writing, "s"),
    )
    return Measurement(
        question="How long does it take to verify an audit log of 1,000,000 events, and how much memory?",
        figures=figures,
        conditions=(
            f"{EVENTS:,} events of about 350 bytes in SQLite, written in bulk; every hash, the Merkle root "
            f"and the signature computed anew; median of {ROUNDS} rounds. Memory is the peak of a process "
            f"that only walks, compared with one that walks {SMALL:,} events."
        ),
        rounds={"walk_seconds": list(seconds)},
    )


def _apart(action: Callable[..., T], *given: object) -> T:
    """Run in a fresh process."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(action, *given).result()


def _walk(log: Written, rounds: int) -> tuple[tuple[float, ...], float]:
    """Seconds of each walk, and the peak memory of this process in MB."""
    engine = open_database(log.url)

    def walk() -> None:
        check = verify(engine)
        assert (check.ok, check.rows, check.checkpoints) == (True, log.events, 1)

    seconds = tuple(timed(walk) for _ in range(rounds))
    engine.dispose()
    return seconds, _peak_mb()


def _prove(log: Written) -> float:
    """Seconds that the proof of one event takes."""
    engine = open_database(log.url)

    def prove() -> None:
        with unit_of_work(engine, read_only=True) as work:
            leaves = (bytes.fromhex(found) for found in work.checkpoints.hashes(upto=log.events))
            range_roots(inclusion_ranges(log.events // 3, log.events), leaves)

    seconds = timed(prove)
    engine.dispose()
    return seconds


def _write(url: str, events: int) -> Written:
    """A log of this many events under one checkpoint, its guards standing."""
    upgrade_database(url)
    engine, key = open_database(url), make_key()

    def sign() -> None:
        with unit_of_work(engine) as work:
            work.checkpoints.make(key, NOW)
            work.commit()

    writing = timed(lambda: _fill(engine, events, key))
    signing = timed(sign)
    engine.dispose()
    return Written(url=url, events=events, writing=writing, signing=signing)


def _fill(engine: Engine, events: int, key: SigningKey) -> None:
    """Past the guards, which would be asked a million times; they stand again before anything is measured."""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA cache_size = -{CACHE_KB}")
        for name in SQLITE_GUARDS_V1:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        last = ""
        for page in _pages(events, key):
            insert_many(connection, audit_events, (row_of(one) for one in page))
            last = page[-1].hash
        connection.exec_driver_sql("UPDATE audit_head SET seq = ?, hash = ?", (events, last))
        for sql in SQLITE_GUARDS_V1.values():
            connection.exec_driver_sql(sql)


def _pages(events: int, key: SigningKey) -> Iterator[list[ChainedEvent]]:
    told = {"name": "house", "role": IdentityRole.HOUSE, "public": key.public.hex()}
    first = AuditEvent(tag=KEY_TAG, actor="bench", subject=key.key_id, payload=canonical_json(told))
    previous = chain(None, first, instant_text(NOW))
    page = [previous]
    for number in range(1, events):
        payload = canonical_json({"plan_hash": f"{number:064x}", "shots": number % 1000, "act": "ship"})
        event = AuditEvent(tag="job:plan:accepted", actor="bench", subject=f"job-{number}", payload=payload)
        previous = chain(previous, event, instant_text(NOW + timedelta(seconds=number)))
        page.append(previous)
        if len(page) == 20_000:
            yield page
            page = []
    if page:
        yield page


def _peak_mb() -> float:
    """Of this process since it began; what getrusage tells goes back to the process that started it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
