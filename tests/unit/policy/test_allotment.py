import itertools
import random

import pytest

from policy.allotment import (
    Pile,
    Rise,
    Way,
    allot,
    asked,
    floor,
    fluid_quality,
    hull,
    quality,
    rises,
    seconds,
)


def make_pile(units=1, weight=1.0, ways=((1, 0.5, 1.0), (2, 0.8, 2.0), (4, 0.9, 4.0))):
    return Pile(
        units=units,
        weight=weight,
        ways=tuple(Way(steps=steps, quality=worth, seconds=cost) for steps, worth, cost in ways),
    )


def within(piles, capacity):
    return lambda stage: seconds(piles, stage) <= capacity


def solve(piles, capacity):
    return allot(piles, capacity, within(piles, capacity))


def random_piles(random_, count, most_units):
    piles = []
    for _ in range(count):
        worth, cost, ways = 0.2, 0.5, []
        for steps in range(1, random_.randint(2, 4)):
            worth += random_.uniform(0.0, 0.25)
            cost += random_.uniform(0.1, 3.0)
            ways.append((steps, worth, cost))
        piles.append(make_pile(random_.randint(1, most_units), random_.choice([0.5, 1.0, 2.0]), tuple(ways)))
    return piles


def brute_force(piles, capacity):
    units = [pile for pile in piles for _ in range(pile.units)]
    return max(
        (
            sum(pile.weight * way.quality for pile, way in zip(units, chosen, strict=True))
            for chosen in itertools.product(*(pile.ways for pile in units))
            if sum(way.seconds for way in chosen) <= capacity
        ),
        default=None,
    )


def test_everything_is_as_asked_where_it_fits():
    piles = [make_pile(3), make_pile(2)]
    assert solve(piles, 20.0) == asked(piles)


def test_nothing_fits_below_the_floor():
    piles = [make_pile(30)]
    assert solve(piles, 29.9) is None
    assert solve(piles, 30.0) == floor(piles)


def test_seconds_go_where_they_are_worth_most():
    light, heavy = make_pile(20, 1.0), make_pile(20, 10.0)
    low, high = solve([light, heavy], 80.0)
    assert dict(high).get(2, 0) >= 9
    assert sum(units * way for way, units in low) < sum(units * way for way, units in high)


def test_a_way_between_two_better_ones_is_left_out_of_the_hull():
    assert hull(make_pile(ways=((1, 0.1, 1.0), (2, 0.2, 2.0), (4, 0.9, 3.0)))) == (0, 2)


def test_counts_that_are_worth_the_same_a_second_rise_evenly():
    line = tuple((steps, steps / 100, steps / 10) for steps in range(25, 41))
    first = rises([make_pile(ways=line), make_pile(ways=line)])[:4]
    assert [rise.pile for rise in first] == [0, 1, 0, 1]


def test_a_tie_goes_to_more_steps():
    flat = make_pile(4, ways=((30, 0.9, 3.0), (40, 0.9, 4.0)))
    assert solve([flat], 100.0) == (((1, 4),),)
    assert solve([flat], 14.0) == (((1, 2), (0, 2)),)


def test_small_nights_are_as_good_as_brute_force():
    random_ = random.Random(7)
    for _ in range(150):
        piles = random_piles(random_, random_.randint(1, 4), 2)
        top = seconds(piles, asked(piles))
        capacity = random_.uniform(0.2, 1.1) * top
        found, best = solve(piles, capacity), brute_force(piles, capacity)
        assert (found is None) == (best is None)
        if found is not None:
            assert quality(piles, found) >= 0.99 * best
            assert seconds(piles, found) <= capacity


def test_a_small_night_of_many_step_counts_is_within_one_percent_too():
    line = tuple((steps, 1 - 10 / steps**1.5, 0.1 * steps) for steps in range(25, 41))
    piles = [make_pile(4, ways=((4, 0.7, 0.6), *line)), make_pile(4, 2.0, ways=line)]
    for capacity in (15.0, 18.0, 21.0, 24.5, 28.0, 31.0):
        found = solve(piles, capacity)
        fluid = fluid_quality(piles, capacity)
        if fluid is not None:
            assert quality(piles, found) >= 0.99 * fluid


def test_large_nights_are_within_one_percent_of_the_fluid_optimum():
    random_ = random.Random(11)
    for _ in range(40):
        piles = [
            Pile(units=pile.units * 250, weight=pile.weight, ways=pile.ways)
            for pile in random_piles(random_, 6, 8)
        ]
        low, high = (seconds(piles, stage) for stage in (floor(piles), asked(piles)))
        capacity = random_.uniform(low, high)
        fluid = fluid_quality(piles, capacity)
        reached = quality(piles, solve(piles, capacity))
        assert 0.99 * fluid <= reached <= fluid * (1 + 1e-9)


def test_the_fluid_optimum_needs_at_least_the_floor():
    piles = [make_pile(10)]
    assert fluid_quality(piles, 9.0) is None
    assert fluid_quality(piles, 15.0) == pytest.approx(5 * 0.5 + 5 * 0.8)
    assert fluid_quality(piles, 1e9) == pytest.approx(9.0)


def test_what_costs_nothing_more_is_taken_at_once():
    free = make_pile(20, ways=((1, 0.5, 1.0), (2, 0.6, 1.0)))
    assert hull(free) == (1,)


def test_what_costs_more_and_is_worth_less_is_never_taken():
    odd = make_pile(20, ways=((1, 0.5, 1.0), (2, 0.4, 2.0), (4, 0.9, 4.0)))
    assert hull(odd) == (0, 2)


def test_a_rise_that_costs_nothing_comes_first():
    assert Rise(pile=0, low=0, high=1, seconds=0.0, worth=0.1).rate == float("inf")
