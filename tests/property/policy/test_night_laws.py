"""Laws of the night: more time or more workers never do harm, and order is nobody's business."""

import math
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.costs import RowCost
from policy.gates import licence_gate
from policy.plan import ExecutionPlan, PlanRefusal
from policy.quality_curves import curve_of
from policy.verdicts import Ruling
from tests.factories import (
    NOW,
    make_cost_key,
    make_cost_profile,
    make_fleet,
    make_manifest,
    make_menu,
    make_offer,
    make_preset,
    make_quality,
    make_service,
    make_shot,
    make_student_offer,
    make_student_preset,
    try_plan,
)

WORTH = st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3)


@st.composite
def menus(draw):
    """A full and a distilled method, measured well or badly."""
    full, student = draw(WORTH), draw(WORTH)
    return make_menu(
        offers=(
            make_offer(preset=make_preset(quality=make_quality(*zip((8, 25, 40), full, strict=True)))),
            make_student_offer(
                preset=make_student_preset(quality=make_quality(*zip((1, 4, 8), student, strict=True)))
            ),
        )
    )


@st.composite
def costs(draw):
    """A prior, and perhaps a measured profile of the student's stack; more rows never cost less."""
    profiles = []
    for samples in draw(st.sampled_from([(0,), (0, 12)])):
        p50 = 0.0
        rows = []
        for count in (1, 2, 8, 16):
            p50 += draw(st.floats(0.001, 0.1))
            rows.append(RowCost(rows=count, p50=p50, p95=p50 * draw(st.floats(1.0, 2.0))))
        for row in range(1, len(rows)):
            rows[row] = replace(rows[row], p95=max(rows[row].p95, rows[row - 1].p95))
        stack = make_student_offer().stack.stack_id if samples else ""
        profiles.append(
            make_cost_profile(key=make_cost_key(stack_id=stack), rows=tuple(rows), samples=samples)
        )
    return tuple(profiles)


@st.composite
def orders(draw, most=40):
    count = draw(st.one_of(st.integers(1, 8), st.integers(9, most)))
    kinds = draw(
        st.lists(
            st.tuples(
                st.integers(-1, 1),
                st.sampled_from([0.5, 1.0, 4.0]),
                st.sampled_from([None, None, 30]),
                st.sampled_from([None, None, "emoji-64-full"]),
            ),
            min_size=count,
            max_size=count,
        )
    )
    return tuple(
        make_shot(f"shot-{number}", seed=number, priority=priority, weight=weight, steps=steps, method=method)
        for number, (priority, weight, steps, method) in enumerate(kinds)
    )


SHARE = st.floats(0.05, 1.2)
FACTS = {"menu": menus(), "costs": costs(), "shots": orders()}


def as_asked(shots, menu, costs, workers=2):
    plan = try_plan(
        manifest=make_manifest(shots=shots), menu=menu, costs=costs, fleet=make_fleet(workers=workers)
    )
    assert isinstance(plan, ExecutionPlan)
    return plan.totals.wall_seconds_p95


def planned(shots, menu, costs, seconds, workers=2, **changes):
    service = make_service(deadline=NOW + timedelta(seconds=seconds), may_degrade=True, **changes)
    return try_plan(
        manifest=make_manifest(shots=shots, service=service),
        menu=menu,
        costs=costs,
        fleet=make_fleet(workers=workers),
    )


def worth(plan, menu):
    """The weighted quality of a plan; a lower rung counts for no more than what was planned as asked."""
    if isinstance(plan, PlanRefusal):
        return -math.inf
    top = curve_of(menu.offers[0].preset).at(40)
    ranks = sorted({shot.shot.priority for shot in plan.shots})
    return math.fsum(
        shot.shot.weight
        * 2.0 ** ranks.index(shot.shot.priority)
        * min(
            top, curve_of(plan.decisions[shot.decision].offer.preset).at(plan.decisions[shot.decision].steps)
        )
        for shot in plan.shots
    )


@settings(deadline=None, max_examples=50)
@given(**FACTS, share=SHARE, longer=st.floats(1.0, 1.5))
def test_a_longer_deadline_never_lowers_quality(shots, menu, costs, share, longer) -> None:
    seconds = as_asked(shots, menu, costs) * share
    short, long = (planned(shots, menu, costs, seconds * factor) for factor in (1.0, longer))
    assert worth(long, menu) >= worth(short, menu) - 1e-9


