"""Probe order, and where a job stops by itself."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.limits import PROBES, BudgetEnd, Limits, Spent, gate_of, halt, probe_order, rendering_order, told

SPENT = Spent(probes_open=None, seconds=50.0, budget_seconds=100.0, budget_end=BudgetEnd.STOP)


def test_probes_are_the_first_the_middle_and_the_last_then_the_middles_between():
    assert probe_order(9) == [0, 4, 8, 2, 6, 1, 3, 5, 7]
    assert probe_order(1) == [0]
    assert probe_order(2) == [0, 1]


@given(st.integers(min_value=0, max_value=400))
def test_probe_order_takes_everything_once(count: int):
    assert sorted(probe_order(count)) == list(range(count))


@given(st.integers(min_value=3, max_value=400))
def test_however_early_a_night_is_left_its_probes_lie_evenly(count: int):
    order = probe_order(count)
    for taken in range(3, count + 1):
        seen = sorted(order[:taken])
        gaps = [after - before for before, after in pairwise(seen)]
        assert max(gaps) <= 2 * -(-(count - 1) // (taken // 2)), "no gap is much wider than the others"


@given(st.lists(st.integers(min_value=-2, max_value=2), max_size=40), st.booleans())
def test_the_most_urgent_go_first_in_either_order(urgency: list[int], probes: bool):
    order = rendering_order(urgency, probes=probes)
    assert sorted(order) == list(range(len(urgency)))
    assert [urgency[number] for number in order] == sorted(urgency, reverse=True)


def test_without_probes_equals_stay_in_the_order_of_the_plan():
    assert rendering_order([0, 1, 0, 1], probes=False) == [1, 3, 0, 2]
    assert rendering_order([0] * 5, probes=True) == [0, 2, 4, 1, 3]


def test_a_job_goes_on_within_its_limits_and_stops_at_its_budget_as_it_said():
    assert halt(SPENT) is None
    assert halt(replace(SPENT, budget_seconds=None, seconds=1e9)) is None
    for end in BudgetEnd:
        found = halt(replace(SPENT, seconds=100.0, budget_end=end))
        assert found is not None
        assert (found.how, found.code) == (end, "budget_spent")
        assert "100" in found.detail or "min" in found.detail


def test_a_job_is_held_once_its_probes_are_made_and_its_budget_goes_before():
    assert halt(replace(SPENT, probes_open=1)) is None
    found = halt(replace(SPENT, probes_open=0))
    assert found is not None
    assert (found.how, found.code) == (BudgetEnd.HOLD, "probes_made")
    both = halt(replace(SPENT, probes_open=0, seconds=100.0))
    assert both is not None
    assert both.code == "budget_spent"


@pytest.mark.parametrize(
    ("batches", "gate"), [(1, None), (PROBES, None), (PROBES + 1, PROBES), (100, PROBES)]
)
def test_nobody_is_asked_about_probes_that_are_the_whole_night(batches: int, gate: int | None):
    assert gate_of(Limits(probes=True, hold_after_probes=True), batches) == gate
    assert gate_of(Limits(probes=True), batches) is None


def test_a_plan_tells_every_limit_and_nothing_of_an_order_without_any():
    assert told(Limits()) == []
    limits = Limits(probes=True, hold_after_probes=True, budget_seconds=7200.0)
    assert len(told(limits)) == 3
