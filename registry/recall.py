"""Recall: from a file, model, stack, licence, text or clause to everything shipped that used it.

Counted by stack and shipment, of which there are few, and listed from the newest shipment
on: no step walks over the items that it does not list.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, and_, or_, select

from registry import tables
from registry.evidence_tables import shipment_clauses, shipment_papers, shipment_stacks
from registry.shipment_records import AffectedFile, Recall

PAGE = 1_000  # files that are listed unless more are asked for
AT_ONCE = 5_000  # names in one statement: databases bound their number
DIGEST = re.compile(r"[0-9a-f]{64}")
Pair = tuple[str, str]  # shipment, stack


@dataclass(frozen=True, slots=True)
class _Shipped:
    """A shipment that is touched, with how many of its items are."""

    shipped_at: datetime
    job_id: str
    recipients: tuple[str, ...]
    items: int


def affected(connection: Connection, needle: str, limit: int = PAGE) -> Recall:
    """Every shipped file that the needle touches, newest shipment first; at most ``limit`` are listed."""
    matched: set[str] = set()
    made = {(row.shipment_id, row.stack_id): row for row in _made_with(connection, needle, matched)}
    pairs = {pair: row.item_count for pair, row in made.items()}
    outputs = _outputs(connection, needle)
    if outputs:
        matched.add("output")
    strays = [row for row in outputs if (row.shipment_id, row.stack_id) not in pairs]
    shipped = _shipments(connection, made, strays)
    newest = sorted(shipped, key=lambda one: (shipped[one].shipped_at, one), reverse=True)
    items = sum(one.items for one in shipped.values())
    files = _files(connection, newest, shipped, pairs, strays, limit)
    return Recall(
        needle=needle,
        matched=tuple(sorted(matched)),
        stacks=tuple(sorted({stack for _, stack in pairs} | {row.stack_id for row in strays})),
        jobs=tuple(sorted({one.job_id for one in shipped.values()})),
        shipments=tuple(newest),
        recipients=tuple(sorted({name for one in shipped.values() for name in one.recipients})),
        items=items,
        files=files,
        is_cut=items > len(files),
    )


def _made_with(connection: Connection, needle: str, matched: set[str]) -> Iterator[Any]:
    """Every (shipment, stack) that the needle touches: how many items it has, and what the shipment was."""
    for kind, query in _questions(needle):
        rows = connection.execute(query).all()
        if rows:
            matched.add(kind)
        yield from rows


def _questions(needle: str) -> tuple[tuple[str, Select[*tuple[Any, ...]]], ...]:
    """What a needle of its form may be, each as one look-up by index."""
    made = shipment_stacks
    used, parts, files = tables.shipment_licences, tables.stack_parts, tables.stack_files
    licence, _, clause = needle.partition("#")
    counted = select(made.c.stack_id, made.c.item_count, *_facts()).join(
        tables.shipments, tables.shipments.c.shipment_id == made.c.shipment_id
    )
    of_licence = counted.join(
        used, and_(used.c.shipment_id == made.c.shipment_id, used.c.stack_id == made.c.stack_id)
    )
    rests = and_(
        shipment_clauses.c.shipment_id == used.c.shipment_id, shipment_clauses.c.licence == used.c.licence
    )
    named = (
        and_(shipment_clauses.c.licence == licence, shipment_clauses.c.clause == clause)
        if clause
        else shipment_clauses.c.clause == needle
    )
    if DIGEST.fullmatch(needle):
        of_file = select(files.c.stack_id).where(files.c.sha256 == needle)
        of_pin = select(parts.c.stack_id).where(parts.c.pin_id == needle)
        papers = select(shipment_papers.c.shipment_id).where(shipment_papers.c.sha256 == needle)
        return (
            ("file", counted.where(made.c.stack_id.in_(of_file))),
            ("pin", counted.where(made.c.stack_id.in_(of_pin))),
            ("stack", counted.where(made.c.stack_id == needle)),
            ("text", of_licence.where(used.c.text_sha256 == needle).distinct()),
            ("paper", counted.where(made.c.shipment_id.in_(papers))),
        )
    of_repo = select(parts.c.stack_id).where(parts.c.repo == needle)
    return (
        ("repository", counted.where(made.c.stack_id.in_(of_repo))),
        ("licence", of_licence.where(used.c.licence == needle).distinct()),
        ("clause", of_licence.join(shipment_clauses, rests).where(named).distinct()),
    )


def _listed() -> Select[str, int, str, str, str, str, str, str]:
    items = tables.shipment_items
    return select(
        items.c.shipment_id,
        items.c.position,
        items.c.job_id,
        items.c.shot,
        items.c.stack_id,
        items.c.artefact_sha256,
        items.c.shipped_sha256,
        items.c.recipient,
    )


def _outputs(connection: Connection, needle: str) -> Sequence[Any]:
    """Items that are the needle themselves, as they were made or as they left."""
    if not DIGEST.fullmatch(needle):
        return ()
    items = tables.shipment_items
    is_it = or_(items.c.artefact_sha256 == needle, items.c.shipped_sha256 == needle)
    return connection.execute(_listed().where(is_it)).all()


def _facts() -> tuple[Any, ...]:
    """What is told of a shipment."""
    shipments = tables.shipments
    return (
        shipments.c.shipment_id,
        shipments.c.shipped_at,
        shipments.c.job_id,
        shipments.c.recipients_json,
    )


def _shipments(
    connection: Connection, made: Mapping[Pair, Any], strays: Sequence[Any]
) -> dict[str, _Shipped]:
    counts: dict[str, int] = {}
    for (shipment_id, _), row in made.items():
        counts[shipment_id] = counts.get(shipment_id, 0) + row.item_count
    for row in strays:
        counts[row.shipment_id] = counts.get(row.shipment_id, 0) + 1
    facts = {row.shipment_id: row for row in made.values()}
    column = tables.shipments.c.shipment_id
    for ids in _in_batches([one for one in counts if one not in facts]):
        facts |= {
            row.shipment_id: row for row in connection.execute(select(*_facts()).where(column.in_(ids)))
        }
    names = cache(_names)  # a thousand shipments go to a few dozen clients
    return {
        shipment_id: _Shipped(
            facts[shipment_id].shipped_at,
            facts[shipment_id].job_id,
            names(facts[shipment_id].recipients_json),
            items,
        )
        for shipment_id, items in counts.items()
    }


def _names(recipients_json: str) -> tuple[str, ...]:
    return tuple(json.loads(recipients_json))


def _files(
    connection: Connection,
    newest: Sequence[str],
    shipped: Mapping[str, _Shipped],
    pairs: Mapping[Pair, int],
    strays: Sequence[Any],
    limit: int,
) -> tuple[AffectedFile, ...]:
    """The first ``limit`` items: whole shipments while they fit, and the beginning of the next one."""
    whole: list[str] = []
    left = limit
    begun: str | None = None
    for shipment_id in newest:
        if shipped[shipment_id].items > left:
            begun = shipment_id if left else None
            break
        whole.append(shipment_id)
        left -= shipped[shipment_id].items
    items = tables.shipment_items
    stacks = sorted({stack for _, stack in pairs})
    query = _listed().where(items.c.stack_id.in_(stacks))
    rows: list[Any] = []
    for ids in _in_batches(whole):
        rows.extend(connection.execute(query.where(items.c.shipment_id.in_(ids))))
    if begun is not None:
        of_it = [stack for shipment, stack in pairs if shipment == begun]
        first = _listed().where(items.c.shipment_id == begun, items.c.stack_id.in_(of_it))
        rows.extend(connection.execute(first.order_by(items.c.position).limit(left)))
    listed = [row for row in rows if (row[0], row[4]) in pairs]
    listed.extend(row for row in strays if row.shipment_id in {*whole, begun})
    order = {shipment_id: number for number, shipment_id in enumerate(newest)}
    listed.sort(key=lambda row: (order[row[0]], row[1]))
    return tuple(_affected_file(row, shipped[row[0]].shipped_at) for row in listed[:limit])


def _in_batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE))


def _affected_file(row: Any, shipped_at: datetime) -> AffectedFile:
    shipment_id, _, job_id, shot, stack_id, artefact_sha256, shipped_sha256, recipient = row
    return AffectedFile(
        shipment_id=shipment_id,
        job_id=job_id,
        shot=shot,
        stack_id=stack_id,
        artefact_sha256=artefact_sha256,
        shipped_sha256=shipped_sha256,
        recipient=recipient,
        shipped_at=shipped_at,
    )
