from dataclasses import replace
from datetime import timedelta

import pytest

from policy.methods import CacheSpec
from policy.plan import PlanRefusal
from policy.tiers import Rung, ServiceTier
from policy.verdicts import Ruling
from tests.factories import (
    BASE,
    NOW,
    make_denial,
    make_execution_plan,
    make_knob,
    make_manifest,
    make_menu,
    make_offer,
    make_preset,
    make_quality,
    make_reason,
    make_service,
    make_shot,
    make_shots,
    make_stack,
    make_student_offer,
    make_student_preset,
    make_verdict,
    try_plan,
)

INTERACTIVE = make_service(tier=ServiceTier.INTERACTIVE)


def decision_for(shot=None, *, service=None, **changes):
    manifest = make_manifest(shots=(shot or make_shot(),), service=service or make_service())
    plan = make_execution_plan(manifest=manifest, **changes)
    return plan.decisions[0]


def refusal_for(shot=None, *, service=None, **changes):
    manifest = make_manifest(shots=(shot or make_shot(),), service=service or make_service())
    outcome = try_plan(manifest=manifest, **changes)
    assert isinstance(outcome, PlanRefusal)
    return outcome


def codes(refusal):
    return {reason.code for reason in refusal.reasons}


def test_an_explicit_method_is_honoured_in_batch_with_its_own_steps():
    decision = decision_for(make_shot(method="emoji-64-lcm"))
    assert (decision.offer.preset.name, decision.steps) == ("emoji-64-lcm", 4)
    assert decision.reasons[0] == "Method emoji-64-lcm, as the manifest asks."


def test_an_explicit_count_is_honoured_and_said_so():
    decision = decision_for(make_shot(steps=30))
    assert decision.steps == 30
    assert "30 steps, as the manifest asks." in decision.reasons


def test_an_explicit_count_goes_to_the_preset_that_is_best_at_it():
    assert decision_for(make_shot(steps=4)).offer.preset.name == "emoji-64-lcm"
    assert decision_for(make_shot(steps=4, guidance=3.0)).offer.preset.name == "emoji-64-full"


def test_a_count_above_the_ceiling_of_batch_is_refused():
    preset = make_preset(steps=(*range(10, 51), 100))
    refusal = refusal_for(make_shot(steps=100), menu=make_menu(offers=(make_offer(preset=preset),)))
    assert codes(refusal) == {"steps_above_tier"}
    assert "Ask for at most 50 steps." in refusal.remedies


def test_a_method_that_only_runs_more_steps_than_the_tier_has_is_refused():
    offer = make_student_offer(preset=make_student_preset(steps=(16, 24), recommended_steps=16))
    assert codes(refusal_for(service=INTERACTIVE, menu=make_menu(offers=(offer,)))) == {"no_steps_in_tier"}


def test_a_method_published_below_the_band_runs_as_published():
    offer = make_student_offer(preset=make_student_preset(steps=(2,), recommended_steps=2))
    decision = decision_for(service=INTERACTIVE, menu=make_menu(offers=(offer,)))
    assert decision.steps == 2
    assert any("nearest" in reason for reason in decision.reasons)


def test_a_quality_floor_raises_the_steps_to_the_first_that_reach_it():
    service = replace(INTERACTIVE, quality_floor=0.91)
    decision = decision_for(service=service)
    assert (decision.steps, decision.quality) == (8, 0.92)
    assert any("quality floor of 0.91" in reason for reason in decision.reasons)


def test_a_quality_floor_that_nothing_reaches_is_refused_with_the_best_there_is():
    refusal = refusal_for(service=replace(INTERACTIVE, quality_floor=0.99))
    assert "below_quality_floor" in codes(refusal)
    assert any("Lower quality_floor to 0.92" in remedy for remedy in refusal.remedies)


def test_an_explicit_count_under_the_quality_floor_is_refused_and_not_raised():
    refusal = refusal_for(make_shot(steps=4), service=replace(INTERACTIVE, quality_floor=0.91))
    assert "below_quality_floor" in codes(refusal)


def test_a_latency_target_lowers_the_steps_within_the_band():
    preset = make_student_preset(steps=(4, 8), recommended_steps=8, quality=make_quality((4, 0.9), (8, 0.95)))
    menu = make_menu(offers=(make_student_offer(preset=preset),))
    service = replace(INTERACTIVE, quality_floor=0.9, latency_target_s=0.17)
    assert decision_for(service=service, menu=menu).steps == 4
    full = make_menu(offers=(make_offer(),))
    assert decision_for(service=make_service(latency_target_s=1.5), menu=full).steps == 32


