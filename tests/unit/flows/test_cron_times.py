"""Cron times: what is read, what is refused, and when it comes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from flows.cron_times import next_time, parse_cron, parse_zone
from policy.errors import WrongUse

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("* * * * *", "2026-03-02T10:00:30", "2026-03-02T10:01:00"),
        ("0 19 * * 1-5", "2026-03-06T19:00:00", "2026-03-09T19:00:00"),  # Friday evening: Monday
        ("*/15 8-10 * * *", "2026-03-02T10:46:00", "2026-03-03T08:00:00"),
        ("5,35 0 1 jan,jul *", "2026-03-02T00:00:00", "2026-07-01T00:05:00"),
        ("0 0 * * sun", "2026-03-02T00:00:00", "2026-03-08T00:00:00"),
        ("0 0 * * 7", "2026-03-02T00:00:00", "2026-03-08T00:00:00"),
        ("0 0 13 * 5", "2026-03-02T00:00:00", "2026-03-06T00:00:00"),  # either day is enough
        ("0 0 29 2 *", "2026-03-02T00:00:00", "2028-02-29T00:00:00"),
        ("10/20 0 * * *", "2026-03-02T00:11:00", "2026-03-02T00:30:00"),
    ],
)
def test_the_next_time_is_the_one_that_cron_means(cron: str, after: str, expected: str):
    assert next_time(parse_cron(cron), ZoneInfo("UTC"), at(after)) == at(expected)


def test_times_are_those_of_the_zone_in_winter_and_in_summer():
    times = parse_cron("0 19 * * *")
    assert next_time(times, BERLIN, at("2026-01-10T00:00:00")) == at("2026-01-10T18:00:00")
    assert next_time(times, BERLIN, at("2026-07-10T00:00:00")) == at("2026-07-10T17:00:00")


def test_an_hour_that_the_clocks_skip_is_waited_for_until_the_next_day():
    assert next_time(parse_cron("30 2 * * *"), BERLIN, at("2026-03-29T00:00:00")) == at("2026-03-30T00:30:00")


def test_a_date_that_never_comes_has_no_next_time():
    assert next_time(parse_cron("0 0 30 2 *"), BERLIN, at("2026-03-29T00:00:00")) is None


@pytest.mark.parametrize(
    ("cron", "told"),
    [
        ("0 19 * *", "4 fields"),
        ("@daily", "1 fields"),
        ("0 24 * * *", "hour '24'"),
        ("61 1 * * *", "minute '61'"),
        ("0 0 0 * *", "day '0'"),
        ("0 0 * foo *", "month 'foo'"),
        ("0 0 * * 5-1", "day of the week '5-1'"),
        ("*/0 * * * *", "minute '*/0'"),
        ("R * * * *", "minute 'R'"),
        ("1,,2 * * * *", "minute ''"),
        ("² * * * *", "minute '²'"),
    ],
)
def test_what_cannot_be_read_is_named_and_an_example_given(cron: str, told: str):
    with pytest.raises(WrongUse) as caught:
        parse_cron(cron)
    assert told in caught.value.message
    assert "0 19 * * 1-5" in caught.value.next_step


def test_an_unknown_zone_is_named():
    with pytest.raises(WrongUse, match="Europe/Atlantis"):
        parse_zone("Europe/Atlantis")
