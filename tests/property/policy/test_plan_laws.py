"""Laws of planning: the same facts give the same plan, and no plan the gate would refuse."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.codec import decode, encode
from policy.gates import licence_gate
from policy.plan import ExecutionPlan, PlanRefusal
from policy.tiers import ServiceTier
from policy.verdicts import Ruling
from tests.factories import (
    make_cost_profile,
    make_denial,
    make_execution_plan,
    make_fleet,
    make_manifest,
    make_menu,
    make_offer,
    make_service,
    make_shot,
    make_student_offer,
    try_plan,
)

TIERS = st.sampled_from([ServiceTier.BATCH, ServiceTier.INTERACTIVE])
SHOTS = st.lists(
    st.builds(
        lambda seed, prompt, priority: (seed, prompt, priority),
        st.integers(0, 2**31),
        st.sampled_from(["a fox", "an owl", "ein Fuchs, süß"]),
        st.integers(-2, 2),
    ),
    min_size=1,
    max_size=30,
).map(
    lambda rows: tuple(
        make_shot(f"shot-{number}", seed=seed, prompt=prompt, priority=priority)
        for number, (seed, prompt, priority) in enumerate(rows)
    )
)


@settings(deadline=None)
@given(SHOTS, TIERS, st.integers(1, 5))
def test_a_permitted_menu_never_makes_a_plan_that_the_gate_denies(shots, tier, workers) -> None:
    manifest = make_manifest(shots=shots, service=make_service(tier=tier))
    plan = make_execution_plan(manifest=manifest, fleet=make_fleet(workers=workers))
    assert licence_gate(plan).ruling is Ruling.PERMIT


@settings(deadline=None)
@given(SHOTS, TIERS)
def test_a_denied_menu_makes_no_plan(shots, tier) -> None:
    menu = make_menu(offers=(make_offer(verdict=make_denial()), make_student_offer(verdict=make_denial())))
    outcome = try_plan(manifest=make_manifest(shots=shots, service=make_service(tier=tier)), menu=menu)
    assert isinstance(outcome, PlanRefusal)
    assert any(reason.ruling is Ruling.DENY for reason in outcome.reasons)
    assert outcome.remedies


@settings(deadline=None)
@given(SHOTS, TIERS)
def test_the_same_facts_give_the_same_hash_whatever_their_order(shots, tier) -> None:
    manifest = make_manifest(shots=shots, service=make_service(tier=tier))
    menu = make_menu()
    backwards = make_menu(offers=tuple(reversed(menu.offers)))
    costs = (make_cost_profile(), make_cost_profile(samples=3))
    first = make_execution_plan(manifest=manifest, menu=menu, costs=costs)
    again = make_execution_plan(manifest=manifest, menu=backwards, costs=tuple(reversed(costs)))
    assert first.plan_hash == again.plan_hash


@settings(deadline=None)
@given(SHOTS, st.integers(1, 6))
def test_every_shot_is_in_exactly_one_batch(shots, workers) -> None:
    plan = make_execution_plan(manifest=make_manifest(shots=shots), fleet=make_fleet(workers=workers))
    placed = Counter(index for batch in plan.batches for index in batch.shots)
    assert placed == Counter(range(len(plan.shots)))
    assert all(
        plan.shots[index].decision == batch.decision for batch in plan.batches for index in batch.shots
    )


@given(st.sampled_from([10, 20, 25, 30, 40, 50]), st.sampled_from([10, 20, 25, 30, 40, 50]))
def test_more_steps_never_cost_less(fewer: int, more: int) -> None:
    fewer, more = sorted((fewer, more))
    low, high = (
        make_execution_plan(manifest=make_manifest(shots=(make_shot(steps=steps),))).totals
        for steps in (fewer, more)
    )
    assert low.seconds_p50 <= high.seconds_p50
    assert low.seconds_p95 <= high.seconds_p95
    assert low.forward_passes <= high.forward_passes


@settings(deadline=None)
@given(SHOTS, TIERS)
def test_a_plan_reads_back_from_its_written_form(shots, tier) -> None:
    plan = make_execution_plan(manifest=make_manifest(shots=shots, service=make_service(tier=tier)))
    assert decode(ExecutionPlan, encode(plan)) == plan


@settings(deadline=None)
@given(SHOTS)
def test_shots_that_differ_have_keys_that_differ(shots) -> None:
    plan = make_execution_plan(manifest=make_manifest(shots=shots))
    wishes = {(planned.shot.prompt, planned.shot.seed) for planned in plan.shots}
    assert len({planned.shot_key for planned in plan.shots}) == len(wishes)
