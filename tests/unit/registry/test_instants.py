"""A moment has one text, and text order is time order."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.instants import instant_text, parse_instant

MOMENTS = st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone


@given(MOMENTS)
def test_a_moment_reads_back_as_it_was(moment: datetime):
    assert parse_instant(instant_text(moment)) == moment


@given(MOMENTS, MOMENTS)
def test_the_earlier_moment_has_the_smaller_text(one: datetime, other: datetime):
    assert (one < other) == (instant_text(one) < instant_text(other))


def test_the_same_moment_in_two_zones_has_one_text():
    berlin = datetime(2026, 1, 31, 9, 0, tzinfo=timezone(timedelta(hours=1)))
    assert instant_text(berlin) == "2026-01-31T08:00:00.000000Z" == instant_text(berlin.astimezone(UTC))


def test_a_moment_without_a_zone_has_no_text():
    with pytest.raises(ValueError, match="time zone"):
        instant_text(datetime(2026, 1, 31))  # noqa: DTZ001 - what is refused
