"""The audit log: events added in the transaction of the change they tell of, and verified by walking.

The head row is locked before an event is chained to it, so numbers have no gaps and no two
events share a place. The database moves the head itself and refuses everything else
(``registry.audit_guards``); ``verify`` looks for what somebody did past those guards.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, text
from sqlalchemy.exc import DBAPIError

from policy.audit import GENESIS_HASH, AuditEvent, ChainedEvent, chain, row_hash
from policy.canonical import canonical_json
from policy.errors import AuditFault
from registry.audit_guards import (
    LOCK_HEAD,
    POSTGRESQL_FUNCTIONS_V1,
    POSTGRESQL_TRIGGERS_V1,
    SQLITE_GUARDS_V1,
)
from registry.database import READ_ONLY
from registry.database_faults import explain_fault
from registry.instants import instant_text
from registry.tables import audit_events, audit_head

PAGE = 5_000  # rows read at a time while walking: memory stays flat
TAG_PARTS = 3
NO_EVENT = AuditEvent(tag="", actor="", subject="", payload="")


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditCheck:
    """What a walk over the chain found."""

    ok: bool
    rows: int  # events that hold, from the first on
    broken_at: int | None  # seq of the first event that does not
    detail: str  # one sentence for a person
    guards_missing: tuple[str, ...]
    head: str  # hash of the head row: what a copy kept elsewhere is compared with


class AuditLog:
    """The chain of one database, inside one transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, event: AuditEvent, now: datetime) -> ChainedEvent:
        """Chain an event to the head; its payload is canonical JSON text, its tag source:subject:action."""
        _refuse_malformed(event)
        chained = chain(self._head(), event, instant_text(now))
        self._connection.execute(
            insert(audit_events).values(
                seq=chained.seq,
                ts=chained.ts,
                actor=event.actor,
                tag=event.tag,
                subject=event.subject,
                payload=event.payload,
                payload_hash=chained.payload_hash,
                prev_hash=chained.prev_hash,
                hash=chained.hash,
            )
        )
        return chained

    def _head(self) -> ChainedEvent | None:
        """The end of the chain, locked until the transaction ends; None before the first event."""
        if self._connection.dialect.name == "sqlite":  # BEGIN IMMEDIATE holds the only writer's place
            query = select(audit_head.c.seq, audit_head.c.hash)
            row = self._connection.execute(query).one_or_none()
        else:
            query_text = text(f"SELECT seq, hash FROM {LOCK_HEAD}")  # noqa: S608 - a constant of ours
            row = self._connection.execute(query_text).one_or_none()
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


# Verifying


def verify(engine: Engine, *, page: int = PAGE) -> AuditCheck:
    """Walk the whole chain in one consistent view; finds what was changed, removed, added or reordered.

    Cutting the tail shows because the head stays behind it. Whoever can rewrite tail and
    head together is caught only by a copy of the head kept elsewhere.
    """
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.execution_options(**{READ_ONLY: True})
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return _walk(connection, page)
    except DBAPIError as error:
        raise explain_fault(error) from error


def _walk(connection: Connection, page: int) -> AuditCheck:
    missing = _missing_guards(connection)
    head = connection.execute(select(audit_head.c.seq, audit_head.c.hash)).one_or_none()
    head_seq, head_hash = (0, "") if head is None else head
    seq, previous = 0, GENESIS_HASH
    for event in _stream(connection, page):
        fault = _fault_of(event, seq, previous)
        if fault is not None:
            return _check(seq, broken_at=seq + 1, detail=fault, missing=missing, head=head_hash)
        seq, previous = event.seq, event.hash
    if head is None:
        return _check(seq, broken_at=seq + 1, detail="The head row is gone.", missing=missing, head="")
    if (head_seq, head_hash) != (seq, previous):
        detail = f"The chain ends at event {seq}, but its head says {head_seq}: the tail was cut or added to."
        return _check(seq, broken_at=min(seq, head_seq) + 1, detail=detail, missing=missing, head=head_hash)
    return _check(seq, broken_at=None, detail="", missing=missing, head=head_hash)


def _check(
    rows: int, *, broken_at: int | None, detail: str, missing: tuple[str, ...], head: str
) -> AuditCheck:
    ok = broken_at is None and not missing
    words = detail or (
        f"Guards are missing or changed: {', '.join(missing)}." if missing else "The chain holds."
    )
    return AuditCheck(ok=ok, rows=rows, broken_at=broken_at, detail=words, guards_missing=missing, head=head)


def _stream(connection: Connection, page: int) -> Iterator[ChainedEvent]:
    """Every event by seq, a page at a time."""
    after: int | None = None
    while True:
        query = select(audit_events).order_by(audit_events.c.seq).limit(page)
        if after is not None:
            query = query.where(audit_events.c.seq > after)
        rows = connection.execute(query).mappings().all()
        if not rows:
            return
        for row in rows:
            yield _chained(row)
        after = rows[-1]["seq"]


def _fault_of(event: ChainedEvent, seq: int, previous: str) -> str | None:
    """What is wrong with the event that follows ``seq``; None when it holds."""
    if event.seq != seq + 1:
        return f"Event {seq + 1} is missing: the next one is {event.seq}."
    if event.prev_hash != previous:
        return (
            f"Event {event.seq} does not follow the one before it: rows were changed, removed or reordered."
        )
    expected = chain(None, event.event, event.ts).payload_hash
    if event.payload_hash != expected:
        return f"The payload of event {event.seq} was changed."
    if event.hash != row_hash(
        seq=event.seq, ts=event.ts, event=event.event, payload_hash=expected, prev_hash=previous
    ):
        return f"Event {event.seq} was changed."
    return None


def _missing_guards(connection: Connection) -> tuple[str, ...]:
    """Guards that are gone, disabled or differ from the ones that the migration created."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
        standing = {name: _squeezed(sql) for name, sql in rows}
        return tuple(name for name, sql in SQLITE_GUARDS_V1.items() if standing.get(name) != _squeezed(sql))
    functions: dict[str, str] = dict(
        connection.execute(
            text(
                "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
                " AND proname LIKE 'rightstep%'"
            )
        ).all()
    )
    triggers: dict[str, str] = dict(
        connection.execute(
            text(
                "SELECT tgname, pg_get_triggerdef(pg_trigger.oid, true) FROM pg_trigger"
                " JOIN pg_class ON pg_class.oid = tgrelid"
                " WHERE relnamespace = current_schema()::regnamespace"
                " AND NOT tgisinternal AND tgenabled = 'O'"
            )
        ).all()
    )
    return (
        *(
            name
            for name, sql in POSTGRESQL_FUNCTIONS_V1.items()
            if _squeezed(functions.get(name, "")) != _squeezed(sql.split("$guard$")[1])
        ),
        *(
            name
            for name, sql in POSTGRESQL_TRIGGERS_V1.items()
            if _squeezed(triggers.get(name, "")) != _squeezed(sql)
        ),
    )


def _squeezed(sql: str) -> str:
    return " ".join(sql.split())
