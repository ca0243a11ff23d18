"""How long does it take to find every shipped asset that used something, among 1,000,000 shipped rows?"""

import json
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.measurement import Figure, Measurement, at_most, median, plain, timed
from benchmarks.own_postgresql import own_postgresql
from policy.canonical import digest
from policy.codec import encode
from policy.uses import IntendedUse
from policy.verdicts import Verdict, from_reasons
from registry import evidence_tables, tables
from registry.bulk import insert_many
from registry.database import Engine, open_database, upgrade_database
from registry.recall import PAGE
from registry.unit_of_work import unit_of_work

SHIPMENTS, ITEMS = 1_000, 1_000  # a million rows
STACKS, CLIENTS, JOBS = 200, 40, 100
ROUNDS = 25
BASE = "studio/base"
START = datetime(2026, 1, 1, tzinfo=UTC)


def measure() -> Measurement:
    """Fill a ledger with shipments, then ask what a file, a licence, a clause, an output and a base touch."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="rsb-") as folder:
        figures += _figures("SQLite", f"sqlite:///{folder}/ledger.sqlite3")
    with own_postgresql() as url:
        figures += _figures("PostgreSQL", url)
    return Measurement(
        question="How long does it take to find every shipped asset that used something?",
        figures=tuple(figures),
        conditions=(
            f"{SHIPMENTS * ITEMS:,} shipped rows in {SHIPMENTS:,} shipments made with {STACKS} stacks of one "
            f"base and one LoRA each; median of {ROUNDS} rounds, each in a transaction of its own. Every "
            "answer has all shipments, jobs and recipients and the exact number of files, and lists the "
            "newest 1,000; listing more is told apart."
        ),
        remark=(
            "Most of an answer is a row for each shipment that is touched: "
            "the base stands in every one of them."
        ),
    )


def _figures(name: str, url: str) -> list[Figure]:
    upgrade_database(url)
    engine = open_database(url)
    filling = timed(lambda: _fill(engine))
    try:
        asked = {
            "a LoRA's file": digest("bench-file", 3),
            "a licence": "studio-licence-7",
            "a clause": "studio-licence-7#3(a)",
            "an output": _name("b", SHIPMENTS * ITEMS // 2),
            "the base, in every row": BASE,
        }
        return [
            *(_figure(engine, name, what, needle) for what, needle in asked.items()),
            _figure(engine, name, "a LoRA's file", asked["a LoRA's file"], ITEMS * SHIPMENTS),
            plain(f"{name}: filling the ledger", filling, "s"),
        ]
    finally:
        engine.dispose()


def _figure(engine: Engine, database: str, what: str, needle: str, limit: int = PAGE) -> Figure:
    seconds, files, items = [], 0, 0
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        with unit_of_work(engine, read_only=True) as work:
            found = work.shipments.affected(needle, limit=limit)
        seconds.append(time.perf_counter() - start)
        files, items = len(found.files), found.items
    assert files, f"{what} was not found"
    told = f"{database}: {what} ({files:,} of {items:,} files listed)"
    milliseconds = median(seconds[1:]) * 1000
    return (
        at_most("P32", told, milliseconds, 50.0, "ms") if limit == PAGE else plain(told, milliseconds, "ms")
    )


def _fill(engine: Engine) -> None:
    """Every row that a recall walks over, as shipping writes it; a stack for each half of a shipment."""
    with unit_of_work(engine) as work:
        connection = work.connection
        insert_many(connection, tables.stacks, [_stack(number) for number in range(STACKS)])
        insert_many(
            connection, tables.stack_parts, [row for number in range(STACKS) for row in _parts(number)]
        )
        insert_many(
            connection, tables.stack_files, [row for number in range(STACKS) for row in _files(number)]
        )
        insert_many(connection, tables.jobs, [_job(number) for number in range(JOBS)])
        insert_many(connection, tables.notices, [{"sha256": "0" * 64, "body": "notices"}])
        insert_many(connection, tables.shipments, [_shipment(number) for number in range(SHIPMENTS)])
        for number in range(SHIPMENTS):
            insert_many(connection, tables.shipment_items, _items(number))
        halves = [(number, half) for number in range(SHIPMENTS) for half in (0, 1)]
        insert_many(
            connection,
            evidence_tables.shipment_stacks,
            [
                {
                    "stack_id": _stack_id(_stack_of(number, half)),
                    "shipment_id": _shipment_id(number),
                    "item_count": ITEMS // 2,
                }
                for number, half in halves
            ],
        )
        insert_many(connection, tables.shipment_licences, [_licence(number, half) for number, half in halves])
        insert_many(
            connection,
            evidence_tables.shipment_clauses,
            [
                {
                    "shipment_id": _shipment_id(number),
                    "licence": _licence_id(_stack_of(number, half)),
                    "clause": "3(a)",
                }
                for number, half in halves
            ],
        )
        work.commit()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def _stack_of(shipment: int, half: int) -> int:
    """Two different stacks for each shipment."""
    return (shipment + half * (STACKS // 2)) % STACKS


def _stack_id(number: int) -> str:
    return digest("bench-stack", number)


def _shipment_id(number: int) -> str:
    return f"ship-{number:08}"


def _name(kind: str, row: int) -> str:
    """As long as a digest, and made faster."""
    return f"{kind}{row:063x}"


def _licence_id(stack: int) -> str:
    return f"studio-licence-{stack}"


def _stack(number: int) -> dict[str, Any]:
    return {
        "stack_id": _stack_id(number),
        "name": f"base + lora-{number}",
        "pipeline": "P",
        "dtype": "float32",
    }


def _parts(number: int) -> Iterator[dict[str, Any]]:
    for position, repo in enumerate((BASE, f"studio/lora-{number}")):
        yield {
            "stack_id": _stack_id(number),
            "position": position,
            "pin_id": digest("bench-pin", repo),
            "repo": repo,
            "revision": "1" * 40,
            "role": "lora" if position else "base",
            "scale": "1" if position else None,
        }


def _files(number: int) -> Iterator[dict[str, Any]]:
    for position, sha256 in enumerate((digest("bench-file", "base"), digest("bench-file", number))):
        yield {
            "stack_id": _stack_id(number),
            "position": position,
            "path": "model.safetensors",
            "sha256": sha256,
        }


def _job(number: int) -> dict[str, Any]:
    return {
        "job_id": f"job-{number}",
        "job_key": f"key-{number}",
        "name": "night",
        "state": "finished",
        "detail": "",
        "tier": "batch",
        "deadline": None,
        "owner": "studio",
        "labels_json": "[]",
        "recipients_json": "[]",
        "actor": "benchmark",
        "act": "ship_output_commercial",
        "plan_hash": "0" * 64,
        "policy_version": "1",
        "header_json": "{}",
        "shot_count": ITEMS,
        "max_failed_shots": None,
        "submitted_at": START,
        "started_at": START,
        "ended_at": START,
    }


def _shipment(number: int) -> dict[str, Any]:
    verdict: Verdict = from_reasons(())
    return {
        "shipment_id": _shipment_id(number),
        "job_id": f"job-{number % JOBS}",
        "plan_hash": "0" * 64,
        "owner": "studio",
        "labels_json": "[]",
        "recipients_json": json.dumps([f"client-{number % CLIENTS}"]),
        "actor": "benchmark",
        "use_json": json.dumps(encode(IntendedUse())),
        "verdict_json": json.dumps(encode(verdict)),
        "notices_sha256": "0" * 64,
        "item_count": ITEMS,
        "audit_seq": number + 1,
        "shipped_at": START + timedelta(hours=number),
    }


def _items(number: int) -> Iterator[dict[str, Any]]:
    stacks = [_stack_id(_stack_of(number, half)) for half in (0, 1)]
    for position in range(ITEMS):
        row = number * ITEMS + position
        yield {
            "shipment_id": _shipment_id(number),
            "position": position,
            "job_id": f"job-{number % JOBS}",
            "ordinal": position,
            "shot": f"shot-{position:06}",
            "shot_key": _name("1", row),
            "stack_id": stacks[position % 2],
            "artefact_sha256": _name("a", row),
            "shipped_sha256": _name("b", row),
            "media_type": "image/png",
            "recipient": f"client-{number % CLIENTS}",
        }


def _licence(number: int, half: int) -> dict[str, Any]:
    stack = _stack_of(number, half)
    return {
        "shipment_id": _shipment_id(number),
        "stack_id": _stack_id(stack),
        "pin_id": digest("bench-pin", f"studio/lora-{stack}"),
        "licence": _licence_id(stack),
        "repo": f"studio/lora-{stack}",
        "revision": "1" * 40,
        "text_sha256": digest("bench-text", stack),
    }