def test_explicit_steps_give_way_to_a_latency_target_only_where_the_order_allows_fewer():
    asked = make_shot(steps=8)
    late = replace(INTERACTIVE, latency_target_s=0.17)
    assert "over_latency_target" in codes(refusal_for(asked, service=late))
    decision = decision_for(asked, service=replace(late, may_degrade=True))
    assert 4 <= decision.steps < 8
    assert (
        f"{decision.steps} steps instead of 8: what the latency target leaves time for." in decision.reasons
    )
    in_time = replace(INTERACTIVE, latency_target_s=60.0, may_degrade=True)
    assert decision_for(asked, service=in_time).steps == 8


def test_fewer_steps_never_go_below_the_floor_of_the_tier_or_of_quality():
    late = replace(INTERACTIVE, latency_target_s=0.05, may_degrade=True)
    assert "over_latency_target" in codes(refusal_for(make_shot(steps=8), service=late))
    floor = replace(INTERACTIVE, latency_target_s=0.17, may_degrade=True, quality_floor=0.99)
    assert codes(refusal_for(make_shot(steps=8), service=floor)) & {
        "over_latency_target",
        "below_quality_floor",
    }


def test_a_latency_target_that_nothing_meets_is_refused_with_the_one_it_would_take():
    refusal = refusal_for(service=replace(INTERACTIVE, latency_target_s=0.05))
    assert "over_latency_target" in codes(refusal)
    assert any("Allow a latency target of" in remedy for remedy in refusal.remedies)


def test_a_latency_target_also_keeps_batches_small():
    service = replace(INTERACTIVE, latency_target_s=0.5)
    plan = make_execution_plan(manifest=make_manifest(shots=make_shots(40), service=service))
    for batch in plan.batches:
        assert len(batch.shots) * plan.decisions[0].seconds_p95 <= 0.5


RIVAL = make_student_preset(
    name="emoji-64-hyper", family="hyper-sd", quality=make_quality((1, 0.9), (4, 0.99))
)


def test_interactive_prefers_the_family_of_the_brief_to_a_better_one():
    menu = make_menu(offers=(make_student_offer(), make_student_offer(preset=RIVAL)))
    decision = decision_for(service=INTERACTIVE, menu=menu)
    assert decision.offer.preset.family == "lcm-lora"
    assert "of the family that tier interactive prefers" in decision.reasons[0]
    assert [other.preset for other in decision.rejected if other.code == "not_the_best_rung"] == [RIVAL.name]


def test_a_single_step_goes_to_the_family_that_is_best_at_it():
    menu = make_menu(offers=(make_student_offer(), make_student_offer(preset=RIVAL)))
    assert decision_for(make_shot(steps=1), service=INTERACTIVE, menu=menu).offer.preset.family == "hyper-sd"
    assert decision_for(make_shot(steps=1), menu=menu).offer.preset.family == "hyper-sd"  # by quality


def test_without_the_preferred_family_the_best_is_taken():
    menu = make_menu(offers=(make_student_offer(preset=RIVAL),))
    assert decision_for(service=INTERACTIVE, menu=menu).offer.preset.name == RIVAL.name


def test_live_asks_for_a_method_that_streams():
    refusal = refusal_for(service=make_service(tier=ServiceTier.LIVE))
    assert codes(refusal) == {"rung_not_in_tier"}
    assert any("at tier batch" in remedy for remedy in refusal.remedies)


def test_a_distilled_method_that_keeps_up_as_it_is_runs_live():
    service = make_service(tier=ServiceTier.LIVE)
    native = make_student_offer(preset=make_student_preset(is_real_time_native=True))
    slow = make_student_offer(preset=make_student_preset(is_real_time_native=False))
    assert decision_for(service=service, menu=make_menu(offers=(native,))).steps == 4
    assert codes(refusal_for(service=service, menu=make_menu(offers=(slow,)))) == {"rung_not_in_tier"}


def test_a_streaming_method_runs_live():
    offer = make_offer(preset=make_preset(rung=Rung.CAUSAL, recommended_steps=4))
    assert (
        decision_for(service=make_service(tier=ServiceTier.LIVE), menu=make_menu(offers=(offer,))).steps == 4
    )


CACHED = make_offer(
    preset=make_preset(
        name="emoji-64-cached",
        rung=Rung.CACHED,
        cache=CacheSpec(class_name="FirstBlockCacheConfig", config=(("threshold", 0.05),), component="unet"),
    )
)


def test_a_cache_is_used_only_where_the_order_allows_approximation():
    asked = {"menu": make_menu(offers=(CACHED,))}
    assert codes(refusal_for(**asked)) == {"approximation_not_allowed"}
    assert decision_for(service=make_service(may_approximate=True), **asked).offer == CACHED
    assert decision_for(make_shot(method="emoji-64-cached"), **asked).offer == CACHED


