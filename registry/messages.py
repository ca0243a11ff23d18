"""The outbox: messages about jobs, written in the transaction of what they tell of and sent after it.

A try is taken before it is made, for a while: whoever is killed in the middle leaves the message due again,
under the same id. So a kill may send a message twice, and never loses one.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, insert, select, update

from policy.messages import Channel, Event, JobNews, seconds_until_next
from registry.instants import Instant
from registry.message_tables import messages

IS_WAITING = and_(messages.c.sent_at.is_(None), messages.c.given_up_at.is_(None))
IS_DUE = (
    select(messages.c.message_id)
    .where(IS_WAITING, messages.c.due_at <= bindparam("now", type_=Instant))
    .limit(1)
)
DUE = (
    select(messages)
    .where(IS_WAITING, messages.c.due_at <= bindparam("now", type_=Instant))
    .order_by(messages.c.due_at, messages.c.message_id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
THE_TRY = update(messages).where(
    messages.c.message_id == bindparam("b_message_id"), messages.c.attempt == bindparam("b_attempt")
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageRecord:
    """A message as it stands."""

    message_id: str
    job_id: str
    event: Event
    channel: Channel
    subject: str
    words: str
    body: str
    made_at: datetime
    due_at: datetime
    tries: int
    attempt: str | None
    fault: str
    sent_at: datetime | None
    given_up_at: datetime | None


class Messages:
    """The outbox of one database, inside one transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, news: JobNews, channel: Channel) -> str:
        """Write a message that is due at once; returns its id."""
        message_id = f"msg_{secrets.token_hex(12)}"
        row = {
            "message_id": message_id,
            "job_id": news.job_id,
            "event": news.event.value,
            "channel": channel.value,
            "subject": news.subject,
            "words": news.text,
            "body": news.body,
            "made_at": news.at,
            "due_at": news.at,
            "tries": 0,
            "fault": "",
        }
        self._connection.execute(insert(messages), row)
        return message_id

    def has_due(self, now: datetime) -> bool:
        """Whether there is anything to take, for whoever need not wait to write."""
        return self._connection.execute(IS_DUE, {"now": now}).first() is not None

    def take(self, now: datetime, seconds: float) -> MessageRecord | None:
        """The message that is due longest, taken for so long; None where none is due."""
        row = self._connection.execute(DUE, {"now": now}).mappings().one_or_none()
        if row is None:
            return None
        taken = {
            "due_at": now + timedelta(seconds=seconds),
            "tries": row["tries"] + 1,
            "attempt": secrets.token_hex(8),
        }
        this_one = messages.c.message_id == row["message_id"]
        self._connection.execute(update(messages).where(this_one).values(taken))
        return _record({**row, **taken})

    def note_sent(self, taken: MessageRecord, now: datetime) -> bool:
        """Say that a try arrived; False where another try was begun meanwhile."""
        return self._settle(taken, {"sent_at": now, "fault": ""})

    def note_failed(self, taken: MessageRecord, fault: str, now: datetime, *, is_final: bool = False) -> bool:
        """Say that a try failed: it is due again later, or given up, which is what True means."""
        wait = None if is_final else seconds_until_next(taken.tries)
        ends = wait is None
        due_at = now if wait is None else now + timedelta(seconds=wait)
        values = {"fault": fault, "due_at": due_at, "given_up_at": now if ends else None}
        return self._settle(taken, values) and ends

    def _settle(self, taken: MessageRecord, values: Mapping[str, object]) -> bool:
        asked = {"b_message_id": taken.message_id, "b_attempt": taken.attempt}
        return self._connection.execute(THE_TRY.values(values), asked).rowcount == 1

    def newest(self, limit: int = 100) -> tuple[MessageRecord, ...]:
        """Messages, newest first, sent ones too."""
        query = select(messages).order_by(messages.c.made_at.desc(), messages.c.message_id).limit(limit)
        return tuple(_record(dict(row)) for row in self._connection.execute(query).mappings())


def _record(row: dict[str, Any]) -> MessageRecord:
    known: dict[str, Any] = {
        **row,
        "event": Event(row["event"]),
        "channel": Channel(row["channel"]),
    }
    return MessageRecord(**known)
