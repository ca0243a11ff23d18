"""What the planner chooses, what it refuses, and what it says about both."""

from datetime import timedelta

import pytest

from policy.explain import explain_plan, explain_refusal
from policy.plan import ExecutionPlan, PlanRefusal
from policy.tiers import ServiceTier
from tests.factories import (
    NOW,
    make_denial,
    make_execution_plan,
    make_fleet,
    make_manifest,
    make_menu,
    make_offer,
    make_service,
    make_shot,
    make_shots,
    make_student_offer,
    try_plan,
)

INTERACTIVE = make_service(tier=ServiceTier.INTERACTIVE)


def refused(**changes: object) -> PlanRefusal:
    outcome = try_plan(**changes)
    assert isinstance(outcome, PlanRefusal)
    return outcome


def codes(refusal: PlanRefusal) -> set[str]:
    return {reason.code for reason in refusal.reasons}


def test_batch_gets_full_steps_with_guidance() -> None:
    (decision,) = make_execution_plan().decisions
    assert (decision.offer.preset.name, decision.steps) == ("emoji-64-full", 40)
    assert decision.guidance == (("guidance_scale", 3.0),)
    assert decision.rows_per_picture == 2


def test_interactive_gets_four_distilled_steps_without_guidance() -> None:
    (decision,) = make_execution_plan(manifest=make_manifest(service=INTERACTIVE)).decisions
    assert (decision.offer.preset.name, decision.steps) == ("emoji-64-lcm", 4)
    assert decision.guidance == (("guidance_scale", 1.0),)
    assert decision.rows_per_picture == 1


def test_a_distilled_picture_takes_a_twentieth_of_the_passes() -> None:
    full = make_execution_plan().totals.forward_passes
    few = make_execution_plan(manifest=make_manifest(service=INTERACTIVE)).totals.forward_passes
    assert full == 20 * few


def test_what_was_turned_down_is_kept_with_its_reason() -> None:
    (decision,) = make_execution_plan().decisions
    assert [rejection.preset for rejection in decision.rejected] == ["emoji-64-lcm"]
    assert decision.rejected[0].detail


@pytest.mark.parametrize("value", [7.5, 1.5, 0.0])
def test_guidance_on_a_student_is_refused_with_the_reason(value: float) -> None:
    manifest = make_manifest(shots=(make_shot(guidance=value),), service=INTERACTIVE)
    refusal = refused(manifest=manifest)
    assert "guidance_not_the_callers" in codes(refusal)
    assert any("baked into" in reason.detail for reason in refusal.reasons)
    assert refusal.remedies


def test_guidance_inside_the_range_of_the_preset_is_taken() -> None:
    manifest = make_manifest(shots=(make_shot(guidance=5.0),))
    (decision,) = make_execution_plan(manifest=manifest).decisions
    assert decision.guidance == (("guidance_scale", 5.0),)


def test_steps_outside_the_set_of_a_method_are_refused_naming_the_set() -> None:
    manifest = make_manifest(shots=(make_shot(steps=3, method="emoji-64-lcm"),), service=INTERACTIVE)
    refusal = refused(manifest=manifest)
    assert any("1, 2, 4" in reason.detail for reason in refusal.reasons)


def test_a_manifest_may_not_ask_for_more_than_its_tier() -> None:
    refusal = refused(manifest=make_manifest(shots=(make_shot(steps=40),), service=INTERACTIVE))
    assert refusal.remedies


def test_an_unknown_method_is_named() -> None:
    refusal = refused(manifest=make_manifest(shots=(make_shot(method="emoji-64-turbo"),)))
    assert "unknown_method" in codes(refusal)
    assert any("emoji-64-turbo" in reason.detail for reason in refusal.reasons)


def test_a_denied_stack_gives_its_clause_and_another_way() -> None:
    menu = make_menu(offers=(make_offer(), make_student_offer(verdict=make_denial())))
    refusal = refused(manifest=make_manifest(service=INTERACTIVE), menu=menu)
    denial = make_denial().reasons[0]
    assert any((reason.code, reason.clause) == (denial.code, denial.clause) for reason in refusal.reasons)
    assert refusal.remedies


