"""Laws of planning for a fleet of several devices: nobody who joins it does harm, and names change nothing."""

import itertools
import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.plan import ExecutionPlan, PlanRefusal
from policy.quality_curves import curve_of
from tests.factories import (
    NOW,
    make_cost_key,
    make_cost_profile,
    make_fleet,
    make_group,
    make_manifest,
    make_menu,
    make_offer,
    make_preset,
    make_service,
    make_shots,
    make_student_offer,
    try_plan,
)

QUICK, SLOW = "cpu-2", "cpu-1"


def profile_on(device, factor, fixed=1.0, **changes):
    """The usual profile, so many times as slow a step; ``fixed`` is what a picture costs beside steps."""
    usual = make_cost_profile()
    rows = tuple(replace(row, p50=row.p50 * factor, p95=row.p95 * factor) for row in usual.rows)
    key = make_cost_key(device=device)
    return replace(usual, key=key, rows=rows, fixed_p50=0.03 * fixed, fixed_p95=0.04 * fixed, **changes)


@st.composite
def facts(draw):
    """Two devices of any speeds and caps, and some shots of several weights and priorities."""
    costs = tuple(
        profile_on(
            device,
            draw(st.floats(0.3, 8.0)),
            draw(st.floats(0.3, 8.0)),
            samples=draw(st.sampled_from([0, 12])),
            max_rows=draw(st.sampled_from([2, 16])),
        )
        for device in (QUICK, SLOW)
    )
    count = draw(st.one_of(st.integers(1, 8), st.integers(9, 30)))
    kinds = draw(
        st.lists(st.tuples(st.integers(0, 1), st.sampled_from([1.0, 4.0])), min_size=count, max_size=count)
    )
    shots = tuple(
        replace(shot, priority=priority, weight=weight)
        for shot, (priority, weight) in zip(make_shots(count), kinds, strict=True)
    )
    return {"costs": costs, "shots": shots}


def fleet_of(quick, slow):
    groups = [make_group(workers=quick, device=QUICK), make_group(workers=slow, device=SLOW)]
    return make_fleet(*[group for group in groups if group.workers])


def planned(given_facts, fleet, seconds=None, **changes):
    due = None if seconds is None else NOW + timedelta(seconds=seconds)
    service = make_service(deadline=due, **({"may_degrade": True} | changes))
    manifest = make_manifest(shots=given_facts["shots"], service=service)
    return try_plan(manifest=manifest, costs=given_facts["costs"], fleet=fleet, menu=MENU)


FULL = make_preset(steps=(25, 30, 40))
MENU = make_menu(offers=(make_offer(preset=FULL), make_student_offer()))


def worth(plan):
    if isinstance(plan, PlanRefusal):
        return -math.inf
    ranks = sorted({shot.shot.priority for shot in plan.shots})
    return math.fsum(
        shot.shot.weight
        * 2.0 ** ranks.index(shot.shot.priority)
        * curve_of(plan.decisions[shot.decision].offer.preset).at(plan.decisions[shot.decision].steps)
        for shot in plan.shots
    )


CREWS = st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(any)


@settings(deadline=None, max_examples=30)
@given(facts=facts(), crew=CREWS, joins=st.sampled_from([(1, 0), (0, 1)]), share=st.floats(0.1, 1.1))
def test_whoever_joins_never_breaks_a_night_nor_lowers_its_quality(facts, crew, joins, share) -> None:
    few = fleet_of(*crew)
    more = fleet_of(crew[0] + joins[0], crew[1] + joins[1])
    seconds = planned(facts, few).totals.wall_seconds_p95 * share
    assert worth(planned(facts, more, seconds)) >= worth(planned(facts, few, seconds)) - 1e-9


@settings(deadline=None, max_examples=20)
@given(facts=facts(), crew=CREWS, share=st.floats(0.1, 1.1), longer=st.floats(1.0, 1.5))
def test_a_longer_deadline_never_lowers_quality_on_unlike_devices(facts, crew, share, longer) -> None:
    fleet = fleet_of(*crew)
    seconds = planned(facts, fleet).totals.wall_seconds_p95 * share
    long, short = (planned(facts, fleet, seconds * factor) for factor in (longer, 1.0))
    assert worth(long) >= worth(short) - 1e-9
    if isinstance(short, ExecutionPlan):
        assert short.totals.wall_seconds_p95 <= seconds * (1 + 1e-6) + 1e-6


@settings(deadline=None, max_examples=20)
@given(facts=facts(), crew=CREWS, fewer=st.integers(25, 50), more=st.integers(25, 50))
def test_more_steps_never_end_earlier_on_unlike_devices(facts, crew, fewer, more) -> None:
    low, high = (
        try_plan(
            manifest=make_manifest(shots=tuple(replace(shot, steps=steps) for shot in facts["shots"])),
            costs=facts["costs"],
            fleet=fleet_of(*crew),
        )
        for steps in sorted((fewer, more))
    )
    assert low.totals.wall_seconds_p95 <= high.totals.wall_seconds_p95 * (1 + 1e-6)
    for below, above in zip(low.decisions, high.decisions, strict=True):
        if below.batch_size == above.batch_size:
            for one, other in zip(below.devices, above.devices, strict=True):
                assert one.seconds_p50 <= other.seconds_p50 * (1 + 1e-9)
                assert one.seconds_p95 <= other.seconds_p95 * (1 + 1e-9)


