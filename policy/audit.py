"""Audit events and the hash chain, as pure functions: format version 1.

A row's hash covers the domain tag, then every field prefixed by its length in bytes, so
that no two different rows can ever be written as the same bytes.
"""

import hashlib
from dataclasses import dataclass

AUDIT_DOMAIN = "rightstep:audit-event/v1"
GENESIS_HASH = "0" * 64


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEvent:
    """Something that happened, as it will be chained; ``tag`` is source:subject:action."""

    tag: str  # such as "shipment:licence:denied"
    actor: str
    subject: str  # job, shipment, pin or licence id
    payload: str  # canonical JSON text


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainedEvent:
    """An event in its place in the chain."""

    seq: int  # 1, 2, 3 ... without gaps
    ts: str  # UTC, microseconds, "2026-01-31T08:00:00.000000Z"
    event: AuditEvent
    payload_hash: str
    prev_hash: str
    hash: str


def chain(previous: ChainedEvent | None, event: AuditEvent, ts: str) -> ChainedEvent:
    """Put an event after ``previous`` (None: the first of all)."""
    seq = 1 if previous is None else previous.seq + 1
    prev_hash = GENESIS_HASH if previous is None else previous.hash
    payload_hash = payload_digest(event.payload)
    return ChainedEvent(
        seq=seq,
        ts=ts,
        event=event,
        payload_hash=payload_hash,
        prev_hash=prev_hash,
        hash=row_hash(seq=seq, ts=ts, event=event, payload_hash=payload_hash, prev_hash=prev_hash),
    )


def row_hash(*, seq: int, ts: str, event: AuditEvent, payload_hash: str, prev_hash: str) -> str:
    """sha256 over the length-prefixed fields of a row."""
    return hash_fields(str(seq), ts, event.actor, event.tag, event.subject, payload_hash, prev_hash)


def hash_fields(*fields: str) -> str:
    """sha256 over the domain tag and the fields of a row as they stand there, each prefixed by its length."""
    parts = [_DOMAIN_PREFIXED]
    for field in fields:
        raw = field.encode()
        parts += (len(raw).to_bytes(8, "big"), raw)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def payload_digest(payload: str) -> str:
    """sha256 of a payload as it is written: what stands for it in the row's hash."""
    return hashlib.sha256(payload.encode()).hexdigest()


_DOMAIN_PREFIXED = len(AUDIT_DOMAIN.encode()).to_bytes(8, "big") + AUDIT_DOMAIN.encode()
