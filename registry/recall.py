"""Recall: from a file, model, stack, licence, text or clause to everything shipped that used it.

Counted by stack and shipment, of which there are few, and listed from the newest shipment
on: no step walks over the items that it does not list. What the databases do takes a few
milliseconds; the rest is a row for each stack of each shipment, so rows are read as plain
tuples, and a moment is parsed only where it is told.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, String, and_, literal, or_, select, type_coerce, union_all

from registry import tables
from registry.evidence_tables import shipment_clauses, shipment_papers, shipment_stacks
from registry.instants import parse_instant
from registry.shipment_records import AffectedFile, Recall

PAGE = 1_000  # files that are listed unless more are asked for
AT_ONCE = 5_000  # names in one statement: databases bound their number
DIGEST = re.compile(r"[0-9a-f]{64}")
SHIPMENTS = tables.shipments.c
ITEMS = tables.shipment_items.c
FACTS = (  # what is told of a shipment; its moment as text, which sorts as it does
    SHIPMENTS.shipment_id,
    type_coerce(SHIPMENTS.shipped_at, String),
    SHIPMENTS.job_id,
    SHIPMENTS.recipients_json,
)
LISTED = (
    ITEMS.shipment_id,
    ITEMS.position,
    ITEMS.job_id,
    ITEMS.shot,
    ITEMS.stack_id,
    ITEMS.artefact_sha256,
    ITEMS.shipped_sha256,
    ITEMS.recipient,
    ITEMS.media_type,
)
Pair = tuple[str, str]  # shipment, stack


@dataclass(slots=True)
class _Shipped:
    """A shipment that is touched, with how many of its items are."""

    shipped_at: str
    job_id: str
    recipients_json: str
    items: int = 0


def affected(connection: Connection, needle: str, limit: int = PAGE) -> Recall:
    """Every shipped file that the needle touches, newest shipment first; at most ``limit`` are listed."""
    matched: set[str] = set()
    pairs: dict[Pair, int] = {}
    shipped: dict[str, _Shipped] = {}
    rows: Sequence[Any] = connection.execute(_made_with(needle)).all()
    for kind, stack_id, items, shipment_id, shipped_at, job_id, recipients_json in rows:
        matched.add(kind)
        pair = shipment_id, stack_id
        if pair in pairs:  # touched in two ways
            continue
        pairs[pair] = items
        known = shipped.get(shipment_id)
        if known is None:
            shipped[shipment_id] = _Shipped(shipped_at, job_id, recipients_json, items)
        else:
            known.items += items
    strays: list[Any] = []
    for row in _outputs(connection, needle):
        matched.add("output")
        item, (shipment_id, *facts) = row[: len(LISTED)], row[len(LISTED) :]
        if (shipment_id, item[4]) not in pairs:
            strays.append(item)
            shipped.setdefault(shipment_id, _Shipped(*facts)).items += 1
    newest = sorted(shipped, key=lambda one: (shipped[one].shipped_at, one), reverse=True)
    files = _files(connection, newest, shipped, pairs, strays, limit)
    clients = {one.recipients_json for one in shipped.values()}
    items = sum(one.items for one in shipped.values())
    return Recall(
        needle=needle,
        matched=tuple(sorted(matched)),
        stacks=tuple(sorted({stack for _, stack in pairs} | {item[4] for item in strays})),
        jobs=tuple(sorted({one.job_id for one in shipped.values()})),
        shipments=tuple(newest),
        recipients=tuple(sorted({name for told in clients for name in json.loads(told)})),
        items=items,
        files=files,
        is_cut=items > len(files),
    )


def _made_with(needle: str) -> Any:
    """Every (shipment, stack) that the needle touches, with the kind of thing that the needle is.

    What a needle of its form may be, each as one look-up by index.
    """
    made = shipment_stacks.c
    used, parts, files = tables.shipment_licences.c, tables.stack_parts.c, tables.stack_files.c
    licence, _, clause = needle.partition("#")

    def counted(kind: str) -> Select[*tuple[Any, ...]]:
        facts = select(literal(kind), made.stack_id, made.item_count, *FACTS)
        return facts.join(shipment_stacks, made.shipment_id == SHIPMENTS.shipment_id)

    def of_licence(kind: str) -> Select[*tuple[Any, ...]]:
        is_its = and_(used.shipment_id == made.shipment_id, used.stack_id == made.stack_id)
        return counted(kind).join(tables.shipment_licences, is_its).distinct()

    if DIGEST.fullmatch(needle):
        of_file = select(files.stack_id).where(files.sha256 == needle)
        of_pin = select(parts.stack_id).where(parts.pin_id == needle)
        papers = select(shipment_papers.c.shipment_id).where(shipment_papers.c.sha256 == needle)
        return union_all(
            counted("file").where(made.stack_id.in_(of_file)),
            counted("pin").where(made.stack_id.in_(of_pin)),
            counted("stack").where(made.stack_id == needle),
            of_licence("text").where(used.text_sha256 == needle),
            counted("paper").where(made.shipment_id.in_(papers)),
        )
    named = shipment_clauses.c
    rests = and_(named.shipment_id == used.shipment_id, named.licence == used.licence)
    is_named = and_(named.licence == licence, named.clause == clause) if clause else named.clause == needle
    of_repo = select(parts.stack_id).where(parts.repo == needle)
    return union_all(
        counted("repository").where(made.stack_id.in_(of_repo)),
        of_licence("licence").where(used.licence == needle),
        of_licence("clause").join(shipment_clauses, rests).where(is_named),
    )


def _outputs(connection: Connection, needle: str) -> Sequence[Any]:
    """Items that are the needle themselves, as made or as shipped; after each the facts of its shipment."""
    if not DIGEST.fullmatch(needle):
        return ()
    is_it = or_(ITEMS.artefact_sha256 == needle, ITEMS.shipped_sha256 == needle)
    query = select(*LISTED, *FACTS).join(tables.shipments, SHIPMENTS.shipment_id == ITEMS.shipment_id)
    return connection.execute(query.where(is_it)).all()


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
    order = {shipment_id: number for number, shipment_id in enumerate((*whole, begun))}
    rows: list[Any] = []
    for ids in _in_batches(whole):
        rows.extend(connection.execute(_items_of(ids, pairs)).all())
    if begun is not None:
        first = _items_of((begun,), pairs).order_by(ITEMS.position).limit(left)
        rows.extend(connection.execute(first).all())
    listed = [row for row in rows if (row[0], row[4]) in pairs]
    listed.extend(row for row in strays if row[0] in order)
    listed.sort(key=lambda row: (order[row[0]], row[1]))
    moments = cache(parse_instant)
    return tuple(
        AffectedFile(
            shipment_id=shipment_id,
            job_id=job_id,
            shot=shot,
            stack_id=stack_id,
            artefact_sha256=made,
            shipped_sha256=left,
            recipient=recipient,
            media_type=media_type,
            shipped_at=moments(shipped[shipment_id].shipped_at),
        )
        for shipment_id, _, job_id, shot, stack_id, made, left, recipient, media_type in listed[:limit]
    )


def _items_of(shipments: Sequence[str], pairs: Mapping[Pair, int]) -> Select[*tuple[Any, ...]]:
    """Items of these shipments made with a stack that is touched in one of them; in one: exactly those."""
    within = set(shipments)
    stacks = sorted({stack for shipment, stack in pairs if shipment in within})
    return select(*LISTED).where(ITEMS.shipment_id.in_(shipments), ITEMS.stack_id.in_(stacks))


def _in_batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE))