def test_a_licence_is_a_filter_before_quality_is_looked_at() -> None:
    menu = make_menu(offers=(make_offer(verdict=make_denial()), make_student_offer()))
    (decision,) = make_execution_plan(menu=menu).decisions
    assert decision.offer.preset.name == "emoji-64-lcm"


def test_a_negative_prompt_that_would_do_nothing_is_a_warning() -> None:
    shot = make_shot(negative="blurry")
    assert not make_execution_plan(manifest=make_manifest(shots=(shot,))).warnings
    plan = make_execution_plan(manifest=make_manifest(shots=(shot,), service=INTERACTIVE))
    assert any("negative" in warning for warning in plan.warnings)


def test_a_word_that_the_model_never_saw_is_a_warning() -> None:
    menu = make_menu(words=((make_shot().model, ("a", "fox")),))
    plan = make_execution_plan(
        manifest=make_manifest(shots=(make_shot("fox"), make_shot("walrus"))), menu=menu
    )
    assert any("walrus" in warning for warning in plan.warnings)


def test_a_night_that_fits_keeps_its_steps() -> None:
    service = make_service(deadline=NOW + timedelta(hours=8))
    plan = make_execution_plan(manifest=make_manifest(shots=make_shots(100), service=service))
    assert {decision.steps for decision in plan.decisions} == {40}


def test_a_night_that_does_not_fit_is_refused_with_the_cheapest_change() -> None:
    service = make_service(deadline=NOW + timedelta(seconds=60))
    refusal = refused(manifest=make_manifest(shots=make_shots(2000), service=service))
    assert refusal.remedies
    assert all(reason.detail for reason in refusal.reasons)


def test_a_night_that_may_degrade_sheds_steps_and_not_shots() -> None:
    shots = make_shots(400)
    whole = make_execution_plan(manifest=make_manifest(shots=shots)).totals.wall_seconds_p95
    service = make_service(deadline=NOW + timedelta(seconds=whole * 0.8), may_degrade=True)
    plan = make_execution_plan(manifest=make_manifest(shots=shots, service=service))
    assert len(plan.shots) == len(shots)
    assert min(decision.steps for decision in plan.decisions) < 40
    assert plan.totals.wall_seconds_p95 <= whole * 0.8


def test_a_deadline_that_has_passed_is_refused() -> None:
    service = make_service(deadline=NOW - timedelta(minutes=1))
    assert refused(manifest=make_manifest(service=service)).reasons


def test_an_order_of_nothing_and_a_fleet_of_nobody_are_refused() -> None:
    assert refused(manifest=make_manifest(shots=())).reasons
    assert "no_workers" in codes(refused(fleet=make_fleet(workers=0)))


def test_two_shots_of_one_name_are_refused() -> None:
    refusal = refused(manifest=make_manifest(shots=(make_shot("fox"), make_shot("fox"))))
    assert any("fox" in reason.detail for reason in refusal.reasons)


def test_twenty_four_pictures_on_two_workers_keep_both_busy() -> None:
    plan = make_execution_plan(manifest=make_manifest(shots=make_shots(24)), fleet=make_fleet(workers=2))
    assert len(plan.batches) % 2 == 0
    assert len({len(batch.shots) for batch in plan.batches}) <= 2


def test_a_price_makes_money_of_device_time() -> None:
    free = make_execution_plan().totals
    priced = make_execution_plan(fleet=make_fleet(price_per_device_hour=3600.0)).totals
    assert free.price is None
    assert priced.price == pytest.approx(priced.seconds_p50, rel=0.5)


def test_a_plan_explains_itself_in_words() -> None:
    text = "\n".join(explain_plan(make_execution_plan()))
    for word in ("emoji-64-full", "40", "guidance", "scheduler", "licence", "why not"):
        assert word in text


def test_a_refusal_explains_itself_in_words() -> None:
    refusal = refused(manifest=make_manifest(shots=(make_shot(method="nothing"),)))
    text = "\n".join(explain_refusal(refusal))
    assert all(reason.detail in text for reason in refusal.reasons)
    assert all(remedy in text for remedy in refusal.remedies)


def test_the_time_of_planning_is_not_part_of_the_hash() -> None:
    first = make_execution_plan()
    later = make_execution_plan(now=NOW + timedelta(hours=1))
    assert isinstance(first, ExecutionPlan)
    assert first.plan_hash == later.plan_hash
    assert first.made_at != later.made_at
