"""Live sessions and what each delivered: part of the schema of ``registry.tables``, and under its rules."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Named, Table, Text, TypedColumns, text

from registry.instants import Instant
from registry.tables import metadata

OPEN_SESSION = text("ended_at IS NULL")


class LiveSessionColumns(TypedColumns):
    session_id: Named[str] = Column(primary_key=True)
    actor: Named[str]
    recipient: Named[str]
    act: Named[str]
    plan_hash: Named[str]
    stack_id: Named[str] = Column(ForeignKey("stacks.stack_id"))
    method: Named[str]
    worker: Named[str]  # host:pid of whoever makes its frames
    holder: Named[str]  # the process that answers it
    loaded_json: Named[str] = Column(Text)  # [[repo/path, sha256], ...] as attested at load
    started_at: Named[datetime] = Column(Instant)
    ended_at: Named[datetime | None] = Column(Instant)
    ended_because: Named[str] = Column(Text)
    frames: Named[int] = Column(BigInteger)  # delivered
    dropped: Named[int] = Column(BigInteger)
    bytes_sent: Named[int] = Column(BigInteger)
    segments: Named[int]
    head: Named[str]  # hash of the last segment


class LiveSegmentColumns(TypedColumns):
    session_id: Named[str] = Column(ForeignKey("live_sessions.session_id"), primary_key=True)
    number: Named[int] = Column(primary_key=True)
    frames_json: Named[str] = Column(Text)  # [[frame, sha256], ...]
    bytes_sent: Named[int] = Column(BigInteger)
    previous: Named[str]
    hash: Named[str]
    written_at: Named[datetime] = Column(Instant)


live_sessions = Table(
    "live_sessions",
    metadata,
    LiveSessionColumns,
    Index(None, "stack_id"),
    Index("ix_live_sessions_open", "session_id", sqlite_where=OPEN_SESSION, postgresql_where=OPEN_SESSION),
)
live_segments = Table("live_segments", metadata, LiveSegmentColumns)
