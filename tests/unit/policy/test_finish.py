import math

import pytest

from policy.costs import RowCost
from policy.finish import (
    DRIFT,
    PRIOR_ERROR,
    Z95,
    Run,
    Work,
    device_seconds,
    error_of,
    family_of,
    finish_of,
)
from tests.factories import make_cost_key, make_cost_profile


def make_work(*runs, stack="a", family=("a",), error=0.0):
    return Work(
        stack_id=stack,
        family=family,
        error=error,
        runs=tuple(Run(batches=n, p50=a, p95=b) for n, a, b in runs),
    )


def test_batches_go_to_whoever_is_free_first():
    assert finish_of([make_work((3, 2.0, 2.0))], 2, 0.0).p50 == 4.0
    assert finish_of([make_work((2, 2.0, 2.0)), make_work((1, 5.0, 5.0))], 2, 0.0).p50 == 7.0
    assert finish_of([make_work((1, 9.0, 9.0), (6, 2.0, 2.0))], 2, 0.0).p50 == 11.0


def test_whole_rounds_at_once_are_the_same_as_one_batch_after_the_other():
    def slowly(runs, workers):
        free = [0.0] * workers
        for batches, seconds in runs:
            for _ in range(batches):
                free.sort()
                free[0] += seconds
        return max(free)

    runs = [(1, 7.0), (13, 2.0), (5, 0.5), (31, 1.25), (2, 11.0), (40, 0.25)]
    for workers in range(1, 9):
        work = make_work(*((batches, seconds, seconds) for batches, seconds in runs))
        assert finish_of([work], workers, 0.0).p50 == pytest.approx(slowly(runs, workers))


def test_the_odds_of_single_batches_average_out():
    one, many = (finish_of([make_work((n, 1.0, 2.0))], 1, 0.0) for n in (1, 100))
    assert one.p95 == pytest.approx(2.0)
    assert many.p95 == pytest.approx(100 + math.sqrt(100))


def test_the_error_of_a_profile_does_not_average_out():
    shared = finish_of([make_work((100, 1.0, 1.0), error=0.1)], 1, 0.0)
    assert shared.p95 == pytest.approx(100 * (1 + Z95 * 0.1))
    two = [make_work((50, 1.0, 1.0), error=0.1, family=(name,)) for name in "ab"]
    assert finish_of(two, 1, 0.0).p95 == pytest.approx(100 + Z95 * 0.1 * math.hypot(50, 50))
    one = [make_work((50, 1.0, 1.0), error=0.1, stack=name) for name in "ab"]
    assert finish_of(one, 1, 0.0).p95 == pytest.approx(shared.p95)


def test_a_stretch_of_a_stack_is_loaded_once_by_each_worker():
    works = [make_work((4, 1.0, 1.0), stack=stack) for stack in "aba"]
    assert finish_of(works, 1, 10.0).p50 == 12 + 30
    assert finish_of([*works[:1], *works[:1]], 1, 10.0).p50 == 8 + 10
    few = [make_work((1, 1.0, 1.0), stack=stack) for stack in "ab"]
    assert finish_of(few, 2, 10.0).p50 == 11.0  # each worker sees only one of them


def test_device_time_knows_neither_loads_nor_workers():
    assert device_seconds([make_work((4, 1.0, 1.0)), make_work((2, 3.0, 3.0), stack="b")]).p50 == 10.0


def test_a_prior_may_be_far_off_and_measuring_narrows_it():
    prior, few, many = (make_cost_profile(samples=samples) for samples in (0, 4, 4000))
    assert error_of(prior) == PRIOR_ERROR
    assert PRIOR_ERROR > error_of(few) > error_of(many) >= DRIFT
    assert error_of(make_cost_profile(samples=9, rows=(RowCost(rows=1, p50=0.0, p95=0.0),))) <= PRIOR_ERROR


def test_stacks_on_one_prior_are_wrong_together_and_measured_ones_apart():
    keys = [make_cost_key(stack_id=stack) for stack in "ab"]
    on_prior = {family_of(make_cost_profile(key=key)) for key in keys}
    measured = {family_of(make_cost_profile(key=key, samples=9)) for key in keys}
    assert (len(on_prior), len(measured)) == (1, 2)