@settings(deadline=None, max_examples=20)
@given(facts=facts(), crew=CREWS, share=st.floats(0.1, 1.1))
def test_the_order_in_which_a_fleet_is_named_changes_no_plan(facts, crew, share) -> None:
    fleet = fleet_of(*crew)
    seconds = planned(facts, fleet).totals.wall_seconds_p95 * share
    backwards = replace(fleet, groups=fleet.groups[::-1])
    again = planned({**facts, "costs": facts["costs"][::-1]}, backwards, seconds)
    assert again == planned(facts, fleet, seconds)


@pytest.mark.parametrize("crew", [(1, 1), (2, 1)])
@pytest.mark.parametrize("share", [0.65, 0.5])
def test_a_small_night_on_unlike_devices_is_within_one_percent_of_every_combination(share, crew):
    shots = tuple(
        replace(shot, weight=weight)
        for shot, weight in zip(make_shots(5), (1.0, 1.0, 2.0, 2.0, 4.0), strict=True)
    )
    facts = {"costs": (profile_on(QUICK, 1.0), profile_on(SLOW, 2.6, 1.4)), "shots": shots}
    fleet = fleet_of(*crew)
    seconds = planned(facts, fleet).totals.wall_seconds_p95 * share
    # Shots differ in weight alone, so of all plans with the same ways the heaviest shots' best is the best.
    ways = [("emoji-64-lcm", 4), ("emoji-64-full", 25), ("emoji-64-full", 30), ("emoji-64-full", 40)]
    plans = []
    for chosen in itertools.combinations_with_replacement(ways, len(shots)):
        fixed = tuple(
            replace(shot, method=method, steps=steps)
            for shot, (method, steps) in zip(shots, chosen, strict=True)
        )
        plans.append(planned({**facts, "shots": fixed}, fleet, seconds, may_degrade=False))
    best = max(worth(plan) for plan in plans)
    found = worth(planned(facts, fleet, seconds))
    assert found == best if math.isinf(best) else found >= 0.99 * best


def upper_bound(shots, costs, fleet, seconds):
    """No assignment of pictures to ways and devices is worth more (the dual of the fluid relaxation)."""
    ways = [(FULL, steps) for steps in (25, 30, 40)] + [(make_student_offer().preset, 4)]
    sizes = {2: range(1, 9), 1: range(1, 17)}
    options = [
        (
            curve_of(preset).at(steps),
            tuple(
                min(
                    profile.batch_seconds(pictures=size, rows_per_picture=rows, steps=steps)[0] / size
                    for size in sizes[rows]
                )
                for profile in costs
            ),
        )
        for preset, steps in ways
        for rows in ([2] if preset is FULL else [1])
    ]
    workers = [
        next(group.workers for group in fleet.groups if group.device == one.key.device) for one in costs
    ]
    prices = [0.0, *(10 ** (exponent / 12 - 4) for exponent in range(72))]
    weights = [shot.weight for shot in shots]
    return min(
        sum(price * count * seconds for price, count in zip(pair, workers, strict=True))
        + sum(
            weights.count(weight)
            * max(
                weight * quality - min(price * each for price, each in zip(pair, cost, strict=True))
                for quality, cost in options
            )
            for weight in set(weights)
        )
        for pair in itertools.product(prices, repeat=2)
    )


@pytest.mark.parametrize("slowness", [(2.5, 2.5), (4.0, 1.5)])
@pytest.mark.parametrize("share", [0.9, 0.6])
def test_a_large_night_on_unlike_devices_is_within_one_percent_of_the_fluid_optimum(share, slowness):
    shots = tuple(replace(shot, weight=1.0 + index % 2) for index, shot in enumerate(make_shots(4000)))
    sure = {"samples": 100_000}
    costs = tuple(
        replace(one, rows=tuple(replace(row, p95=row.p50) for row in one.rows), fixed_p95=one.fixed_p50)
        for one in (profile_on(QUICK, 1.0, **sure), profile_on(SLOW, *slowness, **sure))
    )
    fleet = fleet_of(3, 4)
    seconds = planned({"costs": costs, "shots": shots}, fleet).totals.wall_seconds_p95 * share
    plan = planned({"costs": costs, "shots": shots}, fleet, seconds)
    assert isinstance(plan, ExecutionPlan)
    best = upper_bound(shots, costs, fleet, seconds)
    assert 0.99 * best <= worth(plan) <= best * (1 + 1e-9)
