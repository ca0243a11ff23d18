"""Moments as the database keeps them: one text form, everywhere the same.

``2026-01-31T08:00:00.000000Z``: UTC, always microseconds, so that text order is time order
in both databases and a moment reads the same in SQL, in the audit chain and in JSON.
"""

from datetime import UTC, datetime
from functools import lru_cache

from sqlalchemy import String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@lru_cache(maxsize=64)  # a settled chunk writes one moment hundreds of times
def instant_text(moment: datetime) -> str:
    """The one text of a moment; a moment without a zone raises ValueError, because it names none."""
    if moment.tzinfo is None:
        raise ValueError("A moment needs a time zone.")
    return moment.astimezone(UTC).strftime(FORMAT)


def parse_instant(text: str) -> datetime:
    """Read the text back as an aware datetime in UTC."""
    return datetime.fromisoformat(text)


class Instant(TypeDecorator[datetime]):
    """An aware datetime in Python, its one text form in the database."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else instant_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else parse_instant(value)
