"""Deadlines as people write them, in zones whose clocks change."""

from datetime import UTC, datetime

import pytest

from flows.clock_times import resolve_deadline
from policy.errors import ManifestRejected

BERLIN = "Europe/Berlin"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "zone", "now", "meant"),
    [
        ("08:00", "UTC", utc(2026, 1, 31, 7, 59), utc(2026, 1, 31, 8, 0)),
        ("08:00", "UTC", utc(2026, 1, 31, 8, 1), utc(2026, 2, 1, 8, 0)),
        ("8:00", BERLIN, utc(2026, 1, 31, 19, 0), utc(2026, 2, 1, 7, 0)),
        (" 23:30 ", "America/New_York", utc(2026, 1, 31, 19, 0), utc(2026, 2, 1, 4, 30)),
        ("00:00", "Asia/Kathmandu", utc(2026, 1, 31, 19, 0), utc(2026, 2, 1, 18, 15)),
    ],
)
def test_a_time_of_day_means_its_next_occurrence_in_the_zone(text, zone, now, meant):
    assert resolve_deadline(text, zone, now) == meant


@pytest.mark.parametrize("second", [0, 1, 59])
def test_the_time_of_this_very_minute_means_tomorrow(second):
    now = utc(2026, 1, 31, 8, 0, second)
    assert resolve_deadline("08:00", "UTC", now) == utc(2026, 2, 1, 8, 0)


def test_a_night_with_a_clock_change_is_an_hour_shorter_or_longer():
    spring, autumn = utc(2026, 3, 28, 21, 0), utc(2026, 10, 24, 20, 0)  # both 22:00 in Berlin
    assert (resolve_deadline("08:00", BERLIN, spring) - spring).total_seconds() == 9 * 3600
    assert (resolve_deadline("08:00", BERLIN, autumn) - autumn).total_seconds() == 11 * 3600


def test_an_hour_that_is_skipped_is_taken_after_the_change():
    assert resolve_deadline("02:30", BERLIN, utc(2026, 3, 28, 21, 0)) == utc(2026, 3, 29, 1, 30)


def test_an_hour_that_comes_twice_is_still_to_come_once():
    first = resolve_deadline("02:30", BERLIN, utc(2026, 10, 24, 20, 0))
    assert first == utc(2026, 10, 25, 0, 30)
    assert resolve_deadline("02:30", BERLIN, utc(2026, 10, 25, 0, 45)) == utc(2026, 10, 25, 1, 30)
    assert resolve_deadline("02:30", BERLIN, utc(2026, 10, 25, 1, 45)) == utc(2026, 10, 26, 1, 30)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-02-03T08:00:00+01:00", utc(2026, 2, 3, 7)),
        ("2026-02-03T08:00Z", utc(2026, 2, 3, 8)),
        ("2026-02-03T08:00", utc(2026, 2, 3, 7)),
        ("2026-02-03", utc(2026, 2, 2, 23)),
    ],
)
def test_an_iso_time_without_an_offset_is_in_the_zone(text, meant):
    assert resolve_deadline(text, BERLIN, utc(2026, 1, 1)) == meant


@pytest.mark.parametrize(
    "text", ["tomorrow", "25:00", "24:00", "08:60", "8", "", "08:00:30", "0001-01-01T00:00+14:00"]
)
def test_what_is_neither_is_refused_with_an_example(text):
    with pytest.raises(ManifestRejected, match="neither HH:MM nor an ISO time") as caught:
        resolve_deadline(text, "UTC", utc(2026, 1, 31))
    assert "08:00" in caught.value.next_step
