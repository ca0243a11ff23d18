"""Cron times as people write them: five fields, read strictly, and the next time that they mean.

What passes here is what Prefect reads in the same way: no seconds, no ``@daily``, no random values.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from policy.errors import WrongUse

EXAMPLE = 'Write five fields, such as "0 19 * * 1-5": at 19:00 from Monday to Friday.'
MONTHS = {
    name: number + 1 for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split())
}
DAYS = {name: number for number, name in enumerate("sun mon tue wed thu fri sat".split())}
NAMES: dict[str, dict[str, int]] = {"month": MONTHS, "day of the week": DAYS}
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
ALL_DAYS = 31
SEARCHED_DAYS = 366 * 8 + 1  # 29 February may be eight years away


@dataclass(frozen=True, kw_only=True, slots=True)
class CronTimes:
    """When something comes round; days of the month and of the week add up where both are given."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    any_day: bool
    any_weekday: bool


def parse_cron(text: str) -> CronTimes:
    """Read five fields; anything else is WrongUse naming the field, with an example."""
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise WrongUse(f"The cron text {text!r} has {len(parts)} fields, not five.", EXAMPLE)
    minutes, hours, days, months, weekdays = (
        _field(part, *known, text=text) for part, known in zip(parts, FIELDS, strict=True)
    )
    return CronTimes(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        any_day=len(days) == ALL_DAYS,
        any_weekday={day % 7 for day in weekdays} == set(range(7)),
    )


def parse_zone(name: str) -> ZoneInfo:
    """The IANA zone of this name; WrongUse where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise WrongUse(f"There is no time zone {name!r}.", "Write an IANA zone: Europe/Berlin.") from error


def next_time(times: CronTimes, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The first instant later than ``after``, in UTC; None where it never comes, such as on 30 February."""
    first = after.astimezone(zone).date()
    for offset in range(SEARCHED_DAYS):
        day = first + timedelta(days=offset)
        if day.month not in times.months or not _falls_on(times, day.day, day.isoweekday() % 7):
            continue
        for hour in sorted(times.hours):
            for minute in sorted(times.minutes):
                clock = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                when = clock.astimezone(UTC)
                # An hour that a clock change leaves out does not come back as itself.
                if when > after and when.astimezone(zone).replace(tzinfo=None) == clock.replace(tzinfo=None):
                    return when
    return None


def _falls_on(times: CronTimes, day: int, weekday: int) -> bool:
    """Cron's own rule: with both days given, either is enough."""
    if times.any_day or times.any_weekday:
        return day in times.days and weekday in times.weekdays
    return day in times.days or weekday in times.weekdays


def _field(part: str, name: str, low: int, high: int, *, text: str) -> frozenset[int]:
    found: set[int] = set()
    for item in part.split(","):
        span, slash, step = item.partition("/")
        if slash and (not step.isdecimal() or int(step) == 0):
            raise _unreadable(text, name, item)
        if span == "*":
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _number(start, name, text)
            last = _number(end, name, text) if dash else (high if slash else first)
        if not low <= first <= last <= high:
            raise _unreadable(text, name, item)
        found.update(range(first, last + 1, int(step) if slash else 1))
    return frozenset(found)


def _number(word: str, name: str, text: str) -> int:
    known = NAMES.get(name, {}).get(word.casefold())
    if known is not None:
        return known
    if not (word.isascii() and word.isdecimal()):
        raise _unreadable(text, name, word)
    return int(word)


def _unreadable(text: str, name: str, item: str) -> WrongUse:
    return WrongUse(f"The {name} {item!r} of the cron text {text!r} cannot be read.", EXAMPLE)
