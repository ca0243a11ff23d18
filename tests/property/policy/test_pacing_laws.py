"""Laws of the pace: a stall is never made up for by a burst, and one that keeps up never drifts."""

from hypothesis import given
from hypothesis import strategies as st

from policy.pacing import LatestSlot, Pace

RATES = st.sampled_from([1.0, 5.0, 10.0, 15.0, 24.0, 30.0, 60.0])
DELAYS = st.lists(st.floats(min_value=0, max_value=3, allow_nan=False), min_size=1, max_size=60)


def begins(fps: float, delays: list[float]) -> tuple[Pace, list[float]]:
    """When frames are begun, where the n-th takes so many seconds to be made."""
    pace, now, found = Pace(fps=fps), 100.0, list[float]()
    for delay in delays:
        now += pace.wait(now)
        pace.begin(now)
        found.append(now)
        now += delay
    return pace, found


@given(RATES, DELAYS)
def test_in_no_stretch_of_time_are_there_more_frames_than_its_rate_and_one_allow(
    fps: float, delays: list[float]
):
    _, found = begins(fps, delays)
    for first, since in enumerate(found):
        for last in range(first, len(found)):
            assert last - first + 1 <= (found[last] - since) * fps + 2 + 1e-6


@given(RATES, st.lists(st.floats(min_value=0, max_value=0.95), min_size=2, max_size=60))
def test_frames_that_are_made_within_the_period_begin_when_they_are_due(fps: float, shares: list[float]):
    pace, found = begins(fps, [share / fps for share in shares])
    assert pace.stalls == 0
    for number, moment in enumerate(found):
        assert abs(moment - found[0] - number / fps) < 1e-6


@given(RATES, DELAYS)
def test_every_stall_and_nothing_else_starts_the_rhythm_anew(fps: float, delays: list[float]):
    pace, found = begins(fps, delays)
    assert pace.begun == len(found)
    assert pace.stalls <= sum(delay > 1 / fps for delay in delays[:-1])


@given(RATES, st.floats(min_value=0, max_value=1e6))
def test_after_a_rest_the_next_frame_is_due_at_once(fps: float, idle: float):
    pace = Pace(fps=fps)
    pace.begin(5.0)
    pace.rest()
    assert pace.wait(5.0) == 0.0
    pace.begin(5.0 + idle)
    assert pace.stalls == 0


@given(st.lists(st.booleans(), max_size=80))
def test_a_slot_gives_the_newest_once_and_counts_every_other(puts: list[bool]):
    slot, newest, taken = LatestSlot[int](), None, 0
    for number, is_put in enumerate(puts):
        if is_put:
            slot.put(number)
            newest = number
        else:
            found = slot.take()
            assert found == newest
            taken += found is not None
            newest = None
    assert slot.dropped + taken + (newest is not None) == sum(puts)
