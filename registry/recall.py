"""Recall: from a file, model, stack, licence or text to everything shipped that used it.

Each step is one look-up by index, and the number of steps does not grow with what was
shipped: the needle names stacks or shipments, and those name items.
"""

from typing import Any

from sqlalchemy import Connection, Select, or_, select

from registry import tables
from registry.shipment_records import AffectedFile, Recall


def affected(connection: Connection, needle: str, limit: int) -> Recall:
    """Every shipped file that the needle touches, newest shipment first; at most ``limit`` of them."""
    matched: set[str] = set()
    stacks = _stacks_of(connection, needle, matched)
    pairs = _licensed_pairs(connection, needle, matched)
    outputs = _is_output(connection, needle)
    if outputs:
        matched.add("output")
    files: dict[tuple[str, int], AffectedFile] = {}
    for condition in _conditions(needle, stacks, pairs, outputs=outputs):
        for row in connection.execute(_items(condition, limit + 1)).mappings():
            files.setdefault((row["shipment_id"], row["position"]), _affected_file(row))
    ordered = sorted(files.items(), key=lambda item: (item[1].shipped_at, item[0]), reverse=True)
    return Recall(
        needle=needle,
        matched=tuple(sorted(matched)),
        stacks=tuple(sorted(stacks | {stack_id for _, stack_id in pairs})),
        files=tuple(file for _, file in ordered[:limit]),
        is_cut=len(ordered) > limit,
    )


def _stacks_of(connection: Connection, needle: str, matched: set[str]) -> set[str]:
    """Stacks with this file, pin, repository or id."""
    parts, files, whole = tables.stack_parts, tables.stack_files, tables.stacks
    found: set[str] = set()
    for kind, query in (
        ("file", select(files.c.stack_id).where(files.c.sha256 == needle)),
        ("pin", select(parts.c.stack_id).where(parts.c.pin_id == needle)),
        ("repository", select(parts.c.stack_id).where(parts.c.repo == needle)),
        ("stack", select(whole.c.stack_id).where(whole.c.stack_id == needle)),
    ):
        stacks = set(connection.execute(query).scalars())
        if stacks:
            matched.add(kind)
            found |= stacks
    return found


def _licensed_pairs(connection: Connection, needle: str, matched: set[str]) -> set[tuple[str, str]]:
    """(shipment, stack) pairs that stood under this licence or licence text."""
    used = tables.shipment_licences
    found: set[tuple[str, str]] = set()
    for kind, column in (("licence", used.c.licence), ("text", used.c.text_sha256)):
        query = select(used.c.shipment_id, used.c.stack_id).where(column == needle)
        pairs = set(connection.execute(query).all())
        if pairs:
            matched.add(kind)
            found |= pairs
    return found


def _is_output(connection: Connection, needle: str) -> bool:
    items = tables.shipment_items
    query = select(items.c.shipment_id).where(
        or_(items.c.artefact_sha256 == needle, items.c.shipped_sha256 == needle)
    )
    return connection.execute(query.limit(1)).first() is not None


def _conditions(needle: str, stacks: set[str], pairs: set[tuple[str, str]], *, outputs: bool) -> list[Any]:
    items = tables.shipment_items
    conditions: list[Any] = [items.c.stack_id == stack_id for stack_id in sorted(stacks)]
    conditions.extend(
        (items.c.stack_id == stack_id) & (items.c.shipment_id == shipment_id)
        for shipment_id, stack_id in sorted(pairs)
        if stack_id not in stacks
    )
    if outputs:
        conditions.append(or_(items.c.artefact_sha256 == needle, items.c.shipped_sha256 == needle))
    return conditions


def _items(condition: Any, limit: int) -> Select[*tuple[Any, ...]]:
    items, shipped = tables.shipment_items, tables.shipments
    return (
        select(
            items.c.shipment_id,
            items.c.position,
            items.c.job_id,
            items.c.shot,
            items.c.stack_id,
            items.c.artefact_sha256,
            items.c.shipped_sha256,
            items.c.recipient,
            shipped.c.shipped_at,
        )
        .join_from(items, shipped, shipped.c.shipment_id == items.c.shipment_id)
        .where(condition)
        .limit(limit)
    )


def _affected_file(row: Any) -> AffectedFile:
    return AffectedFile(
        shipment_id=row["shipment_id"],
        job_id=row["job_id"],
        shot=row["shot"],
        stack_id=row["stack_id"],
        artefact_sha256=row["artefact_sha256"],
        shipped_sha256=row["shipped_sha256"],
        recipient=row["recipient"],
        shipped_at=row["shipped_at"],
    )