def test_a_cache_stands_below_the_full_run():
    decision = decision_for(
        service=make_service(may_approximate=True), menu=make_menu(offers=(make_offer(), CACHED))
    )
    assert decision.offer.preset.rung is Rung.FULL


def test_an_image_method_makes_no_clips_and_a_video_method_does():
    assert codes(refusal_for(make_shot(frames=16))) == {"frames_need_video"}
    clips = make_menu(offers=(make_offer(preset=make_preset(modality="video")),))
    assert decision_for(make_shot(frames=16), menu=clips).frames == 16


@pytest.mark.parametrize(
    ("dtypes", "remedy"), [(("bfloat16",), "Load the stack in bfloat16."), ((), "another method")]
)
def test_a_precision_that_was_not_published_is_refused(dtypes, remedy):
    refusal = refusal_for(menu=make_menu(offers=(make_offer(preset=make_preset(dtypes=dtypes)),)))
    assert codes(refusal) == {"dtype_not_published"}
    assert any(remedy in said for said in refusal.remedies)


def test_a_stack_held_for_review_is_no_yes():
    review = make_verdict(
        ruling=Ruling.REVIEW, reasons=(make_reason(code="unread", ruling=Ruling.REVIEW, component=""),)
    )
    refusal = refusal_for(menu=make_menu(offers=(make_offer(verdict=review),)))
    assert [(reason.code, reason.ruling) for reason in refusal.reasons] == [("unread", Ruling.REVIEW)]
    assert any(make_stack().name in remedy for remedy in refusal.remedies)


def test_a_method_without_guidance_takes_none():
    menu = make_menu(offers=(make_offer(preset=make_preset(guidance=())),))
    refusal = refusal_for(make_shot(guidance=3.0), menu=menu)
    assert codes(refusal) == {"guidance_not_the_callers"}
    decision = decision_for(menu=menu)
    assert (decision.guidance, decision.rows_per_picture) == ((), 1)
    assert any("No guidance" in reason for reason in decision.reasons)


def test_every_knob_of_a_preset_is_in_the_decision_and_the_manifest_sets_the_primary_one():
    knobs = (make_knob(name="guidance_scale_2", default=1.0), make_knob(default=4.0))
    decision = decision_for(
        make_shot(guidance=5), menu=make_menu(offers=(make_offer(preset=make_preset(guidance=knobs)),))
    )
    assert decision.guidance == (("guidance_scale_2", 1.0), ("guidance_scale", 5.0))
    assert any("as the manifest asks, inside its range" in reason for reason in decision.reasons)


def test_refused_guidance_says_what_it_would_cost_and_where_it_may_be_had():
    refusal = refusal_for(make_shot(guidance=7.5), service=INTERACTIVE)
    said = " ".join(reason.detail for reason in refusal.reasons)
    assert "8 forward passes a picture instead of 4" in said
    assert any("emoji-64-full at tier batch, which takes 1 to 9" in remedy for remedy in refusal.remedies)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 99.0])
def test_guidance_that_no_preset_takes_names_no_other(value):
    refusal = refusal_for(make_shot(guidance=value))
    assert codes(refusal) == {"guidance_not_the_callers"}
    assert not any("Or ask for method" in remedy for remedy in refusal.remedies)


def test_a_tie_goes_to_the_cheaper_then_to_the_name():
    twin = make_offer(preset=make_preset(name="a-twin"))
    for offers in ((twin, make_offer()), (make_offer(), twin)):
        assert decision_for(menu=make_menu(offers=offers)).offer.preset.name == "a-twin"


def test_an_absent_model_gives_the_reason_and_the_next_step_of_its_absence():
    refusal = refusal_for(make_shot(model="org/none"))
    assert codes(refusal) == {"not_on_the_menu"}
    assert any(BASE in remedy for remedy in refusal.remedies)


def test_a_shot_is_named_with_its_place_in_the_file():
    refusal = refusal_for(make_shot(frames=4, where="night.toml: shots[0]"))
    assert "night.toml: shots[0]" in refusal.reasons[0].detail


def test_a_denied_student_in_interactive_points_to_batch():
    menu = make_menu(offers=(make_offer(), make_student_offer(verdict=make_denial())))
    refusal = refusal_for(service=INTERACTIVE, menu=menu)
    assert any("emoji-64-full at tier batch: permitted, 40 steps" in remedy for remedy in refusal.remedies)


def test_a_deadline_far_away_changes_nothing_but_the_manifest():
    far = make_service(deadline=NOW + timedelta(days=3), may_degrade=True)
    assert decision_for(service=far).decision_id == decision_for().decision_id
