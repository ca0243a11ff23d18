"""The audit log: events added in the transaction of the change they tell of.

The head row is locked before an event is chained to it, so numbers have no gaps and no two
events share a place. The database moves the head itself and refuses everything else
(``registry.audit_guards``); ``registry.audit_walk`` looks for what somebody did past those guards.
"""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text

from policy.audit import AuditEvent, ChainedEvent, chain
from policy.canonical import canonical_json
from policy.errors import AuditFault
from registry.audit_guards import LOCK_HEAD
from registry.bulk import add_rows
from registry.instants import instant_text
from registry.tables import audit_events, audit_head

TAG_PARTS = 3
HEAD = select(audit_head.c.seq, audit_head.c.hash)
LOCKED_HEAD = text(f"SELECT seq, hash FROM {LOCK_HEAD}")  # noqa: S608 - a constant of ours
NO_EVENT = AuditEvent(tag="", actor="", subject="", payload="")


class AuditLog:
    """The chain of one database, inside one transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, event: AuditEvent, now: datetime) -> ChainedEvent:
        """Chain an event to the head; its payload is canonical JSON text, its tag source:subject:action."""
        _refuse_malformed(event)
        chained = chain(self._head(), event, instant_text(now))
        add_rows(self._connection, audit_events, [row_of(chained)])
        return chained

    def _head(self) -> ChainedEvent | None:
        """The end of the chain, locked until the transaction ends; None before the first event."""
        if self._connection.dialect.name == "sqlite":  # BEGIN IMMEDIATE holds the only writer's place
            row = self._connection.execute(HEAD).one_or_none()
        else:
            row = self._connection.execute(LOCKED_HEAD).one_or_none()
        if row is None:
            raise AuditFault("The audit log has lost its head.", "Run: rightstep audit verify.")
        seq, head_hash = row
        if seq == 0:
            return None
        return ChainedEvent(seq=seq, ts="", event=NO_EVENT, payload_hash="", prev_hash="", hash=head_hash)

    def events(
        self, *, subject: str | None = None, after: int = 0, limit: int = 1000
    ) -> tuple[ChainedEvent, ...]:
        """Events in order, after a seq; of one subject, or of all."""
        query = (
            select(audit_events).where(audit_events.c.seq > after).order_by(audit_events.c.seq).limit(limit)
        )
        if subject is not None:
            query = query.where(audit_events.c.subject == subject)
        return tuple(_chained(row) for row in self._connection.execute(query).mappings())

    def latest(self, limit: int) -> tuple[ChainedEvent, ...]:
        """The last events, newest first."""
        query = select(audit_events).order_by(audit_events.c.seq.desc()).limit(limit)
        return tuple(_chained(row) for row in self._connection.execute(query).mappings())

    def event(self, seq: int) -> ChainedEvent | None:
        """One event by its number; None where there is none."""
        query = select(audit_events).where(audit_events.c.seq == seq)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _chained(row)


def row_of(chained: ChainedEvent) -> dict[str, str | int]:
    """An event as its row has it: what is hashed, and what leaves in an export."""
    return {
        "seq": chained.seq,
        "ts": chained.ts,
        "actor": chained.event.actor,
        "tag": chained.event.tag,
        "subject": chained.event.subject,
        "payload": chained.event.payload,
        "payload_hash": chained.payload_hash,
        "prev_hash": chained.prev_hash,
        "hash": chained.hash,
    }


def _refuse_malformed(event: AuditEvent) -> None:
    if len(event.tag.split(":")) != TAG_PARTS or not all(event.tag.split(":")):
        raise AuditFault(f"{event.tag!r} is no audit tag.", "Write source:subject:action.")
    try:
        is_canonical = canonical_json(json.loads(event.payload)) == event.payload
    except ValueError:
        is_canonical = False
    if not is_canonical:
        raise AuditFault(
            f"The payload of {event.tag} is not canonical JSON.",
            "Write it with policy.canonical.canonical_json.",
        )


def _chained(row: Any) -> ChainedEvent:
    return ChainedEvent(
        seq=row["seq"],
        ts=row["ts"],
        event=AuditEvent(tag=row["tag"], actor=row["actor"], subject=row["subject"], payload=row["payload"]),
        payload_hash=row["payload_hash"],
        prev_hash=row["prev_hash"],
        hash=row["hash"],
    )
