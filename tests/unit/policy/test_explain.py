from dataclasses import replace
from datetime import timedelta

import pytest

from policy.explain import explain_plan, explain_refusal, reason_line
from policy.tiers import ServiceTier
from policy.verdicts import all_of
from policy.wording import duration
from tests.factories import (
    NOW,
    make_cost_key,
    make_cost_profile,
    make_denial,
    make_execution_plan,
    make_fleet,
    make_group,
    make_manifest,
    make_menu,
    make_obligation,
    make_offer,
    make_plan_of,
    make_preset,
    make_reason,
    make_service,
    make_shot,
    make_shots,
    make_student_offer,
    make_verdict,
    try_plan,
)


def said(plan):
    return "\n".join(explain_plan(plan))


def test_a_plan_names_the_published_timesteps_and_the_scale_of_an_adapter():
    text = said(make_plan_of(3, service=make_service(tier=ServiceTier.INTERACTIVE)))
    assert "999, 759, 499, 259" in text
    assert "rightstep/emoji-64-lcm-lora" in text
    assert "as distill_lora at scale 1" in text
    assert "LCMScheduler (beta_end=0.012" in text


def test_a_plan_shows_deadline_price_frames_duties_and_warnings():
    verdict = all_of([make_verdict(obligations=(make_obligation(),))])
    menu = make_menu(offers=(make_offer(preset=make_preset(modality="video"), verdict=verdict),))
    manifest = make_manifest(
        shots=(make_shot(frames=8),),
        service=make_service(deadline=NOW + timedelta(hours=13)),
        waive_output_checks=True,
    )
    text = said(
        make_execution_plan(manifest=manifest, menu=menu, fleet=make_fleet(price_per_device_hour=3.6))
    )
    assert "deadline   2026-02-01 08:00 UTC" in text
    assert "USD" in text
    assert "64 x 64, 8 frames" in text
    assert "Credit Twitter, Inc. (rightstep/emoji-64-style-twemoji; distribution of the work)" in text
    assert "Output checks are waived in the manifest." in text


def test_an_alternative_is_named_with_its_steps_where_it_has_some():
    wrong_tier = make_student_offer(preset=make_preset(name="streamer", rung="causal"))
    text = said(make_execution_plan(menu=make_menu(offers=(make_offer(), make_student_offer(), wrong_tier))))
    assert "emoji-64-lcm at 4 steps: Also possible" in text
    assert "streamer: Tier batch runs full or cached or distilled methods" in text


def test_a_fact_that_nobody_verified_is_marked_so():
    preset = make_preset(
        facts=(make_preset().facts[0].__class__(claim="4 is best", source="recalled", verified=False),)
    )
    assert "4 is best (recalled, unverified)" in said(
        make_execution_plan(menu=make_menu(offers=(make_offer(preset=preset),)))
    )


def test_a_preset_without_facts_or_knobs_explains_itself_too():
    preset = make_preset(facts=(), guidance=())
    assert "guidance   none; 1 row a picture" in said(
        make_execution_plan(menu=make_menu(offers=(make_offer(preset=preset),)))
    )


def test_a_reason_ends_in_the_place_it_rests_on():
    assert (
        reason_line(make_reason()) == "Section 2 grants the use. [rightstep/emoji-64, apache-2.0, clause 2]"
    )
    assert reason_line(make_reason(component="", licence="", clause="")) == "Section 2 grants the use."


def test_a_refusal_without_a_remedy_ends_with_its_reasons():
    refusal = try_plan(fleet=make_fleet(workers=0))
    assert explain_refusal(refusal)[0] == "Refused"
    bare = refusal.__class__(reasons=refusal.reasons, remedies=())
    assert explain_refusal(bare) == ("Refused", "  - There is no worker to render on.")


def test_a_plan_says_when_it_ends_what_it_shed_and_what_a_step_is_worth():
    shots = make_shots(200)
    whole = make_execution_plan(manifest=make_manifest(shots=shots)).totals.wall_seconds_p95
    service = make_service(deadline=NOW + timedelta(seconds=whole * 0.8), may_degrade=True)
    text = said(make_execution_plan(manifest=make_manifest(shots=shots, service=service)))
    assert "finish     19:0" in text
    assert "in 19 of 20 nights by" in text
    assert "emoji-64-full at 3" in text
    assert "instead of emoji-64-full at 40 steps" in text
    assert "(measured); " in text
    assert "adds 0.002" in text


def test_what_nobody_measured_is_said_to_rest_on_a_prior():
    menu = make_menu(offers=(make_offer(preset=make_preset(quality=(), steps=(1,), recommended_steps=1)),))
    assert "1 step is worth 1 (not measured, by a stated prior)." in said(make_execution_plan(menu=menu))


def test_an_alternative_says_what_it_costs_against_what_was_refused():
    menu = make_menu(offers=(make_offer(verdict=make_denial()), make_student_offer()))
    refusal = try_plan(
        manifest=make_manifest(shots=(make_shot(method="emoji-64-full"),)),
        menu=menu,
    )
    (advice,) = [remedy for remedy in refusal.remedies if "emoji-64-lcm: permitted" in remedy]
    assert "4 steps, quality 0.9" in advice
    assert "; against emoji-64-full at 40 steps: quality -0.1, 0.0" in advice
    assert advice.endswith("times the seconds.")


def test_where_what_was_asked_cannot_be_run_at_all_nothing_is_compared_with_it():
    menu = make_menu(offers=(make_offer(verdict=make_denial()), make_student_offer()))
    shot = make_shot(method="emoji-64-full", steps=9)
    refusal = try_plan(manifest=make_manifest(shots=(shot,)), menu=menu)
    assert any("emoji-64-lcm: permitted" in remedy for remedy in refusal.remedies)
    assert not any("against" in remedy for remedy in refusal.remedies)


def unlike_plan(**changes):
    quick = make_cost_profile()
    slow = replace(
        make_cost_profile(key=make_cost_key(device="cpu-1")),
        rows=tuple(replace(row, p50=row.p50 * 3, p95=row.p95 * 3) for row in quick.rows),
    )
    fleet = make_fleet(
        make_group(workers=2, price_per_device_hour=3.0),
        make_group(workers=1, device="cpu-1", price_per_device_hour=1.0),
    )
    manifest = make_manifest(shots=make_shots(100), **changes)
    return make_execution_plan(manifest=manifest, costs=(quick, slow), fleet=fleet)


def test_a_plan_for_several_devices_tells_what_each_of_them_does():
    plan = unlike_plan()
    text = "\n".join(explain_plan(plan))
    slow, quick = plan.totals.devices
    assert f"cpu-1, 1 worker: {duration(slow.seconds_p50)}" in text
    assert f"cpu-2, 2 workers: {duration(quick.seconds_p50)}" in text
    assert "by device" in text
    assert slow.seconds_p50 + quick.seconds_p50 == pytest.approx(plan.totals.seconds_p50)
    assert plan.totals.price == pytest.approx((slow.seconds_p50 + 3 * quick.seconds_p50) / 3600)


def test_a_device_that_would_only_end_later_is_said_to_do_nothing():
    manifest = make_manifest(shots=make_shots(1))
    fleet = make_fleet(make_group(workers=1), make_group(workers=1, device="cpu-1"))
    slow = replace(make_cost_profile(key=make_cost_key(device="cpu-1")), fixed_p50=90.0, fixed_p95=90.0)
    plan = make_execution_plan(manifest=manifest, costs=(make_cost_profile(), slow), fleet=fleet)
    assert any("cpu-1, 1 worker: nothing, which ends sooner" in line for line in explain_plan(plan))