@settings(deadline=None, max_examples=50)
@given(**FACTS, share=SHARE, workers=st.integers(1, 9))
def test_another_worker_never_lowers_quality_nor_breaks_a_night(shots, menu, costs, share, workers) -> None:
    seconds = as_asked(shots, menu, costs, workers) * share
    few, more = (planned(shots, menu, costs, seconds, count) for count in (workers, workers + 1))
    assert worth(more, menu) >= worth(few, menu) - 1e-9


@settings(deadline=None, max_examples=50)
@given(**FACTS, share=SHARE, workers=st.integers(1, 5))
def test_a_plan_under_a_deadline_ends_in_time(shots, menu, costs, share, workers) -> None:
    seconds = as_asked(shots, menu, costs, workers) * share
    plan = planned(shots, menu, costs, seconds, workers)
    if isinstance(plan, ExecutionPlan):
        assert plan.totals.wall_seconds_p95 <= seconds * (1 + 1e-6) + 1e-6
        assert plan.totals.wall_seconds_p50 <= plan.totals.wall_seconds_p95


@settings(deadline=None, max_examples=50)
@given(**FACTS, share=SHARE)
def test_no_shot_gets_steps_outside_its_set_or_a_stack_that_the_gate_denies(
    shots, menu, costs, share
) -> None:
    plan = planned(shots, menu, costs, as_asked(shots, menu, costs) * share)
    if isinstance(plan, PlanRefusal):
        return
    assert licence_gate(plan).ruling is Ruling.PERMIT
    for shot in plan.shots:
        decision = plan.decisions[shot.decision]
        assert decision.steps in decision.offer.preset.steps
        assert shot.shot.steps in {None, decision.steps}
        assert shot.shot.method in {None, decision.offer.preset.name}


@settings(deadline=None, max_examples=50)
@given(**FACTS, share=SHARE, random=st.randoms(use_true_random=False))
def test_the_order_of_shots_menu_and_costs_does_not_matter(shots, menu, costs, share, random) -> None:
    seconds = as_asked(shots, menu, costs) * share
    shuffled = list(shots)
    random.shuffle(shuffled)
    backwards = replace(menu, offers=menu.offers[::-1])
    first, again = (
        planned(shots, menu, costs, seconds),
        planned(tuple(shuffled), backwards, costs[::-1], seconds),
    )
    assert type(first) is type(again)
    if isinstance(first, ExecutionPlan) and isinstance(again, ExecutionPlan):
        assert ways(first) == ways(again)
        assert math.isclose(first.totals.wall_seconds_p95, again.totals.wall_seconds_p95, rel_tol=1e-9)


def ways(plan):
    found = {}
    for shot in plan.shots:
        decision = plan.decisions[shot.decision]
        found[shot.shot.name] = (decision.offer.preset.name, decision.steps)
    return found


@settings(deadline=None, max_examples=50)
@given(**FACTS, share=SHARE)
def test_the_same_facts_give_the_same_night(shots, menu, costs, share) -> None:
    seconds = as_asked(shots, menu, costs) * share
    first, again = (planned(shots, menu, costs, seconds) for _ in range(2))
    assert first == again


@settings(deadline=None, max_examples=50)
@given(
    shots=orders(),
    costs=costs(),
    fewer=st.integers(25, 50),
    more=st.integers(25, 50),
    workers=st.integers(1, 5),
)
def test_more_steps_never_end_earlier(shots, costs, fewer, more, workers) -> None:
    fewer, more = sorted((fewer, more))
    low, high = (
        try_plan(
            manifest=make_manifest(shots=tuple(replace(shot, steps=steps) for shot in shots)),
            costs=costs,
            fleet=make_fleet(workers=workers),
        ).totals
        for steps in (fewer, more)
    )
    assert low.seconds_p50 <= high.seconds_p50 * (1 + 1e-9)
    assert low.seconds_p95 <= high.seconds_p95 * (1 + 1e-9)
    assert low.wall_seconds_p95 <= high.wall_seconds_p95 * (1 + 1e-9)


@settings(deadline=None, max_examples=50)
@given(**FACTS, share=SHARE)
def test_what_may_not_degrade_is_made_as_asked_or_refused(shots, menu, costs, share) -> None:
    seconds = as_asked(shots, menu, costs) * share
    service = make_service(deadline=NOW + timedelta(seconds=seconds))
    plan = try_plan(manifest=make_manifest(shots=shots, service=service), menu=menu, costs=costs)
    asked = try_plan(manifest=make_manifest(shots=shots), menu=menu, costs=costs)
    if isinstance(plan, ExecutionPlan):
        assert ways(plan) == ways(asked)
    else:
        assert plan.remedies
