import itertools

import pytest

from policy.quality_curves import curve_of, curve_through
from policy.tiers import Rung
from tests.factories import make_preset, make_quality, make_student_preset


def test_a_point_that_says_that_fewer_steps_are_better_is_pooled():
    curve = curve_through(make_quality((1, 0.906), (2, 0.974), (4, 0.957), (8, 0.966)))
    values = [curve.at(steps) for steps in (1, 2, 4, 8)]
    assert values == sorted(values)
    assert curve.at(2) == pytest.approx((0.974 + 0.957) / 2)


def test_pooled_points_count_by_their_samples():
    few, many = make_quality((2, 0.9), (4, 0.8))
    assert curve_through((few, many.__class__(steps=4, quality=0.8, samples=9600, source="measured: x"))).at(
        4
    ) == pytest.approx(0.801, abs=0.001)


def test_every_step_adds_no_more_than_the_one_before():
    curve = curve_of(make_preset(quality=make_quality((1, 0.1), (10, 0.2), (25, 0.9), (40, 1.0))))
    gains = [high - low for low, high in itertools.pairwise(curve.at(steps) for steps in range(51))]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(gains))
    assert all(gain >= 0 for gain in gains)


def test_measured_corners_are_kept_and_between_them_it_rises_in_proportion():
    curve = curve_of(make_preset())
    assert curve.at(25) == 0.97
    assert curve.at(40) == 1.0
    assert curve.at(30) == pytest.approx(0.98)
    assert curve.is_measured


def test_what_was_not_seen_to_add_anything_adds_nothing():
    curve = curve_of(make_preset())
    assert curve.at(50) == curve.at(40)
    assert curve.at(0) == 0.0


def test_the_order_of_points_does_not_matter():
    points = make_quality((1, 0.5), (2, 0.8), (4, 0.7), (8, 0.9))
    assert curve_through(points) == curve_through(tuple(reversed(points)))


def test_a_count_that_was_measured_twice_has_one_quality():
    curve = curve_through(make_quality((4, 0.9), (4, 0.7), (8, 0.95)))
    assert curve.at(4) == pytest.approx(0.8)


def test_a_preset_that_nobody_measured_rests_on_a_stated_prior_below_its_teacher():
    full, student = (
        curve_of(preset)
        for preset in (make_preset(quality=(), rung=Rung.FULL), make_student_preset(quality=()))
    )
    assert not full.is_measured
    assert full.at(40) == pytest.approx(1.0)
    assert full.at(25) > 0.8
    assert student.at(4) == pytest.approx(0.9)
    assert student.at(8) == student.at(4)
