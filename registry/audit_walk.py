"""Walking the audit log: every event, every guard, and every checkpoint that was ever signed over it.

Rows come a page at a time and are forgotten, so a million events need no more memory than a thousand.
The chain shows what was changed, removed or reordered; the head row shows a tail that was cut; a
checkpoint from outside the database shows a log that was cut or made anew together with its head.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from policy.audit import GENESIS_HASH, hash_fields, payload_digest
from policy.checkpoints import RESEAL_TAG, Checkpoint, Reseal, message_of, reseal_message
from policy.identities import KEY_TAG, IdentityRole
from registry.checkpoints import Checkpoints
from registry.database import READ_ONLY
from registry.database_faults import explain_fault
from registry.evidence.keys import is_vouched_for
from registry.guard_inspection import account_powers, missing_guards
from registry.merkle import GrowingTree
from registry.tables import audit_events, audit_head

PAGE = 5_000  # rows read at a time while walking: memory stays flat
FIELDS = audit_events.c
COLUMNS = (
    FIELDS.seq,
    FIELDS.ts,
    FIELDS.actor,
    FIELDS.tag,
    FIELDS.subject,
    FIELDS.payload,
    FIELDS.payload_hash,
    FIELDS.prev_hash,
    FIELDS.hash,
)


class CheckReason(StrEnum):
    """Why a log does not hold, the worst first; each ends `audit verify` with a code of its own."""

    BROKEN = "broken"  # an event was changed, removed, added or reordered
    TRUNCATED = "truncated"  # the end is missing
    CHECKPOINT_MISMATCH = "checkpoint_mismatch"  # it holds, but is not the log that was signed
    GUARD_MISSING = "guard_missing"  # it holds, and nothing would stop a change


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditCheck:
    """What a walk over the chain found."""

    ok: bool
    rows: int  # events that hold, from the first on
    broken_at: int | None  # seq of the first event that does not
    detail: str  # one sentence for a person
    guards_missing: tuple[str, ...]
    head: str  # hash of the head row: what a copy kept elsewhere is compared with
    reason: CheckReason | None = None  # the worst of what was found; null where the log holds
    root: str = ""  # Merkle root over the events that hold
    checkpoints: int = 0  # signed tree heads that the log was compared with
    restored: tuple[Reseal, ...] = ()  # backups that were restored, oldest first


@dataclass(kw_only=True)
class _Walk:
    """Where a walk has come to."""

    seq: int = 0
    previous: str = GENESIS_HASH
    tree: GrowingTree = field(default_factory=GrowingTree)
    fault: str = ""
    compared: int = 0
    differing: list[tuple[Checkpoint, str]] = field(default_factory=list)  # and what is wrong with each
    mismatches: list[str] = field(default_factory=list)
    reseals: list[Reseal] = field(default_factory=list)
    houses: dict[str, str] = field(default_factory=dict)  # public halves of the house's keys by key id

    @property
    def abandoned(self) -> set[tuple[int, str]]:
        """Size and root of every checkpoint that a restored backup left behind."""
        return {one for reseal in self.reseals for one in reseal.abandoned}


def verify(engine: Engine, *, page: int = PAGE, copies: Sequence[Checkpoint] = ()) -> AuditCheck:
    """Walk the whole chain in one consistent view, and compare it with the checkpoints.

    ``copies`` are checkpoints that were kept outside the database. Without any, whoever can
    rewrite the chain, its head and the checkpoints of the database together is not caught.
    """
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.execution_options(**{READ_ONLY: True})
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return _check(connection, page, copies)
    except DBAPIError as error:
        raise explain_fault(error) from error


def _check(connection: Connection, page: int, copies: Sequence[Checkpoint]) -> AuditCheck:
    missing = (*missing_guards(connection), *account_powers(connection))
    head = connection.execute(select(audit_head.c.seq, audit_head.c.hash)).one_or_none()
    checkpoints = sorted(
        {*Checkpoints(connection).known(), *copies}, key=lambda one: (one.size, one.root, one.at, one.key_id)
    )
    walk = _walk(connection, page, checkpoints)
    reason, broken_at, detail = _judge(walk, head, checkpoints)
    if reason is None and missing:
        reason, detail = CheckReason.GUARD_MISSING, f"Guards are missing or changed: {', '.join(missing)}."
    return AuditCheck(
        ok=reason is None,
        rows=walk.seq,
        broken_at=broken_at,
        detail=detail or _holds(walk),
        guards_missing=missing,
        head="" if head is None else head[1],
        reason=reason,
        root=walk.tree.root().hex(),
        checkpoints=walk.compared,
        restored=tuple(walk.reseals),
    )


def _holds(walk: _Walk) -> str:
    if not walk.reseals:
        return "The chain holds."
    last = walk.reseals[-1]
    lost = last.old_head[0] - last.new_head[0]
    return (
        f"The chain holds. It was restored from a backup on {last.at[:10]}: it ended at event "
        f"{last.new_head[0]:,}, and {lost:,} later events were lost."
    )


def _judge(
    walk: _Walk, head: Any, checkpoints: Sequence[Checkpoint]
) -> tuple[CheckReason | None, int | None, str]:
    """The worst of what was found: reason, first event that does not hold, a sentence."""
    if walk.fault:
        return CheckReason.BROKEN, walk.seq + 1, walk.fault
    if head is None:
        return CheckReason.BROKEN, walk.seq + 1, "The head row is gone."
    if (head[0], head[1]) != (walk.seq, walk.previous):
        told = (
            f"The chain ends at event {walk.seq}, but its head says {head[0]}: the tail was cut or added to."
        )
        reason = CheckReason.TRUNCATED if walk.seq < head[0] else CheckReason.BROKEN
        return reason, min(walk.seq, head[0]) + 1, told
    abandoned = walk.abandoned
    beyond = [one for one in checkpoints if one.size > walk.seq and (one.size, one.root) not in abandoned]
    if beyond:
        told = f"The chain ends at event {walk.seq}, but {beyond[-1].size} were signed over: the end is gone."
        return CheckReason.TRUNCATED, walk.seq + 1, told
    if walk.mismatches:
        return CheckReason.CHECKPOINT_MISMATCH, None, walk.mismatches[0]
    return None, None, ""


def _walk(connection: Connection, page: int, checkpoints: Sequence[Checkpoint]) -> _Walk:
    walk = _Walk()
    signed = {size: tuple(group) for size, group in groupby(checkpoints, key=lambda one: one.size)}
    for row in _rows(connection, page):
        fault = _fault_of(row, walk.seq, walk.previous)
        if fault is not None:
            walk.fault = fault
            return walk
        if row[3] == KEY_TAG:
            _note_key(walk, row)
        elif row[3] == RESEAL_TAG:
            _note_reseal(walk, row)
        walk.seq, walk.previous = row[0], row[8]
        walk.tree.add(bytes.fromhex(walk.previous))
        if walk.seq in signed:
            _compare(walk, signed[walk.seq])
    abandoned = walk.abandoned
    walk.mismatches += [told for one, told in walk.differing if (one.size, one.root) not in abandoned]
    return walk


def _compare(walk: _Walk, signed: Sequence[Checkpoint]) -> None:
    """Compare the log so far with what was signed at this size."""
    root = walk.tree.root().hex()
    for one in signed:
        walk.compared += 1
        if not _is_by_the_house(walk, one.key_id, message_of(one), one.signature):
            told = f"The checkpoint of {one.size:,} events is not signed by a key of the house."
            walk.differing.append((one, told))
        elif (one.root, one.head) != (root, walk.previous):
            told = f"The first {one.size:,} events are not the ones that the checkpoint of {one.at} signed."
            walk.differing.append((one, told))


def _note_reseal(walk: _Walk, row: Any) -> None:
    """Keep a reseal that the house signed over the very event before it; another one is a mismatch."""
    reseal = reseal_of(row[0], row[1], row[2], row[5])
    is_true = (
        reseal is not None
        and reseal.new_head == (walk.seq, walk.previous)
        and _is_by_the_house(walk, reseal.key_id, reseal_message(reseal), reseal.signature)
    )
    if reseal is not None and is_true:
        walk.reseals.append(reseal)
    else:
        walk.mismatches.append(f"Event {row[0]} claims a restored backup, and no key of the house says so.")


def reseal_of(seq: int, ts: str, actor: str, payload: str) -> Reseal | None:
    """The reseal that an event tells of; None where its payload tells of none."""
    try:
        told = json.loads(payload)
        return Reseal(
            seq=seq,
            at=ts,
            actor=actor,
            reason=told["reason"],
            old_head=(told["old_head"][0], told["old_head"][1]),
            new_head=(told["new_head"][0], told["new_head"][1]),
            abandoned=tuple((size, root) for size, root in told["abandoned"]),
            key_id=str(told["key_id"]),
            signature=str(told["signature"]),
        )
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _is_by_the_house(walk: _Walk, key_id: str, message: bytes, signature: str) -> bool:
    """Whether a key signed that an earlier event of this very chain made a key of the house."""
    return is_vouched_for(key_id, walk.houses.get(key_id, ""), message, signature)


def _note_key(walk: _Walk, row: Any) -> None:
    """Learn a key of the house from the event that created it, not from a table that anybody could edit."""
    try:
        told = json.loads(row[5])
        if told["role"] == IdentityRole.HOUSE:
            walk.houses[row[4]] = str(told["public"])
    except (ValueError, KeyError, TypeError):
        walk.mismatches.append(f"Event {row[0]} creates a key and does not say which.")


def _rows(connection: Connection, page: int) -> Iterator[Any]:
    """Every event by seq, a page at a time."""
    query = select(*COLUMNS).order_by(FIELDS.seq).limit(page)
    rows = connection.execute(query).all()
    while rows:
        yield from rows
        rows = connection.execute(query.where(FIELDS.seq > rows[-1][0])).all()


def _fault_of(row: Any, last: int, previous: str) -> str | None:
    """What is wrong with the event that follows number ``last``; None when it holds."""
    seq, ts, actor, tag, subject, payload, payload_hash, prev_hash, found = row
    if seq != last + 1:
        return f"Event {last + 1} is missing: the next one is {seq}."
    if prev_hash != previous:
        return f"Event {seq} does not follow the one before it: rows were changed, removed or reordered."
    if payload_hash != payload_digest(payload):
        return f"The payload of event {seq} was changed."
    if found != hash_fields(str(seq), ts, actor, tag, subject, payload_hash, prev_hash):
        return f"Event {seq} was changed."
    return None
