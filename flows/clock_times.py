"""Deadlines as people write them: an ISO time, or HH:MM in a zone, which means its next occurrence."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from policy.errors import ManifestRejected

CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::00)?")


def resolve_deadline(text: str, zone: str, now: datetime) -> datetime:
    """The instant in UTC; ``now`` is aware. HH:MM of this very minute means tomorrow."""
    clock = CLOCK.fullmatch(text.strip())
    if clock:
        return _next_occurrence(int(clock[1]), int(clock[2]), ZoneInfo(zone), now)
    try:
        when = datetime.fromisoformat(text.strip())
        return (when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ManifestRejected(
            f"The deadline {text!r} is neither HH:MM nor an ISO time.",
            "Write 08:00 or 2026-01-31T08:00+01:00.",
        ) from error


def _next_occurrence(hour: int, minute: int, zone: ZoneInfo, now: datetime) -> datetime:
    """Wall-clock time in the zone, so that a night with a clock change is an hour longer or shorter."""
    local = now.astimezone(zone)
    for days in (0, 1):
        day = local.date() + timedelta(days=days)
        for fold in (0, 1):  # an hour that a clock change repeats comes twice
            clock = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone, fold=fold)
            if (when := clock.astimezone(UTC)) > now:
                return when
    raise AssertionError("tomorrow is always later than now")
