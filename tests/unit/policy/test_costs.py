from dataclasses import replace

import pytest

from policy.costs import UNMEASURED, CostSample, RowCost, fit_profile, profile_for, quantile
from tests.factories import make_cost_key, make_cost_profile


def make_sample(**changes):
    sample = CostSample(
        key=make_cost_key(stack_id="s1"), pictures=4, rows=8, steps=40, denoise_seconds=4.0, total_seconds=4.4
    )
    return replace(sample, **changes)


def test_seconds_are_a_fixed_part_a_picture_and_a_part_a_step():
    p50, p95 = make_cost_profile().batch_seconds(pictures=1, rows_per_picture=2, steps=40)
    assert p50 == pytest.approx(0.03 + 40 * 0.03)
    assert p95 == pytest.approx(0.04 + 40 * 0.045)


def test_rows_between_two_measured_counts_are_interpolated():
    assert make_cost_profile().step_seconds(9)[0] == pytest.approx(0.03 + 7 / 14 * 0.17)


def test_rows_outside_the_measured_counts_cost_the_first_or_grow_in_proportion():
    profile = make_cost_profile(
        rows=(RowCost(rows=2, p50=0.03, p95=0.04), RowCost(rows=4, p50=0.05, p95=0.06))
    )
    assert profile.step_seconds(1) == (0.03, 0.04)
    assert profile.step_seconds(8) == pytest.approx((0.1, 0.12))


def test_the_very_stack_is_preferred_to_the_prior_of_its_pipeline():
    prior = make_cost_profile()
    measured = make_cost_profile(key=make_cost_key(stack_id="s1"), samples=12)
    assert profile_for((prior, measured), make_cost_key(stack_id="s1")).samples == 12
    assert profile_for((prior, measured), make_cost_key(stack_id="s2")).samples == 0


def test_the_same_device_counts_more_than_the_same_stack():
    elsewhere = make_cost_profile(key=make_cost_key(stack_id="s1", device="h100"), samples=12)
    assert profile_for((elsewhere, make_cost_profile()), make_cost_key(stack_id="s1")).samples == 0


def test_of_two_profiles_of_one_key_the_better_founded_is_taken_in_any_order():
    few, many = make_cost_profile(samples=3), make_cost_profile(samples=9)
    assert profile_for((few, many), make_cost_key()) == profile_for((many, few), make_cost_key()) == many
    dear, cheap = make_cost_profile(fixed_p50=0.5), make_cost_profile()
    assert profile_for((dear, cheap), make_cost_key()) == profile_for((cheap, dear), make_cost_key())


def test_another_size_is_scaled_by_its_pixels():
    larger = profile_for((make_cost_profile(),), make_cost_key(width=128, height=128))
    assert larger.key.width == 128
    assert larger.fixed_p50 == pytest.approx(0.12)
    assert larger.rows[0].p95 == pytest.approx(0.12)


def test_the_nearest_size_is_taken():
    near = make_cost_profile(key=make_cost_key(width=120, height=120), fixed_p50=1.0)
    assert profile_for((make_cost_profile(), near), make_cost_key(width=128, height=128)).fixed_p50 > 1.0


def test_a_key_of_which_nothing_is_known_gets_the_slow_guess():
    other = make_cost_profile(key=make_cost_key(stack_id="another"))
    guess = profile_for((other,), make_cost_key(stack_id="s1", width=512, height=512))
    assert (guess.fixed_p50, guess.samples) == (UNMEASURED.fixed_p50, 0)


def test_a_fit_reads_the_step_off_the_loop_and_the_fixed_part_off_the_rest():
    fitted = fit_profile([make_sample(), make_sample(denoise_seconds=8.0, total_seconds=8.4)])
    assert fitted.rows == (RowCost(rows=8, p50=0.1, p95=0.2),)
    assert (fitted.fixed_p50, fitted.fixed_p95) == pytest.approx((0.1, 0.1))
    assert (fitted.samples, fitted.max_rows) == (8, 8)
    assert fitted.key.stack_id == "s1"


def test_rows_that_were_not_measured_come_from_the_prior_at_the_measured_level():
    prior = make_cost_profile()
    twice_as_slow = make_sample(pictures=1, rows=2, denoise_seconds=40 * 0.06, total_seconds=2.5)
    fitted = fit_profile([twice_as_slow], prior)
    assert [row.rows for row in fitted.rows] == [1, 2, 16]
    assert fitted.rows[2].p50 == pytest.approx(0.4)
    assert fitted.max_rows == prior.max_rows


def test_noise_never_makes_more_rows_cheaper():
    noisy = [
        make_sample(rows=2, pictures=1, denoise_seconds=8.0),
        make_sample(rows=4, pictures=2, denoise_seconds=4.0),
    ]
    fitted = fit_profile(noisy)
    assert fitted.rows[1].p50 == fitted.rows[0].p50


def test_a_clock_that_ran_backwards_costs_nothing_but_never_less():
    assert fit_profile([make_sample(total_seconds=3.9)]).fixed_p50 == 0.0


def test_nothing_measured_fits_nothing():
    with pytest.raises(ValueError, match="at least one"):
        fit_profile([])


def test_a_quantile_is_a_value_that_occurred():
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0], 0.95) == 1.0
    assert quantile([float(n) for n in range(1, 101)], 0.95) == 95.0


def test_a_step_under_an_unmeasured_cache_takes_its_stated_share_of_a_full_one():
    key = make_cost_key(stack_id="s1", cached_by="emoji-64-cached")
    full = make_cost_profile(key=make_cost_key(stack_id="s1"), samples=12)
    cached = profile_for((full,), key, step_share=0.5)
    assert [row.p50 for row in cached.rows] == [row.p50 / 2 for row in full.rows]
    assert cached.fixed_p50 == full.fixed_p50  # text and decoding are not cached


def test_what_ran_under_a_cache_tells_of_that_cache_alone():
    cached = make_cost_profile(key=make_cost_key(stack_id="s1", cached_by="one"), samples=12)
    prior = make_cost_profile()
    costs = (cached, prior)
    assert profile_for(costs, make_cost_key(stack_id="s1")).samples == 0
    assert profile_for(costs, make_cost_key(stack_id="s1", cached_by="other"), 0.5).samples == 0
    assert profile_for(costs, make_cost_key(stack_id="s1", cached_by="one"), 0.5).rows == cached.rows
