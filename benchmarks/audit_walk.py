"""How long does it take to verify an audit log of 1,000,000 events, and how much memory?"""

import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

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

EVENTS, SMALL, ROUNDS = 1_000_000, 100_000, 2
NOW = datetime(2026, 1, 1, 19, 0, tzinfo=UTC)


def measure() -> Measurement:
    """Write a log in bulk, sign it, and walk it; a smaller one first shows what memory a walk needs."""
    with tempfile.TemporaryDirectory() as folder:
        _walked(Path(folder) / "small.sqlite3", SMALL, 1)
        before = _peak_mb()
        seconds, signing, proving = _walked(Path(folder) / "large.sqlite3", EVENTS, ROUNDS)
        added = _peak_mb() - before
    figures: tuple[Figure, ...] = (
        at_most("", "walking 1,000,000 events, guards and checkpoint", median(seconds), 60.0, "s"),
        at_most("", "peak memory added by ten times the events", added, 50.0, "MB"),
        plain("events a second", EVENTS / median(seconds), ""),
        plain("the first checkpoint over all of them", signing, "s"),
        plain("proving one of them", proving, "s"),
    )
    return Measurement(
        question="How long does it take to verify an audit log of 1,000,000 events, and how much memory?",
        figures=figures,
        conditions=(
            f"{EVENTS:,} events of 200 bytes in SQLite, written in bulk; every hash, the Merkle root and the "
            f"signature computed anew; median of {ROUNDS} rounds. Memory is compared with {SMALL:,} events."
        ),
        rounds={"walk_seconds": seconds},
    )


def _walked(path: Path, events: int, rounds: int) -> tuple[list[float], float, float]:
    """Seconds of each walk, of the first checkpoint, and of a proof."""
    url = f"sqlite:///{path}"
    upgrade_database(url)
    engine, key = open_database(url), make_key()
    _write(engine, events, key)
    start = time.perf_counter()
    with unit_of_work(engine) as work:
        made = work.checkpoints.make(key, NOW)
        work.commit()
    signing = time.perf_counter() - start

    def walk() -> None:
        check = verify(engine, copies=(made,))
        assert (check.ok, check.rows, check.checkpoints, check.root) == (True, events, 1, made.root)

    def prove() -> None:
        with unit_of_work(engine, read_only=True) as work:
            leaves = (bytes.fromhex(found) for found in work.checkpoints.hashes(upto=events))
            range_roots(inclusion_ranges(events // 3, events), leaves)

    seconds = [timed(walk) for _ in range(rounds)]
    proving = timed(prove)
    engine.dispose()
    return seconds, signing, proving


def _write(engine: Engine, events: int, key: SigningKey) -> None:
    """Past the guards, which would be asked a million times; they stand again before anything is measured."""
    with engine.begin() as connection:
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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
