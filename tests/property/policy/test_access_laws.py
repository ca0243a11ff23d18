"""Laws of the bucket: what is waited for is had, and no stream of requests gets past the limit."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from policy.access import Usage
from tests.factories import NOW

RATES = st.integers(min_value=1, max_value=2_000)
STEPS = st.lists(st.integers(min_value=0, max_value=90_000_000), max_size=60)  # microseconds
ANY_STEPS = st.lists(st.integers(min_value=-90_000_000, max_value=90_000_000), max_size=60)


def play(usage: Usage, steps: list[int]) -> list[timedelta]:
    """The moments, since the beginning, of the requests that were let through."""
    now, passed = timedelta(0), []
    for step in steps:
        now += timedelta(microseconds=step)
        if usage.take(NOW + now) is None:
            passed.append(now)
    return passed


@given(RATES, ANY_STEPS)
def test_whoever_waits_as_long_as_told_gets_through(rate: int, steps: list[int]):
    usage = Usage(per_minute=rate, at_once=1)
    play(usage, steps)
    now = NOW + timedelta(microseconds=sum(steps))
    while (wait := usage.take(now)) is None:
        pass  # to the bottom of the bucket
    assert wait.seconds >= 1
    assert usage.take(now + timedelta(seconds=wait.seconds)) is None


@given(st.integers(min_value=1, max_value=10), STEPS)
def test_no_stretch_of_time_sees_more_than_a_bucket_and_what_filled_it(rate: int, steps: list[int]):
    passed = play(Usage(per_minute=rate, at_once=1), steps)
    for first, start in enumerate(passed):
        for last, end in enumerate(passed[first:], first):
            assert (last - first) * 60_000_000 <= rate * 60_000_000 + rate * (
                (end - start) // timedelta.resolution
            )
