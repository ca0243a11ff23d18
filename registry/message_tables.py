"""The table of messages to be sent: part of the schema of ``registry.tables``, and under its rules."""

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Index, Named, Table, Text, TypedColumns, text

from registry.instants import Instant
from registry.tables import metadata

WAITING = text("sent_at IS NULL AND given_up_at IS NULL")


class MessageColumns(TypedColumns):
    message_id: Named[str] = Column(primary_key=True)  # the receiver knows it by this, however often it comes
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"))
    event: Named[str]
    channel: Named[str]
    subject: Named[str] = Column(Text)
    words: Named[str] = Column(Text)  # for a person
    body: Named[str] = Column(Text)  # as it is signed
    made_at: Named[datetime] = Column(Instant)
    due_at: Named[datetime] = Column(Instant)  # not to be tried before
    tries: Named[int]
    attempt: Named[str | None]  # token of the newest try
    fault: Named[str] = Column(Text)  # of the last try; ""
    sent_at: Named[datetime | None] = Column(Instant)
    given_up_at: Named[datetime | None] = Column(Instant)


messages = Table(
    "messages",
    metadata,
    MessageColumns,
    Index(None, "job_id"),
    Index("ix_messages_waiting", "due_at", sqlite_where=WAITING, postgresql_where=WAITING),
)
