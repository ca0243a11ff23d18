import itertools
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from policy.ladder import Ground, Need, candidate_at, climb
from policy.methods import CacheSpec
from policy.night import Allotment, Group, Night, allot_night
from policy.plan import ExecutionPlan, PlanRefusal
from policy.quality_curves import curve_of
from policy.tiers import TIER_TABLE, ServiceTier
from tests.factories import (
    NOW,
    make_cost_key,
    make_cost_profile,
    make_execution_plan,
    make_fleet,
    make_group,
    make_manifest,
    make_menu,
    make_offer,
    make_preset,
    make_service,
    make_shot,
    make_shots,
    make_student_offer,
    try_plan,
)

SHOTS = make_shots(200)
AS_ASKED = make_execution_plan(manifest=make_manifest(shots=SHOTS)).totals.wall_seconds_p95


def night(share, *, may_degrade=True, shots=SHOTS, **changes):
    service = make_service(deadline=NOW + timedelta(seconds=AS_ASKED * share), may_degrade=may_degrade)
    return try_plan(manifest=make_manifest(shots=shots, service=service), **changes)


def steps_by_priority(plan):
    return {planned.shot.priority: plan.decisions[planned.decision].steps for planned in plan.shots}


@pytest.mark.parametrize(("share", "steps"), [(1.01, 40), (0.99, 39), (0.8, 32), (0.65, 26)])
def test_no_more_steps_are_shed_than_the_night_needs(share, steps):
    plan = night(share)
    assert isinstance(plan, ExecutionPlan)
    assert {decision.steps for decision in plan.decisions} <= {steps, steps - 1, steps + 1}
    assert plan.totals.wall_seconds_p95 <= AS_ASKED * share


def test_the_lowest_priority_sheds_first():
    shots = tuple(replace(shot, priority=index % 2) for index, shot in enumerate(SHOTS))
    steps = steps_by_priority(night(0.9, shots=shots))
    assert steps[1] == 40
    assert steps[0] < 40


def test_a_rung_gives_way_only_after_every_step_of_the_band():
    plan = night(0.45)
    by_rung = {decision.offer.preset.rung: decision.steps for decision in plan.decisions}
    assert by_rung == {"full": 25, "distilled": 4}


def test_a_priority_above_keeps_its_steps_while_they_are_worth_more_than_a_rung_below():
    plan = night(0.45, shots=tuple(replace(shot, priority=index % 2) for index, shot in enumerate(SHOTS)))
    by_rung = {decision.offer.preset.rung: decision.steps for decision in plan.decisions}
    assert by_rung["distilled"] == 4
    assert by_rung["full"] > 25
    assert {plan.decisions[shot.decision].offer.preset.rung for shot in plan.shots if shot.shot.priority} == {
        "full"
    }


def test_a_heavier_shot_keeps_its_steps_longer_without_being_rendered_earlier():
    shots = tuple(replace(shot, weight=3.0 if index % 2 else 1.0) for index, shot in enumerate(SHOTS))
    plan = night(0.9, shots=shots)
    steps = {planned.shot.weight: plan.decisions[planned.decision].steps for planned in plan.shots}
    assert steps[3.0] == 40
    assert steps[1.0] < 40


def test_what_was_asked_for_in_so_many_words_is_never_shed():
    fixed = tuple(replace(shot, steps=40, method="emoji-64-full", priority=-1) for shot in SHOTS[:100])
    plan = night(0.8, shots=fixed + SHOTS[100:])
    kept = {plan.decisions[planned.decision].steps for planned in plan.shots[:100]}
    assert kept == {40}
    assert isinstance(night(0.3, shots=tuple(replace(shot, steps=40) for shot in SHOTS)), PlanRefusal)


def test_an_asked_method_sheds_steps_but_never_its_rung():
    asked = tuple(replace(shot, method="emoji-64-full") for shot in SHOTS)
    assert isinstance(night(0.7, shots=asked), ExecutionPlan)
    assert isinstance(night(0.3, shots=asked), PlanRefusal)


def test_an_asked_distilled_method_in_batch_sheds_nothing():
    shots = tuple(replace(shot, method="emoji-64-lcm") for shot in SHOTS)
    assert isinstance(night(0.01, shots=shots), PlanRefusal)


def test_a_quality_floor_stops_the_shedding():
    service = make_service(
        deadline=NOW + timedelta(seconds=AS_ASKED * 0.5), may_degrade=True, quality_floor=0.99
    )
    outcome = try_plan(manifest=make_manifest(shots=SHOTS, service=service))
    assert isinstance(outcome, PlanRefusal)


def test_what_was_shed_is_said_in_decision_rejection_and_warning():
    plan = night(0.8)
    decision = plan.decisions[-1]
    assert any("instead of 40, so that the night ends in time" in reason for reason in decision.reasons)
    assert decision.rejected[0].code == "does_not_fit_the_night"
    assert any("200 shots run fewer steps" in warning for warning in plan.warnings)
    assert night(0.8, may_degrade=True).plan_hash == plan.plan_hash


def test_a_refusal_gives_the_end_the_shortfall_and_the_cheapest_change_first():
    refusal = night(0.8, may_degrade=False)
    assert refusal.reasons[0].code == "night_does_not_fit"
    assert "would end at 2026-01-31 19:0" in refusal.reasons[0].detail
    first, *others = refusal.remedies
    assert first.startswith("Set may_degrade = true: emoji-64-full at 3")
    assert any("Move the deadline" in remedy for remedy in others)
    assert any("workers instead of 2" in remedy for remedy in others)
    assert any("Leave out the" in remedy and "of lowest priority" in remedy for remedy in others)


def test_every_change_that_a_refusal_names_really_fits():
    refusal = night(0.5, may_degrade=False)
    workers = next(int(remedy.split()[1]) for remedy in refusal.remedies if "instead of 2" in remedy)
    dropped = next(int(remedy.split()[3]) for remedy in refusal.remedies if "Leave out" in remedy)
    assert isinstance(night(0.5, may_degrade=True), ExecutionPlan)
    assert isinstance(night(0.5, may_degrade=False, fleet=make_fleet(workers=workers)), ExecutionPlan)
    assert isinstance(night(0.5, may_degrade=False, fleet=make_fleet(workers=workers - 1)), PlanRefusal)
    assert isinstance(night(0.5, may_degrade=False, shots=SHOTS[dropped:]), ExecutionPlan)


def test_dropping_spares_the_urgent():
    shots = (*(replace(shot, priority=5) for shot in SHOTS[:100]), *SHOTS[100:])
    refusal = night(0.6, may_degrade=False, shots=tuple(shots))
    assert any("of lowest priority" in remedy for remedy in refusal.remedies)


def test_one_shot_that_cannot_be_hurried_is_refused_without_false_advice():
    service = make_service(deadline=NOW + timedelta(milliseconds=100), may_degrade=True)
    refusal = try_plan(manifest=make_manifest(shots=(make_shot(),), service=service))
    assert isinstance(refusal, PlanRefusal)
    assert not any("worker" in remedy or "Leave out" in remedy for remedy in refusal.remedies)


def test_may_degrade_is_not_advised_where_it_would_not_help():
    service = make_service(deadline=NOW + timedelta(milliseconds=100))
    refusal = try_plan(manifest=make_manifest(shots=(make_shot(),), service=service))
    assert not any("may_degrade" in remedy for remedy in refusal.remedies)


def test_the_end_is_told_in_the_zone_of_the_deadline():
    zone = timezone(timedelta(hours=9), "JST")
    deadline = (NOW + timedelta(seconds=1)).astimezone(zone)
    refusal = try_plan(
        manifest=make_manifest(shots=make_shots(2000), service=make_service(deadline=deadline))
    )
    assert "2026-02-01 04:" in refusal.reasons[0].detail
    assert "JST" in refusal.reasons[0].detail


def test_a_lower_rung_that_is_not_cheaper_is_no_help():
    slow_student = make_menu(
        offers=(make_offer(), make_offer(preset=replace(make_offer().preset, name="z", rung="distilled")))
    )
    assert isinstance(night(0.3, menu=slow_student), PlanRefusal)


def cached_offer(quality, step_share):
    preset = make_offer().preset
    cache = CacheSpec(
        class_name="FirstBlockCacheConfig",
        config=(("threshold", 0.05),),
        component="unet",
        step_share=step_share,
    )
    points = tuple(replace(point, quality=point.quality * quality) for point in preset.quality)
    return make_offer(
        preset=replace(preset, name="emoji-64-cached", rung="cached", cache=cache, quality=points)
    )


@pytest.mark.parametrize(
    ("quality", "step_share", "rungs"),
    [(0.9999, 0.5, {"full", "cached"}), (0.5, 0.5, {"full"}), (0.9999, 1.0, {"full"})],
)
def test_a_cache_is_taken_beside_fewer_steps_where_it_keeps_more(quality, step_share, rungs):
    menu = make_menu(offers=(make_offer(), cached_offer(quality, step_share)))
    service = make_service(
        deadline=NOW + timedelta(seconds=AS_ASKED * 0.8), may_degrade=True, may_approximate=True
    )
    plan = try_plan(manifest=make_manifest(shots=SHOTS, service=service), menu=menu)
    assert {decision.offer.preset.rung for decision in plan.decisions} == rungs
    assert plan.totals.wall_seconds_p95 <= AS_ASKED * 0.8


def test_no_night_is_approximated_unasked():
    menu = make_menu(offers=(make_offer(), cached_offer(0.9999, 0.5)))
    plan = night(0.8, menu=menu)
    assert {decision.offer.preset.rung for decision in plan.decisions} == {"full"}


def test_many_priorities_still_share_batches():
    shots = tuple(replace(shot, priority=index) for index, shot in enumerate(SHOTS))
    plan = night(0.8, shots=shots)
    assert len(plan.decisions) <= 17  # a band each, and one of them in two
    assert max(len(batch.shots) for batch in plan.batches) > 1
    assert plan.totals.wall_seconds_p95 <= AS_ASKED * 0.8


def test_a_load_is_counted_wherever_the_stack_changes():
    shots = (make_shot("fox"), make_shot("owl", method="emoji-64-lcm"))
    one, instant = (
        make_execution_plan(
            manifest=make_manifest(shots=shots), fleet=make_fleet(workers=1, load_seconds=load)
        ).totals
        for load in (10.0, 0.0)
    )
    assert one.wall_seconds_p50 - instant.wall_seconds_p50 == pytest.approx(20.0)
    assert one.seconds_p50 == instant.seconds_p50


def test_a_lower_floor_is_advised_where_it_would_fit_and_really_does():
    deadline = NOW + timedelta(seconds=AS_ASKED * 0.75)
    strict = make_service(deadline=deadline, may_degrade=True, quality_floor=0.99)
    refusal = try_plan(manifest=make_manifest(shots=SHOTS, service=strict))
    (advice,) = [remedy for remedy in refusal.remedies if "quality_floor" in remedy]
    floor = float(advice.split()[3].rstrip(":"))
    assert floor < 0.99
    lowered = make_manifest(shots=SHOTS, service=replace(strict, quality_floor=floor))
    assert isinstance(try_plan(manifest=lowered), ExecutionPlan)


def test_a_lower_floor_is_not_advised_where_none_would_do():
    strict = make_service(deadline=NOW + timedelta(seconds=0.01), may_degrade=True, quality_floor=0.99)
    refusal = try_plan(manifest=make_manifest(shots=SHOTS, service=strict))
    assert not any("quality_floor" in remedy for remedy in refusal.remedies)


def test_steps_are_shed_only_where_nobody_waits():
    service = make_service(
        tier=ServiceTier.INTERACTIVE, deadline=NOW + timedelta(seconds=1), may_degrade=True
    )
    assert isinstance(try_plan(manifest=make_manifest(shots=SHOTS, service=service)), PlanRefusal)


def test_a_large_night_is_within_one_percent_of_the_fluid_optimum():
    shots = tuple(
        replace(shot, priority=index % 3, weight=1.0 + index % 2)
        for index, shot in enumerate(make_shots(5000))
    )
    whole = make_execution_plan(manifest=make_manifest(shots=shots)).totals.wall_seconds_p95
    for share in (0.95, 0.8, 0.6, 0.4, 0.2):
        service = make_service(deadline=NOW + timedelta(seconds=whole * share), may_degrade=True)
        ground = Ground(
            service=service, rule=TIER_TABLE[service.tier], costs=(make_cost_profile(),), device="cpu-2"
        )
        (first, student) = climb(make_menu().offers, Need.of(shots[0]), ground).standing
        groups = [
            Group(
                pictures=1250,
                priority=0,
                weight=weight,
                choices=(first, candidate_at(first.offer, Need.of(shots[0]), ground, 30), student),
            )
            for weight in (8.0, 4.0, 2.0, 1.0)
        ]
        found = allot_night(
            groups, Night(seconds=whole * share, may_degrade=True, latency_target_s=None, fleet=make_fleet())
        )
        assert isinstance(found, Allotment)
        assert 0.99 * found.fluid <= found.quality <= found.fluid
        assert found.finish.p95 <= whole * share


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("share", [0.9, 0.65, 0.5])
def test_a_small_night_is_within_one_percent_of_every_combination_planned_by_hand(share, workers):
    full = make_preset(steps=(25, 30, 40))
    menu = make_menu(offers=(make_offer(preset=full), make_student_offer()))
    shots = tuple(replace(shot, weight=weight) for shot, weight in zip(make_shots(8), WEIGHTS, strict=True))
    fleet = make_fleet(workers=workers)
    facts = {"menu": menu, "fleet": fleet}
    whole = make_execution_plan(manifest=make_manifest(shots=shots), **facts).totals.wall_seconds_p95
    service = make_service(deadline=NOW + timedelta(seconds=whole * share), may_degrade=True)

    def worth(plan):
        curves = [curve_of(decision.offer.preset).at(decision.steps) for decision in plan.decisions]
        return sum(planned.shot.weight * curves[planned.decision] for planned in plan.shots)

    def by_hand(ways):
        chosen = (
            replace(shot, method=method, steps=steps)
            for shot, (method, steps) in zip(shots, ways, strict=True)
        )
        return try_plan(manifest=make_manifest(shots=tuple(chosen), service=service), **facts)

    # Shots differ in weight alone, so of all plans with the same ways the heaviest shots' best is the best.
    ways = [("emoji-64-lcm", 4), ("emoji-64-full", 25), ("emoji-64-full", 30), ("emoji-64-full", 40)]
    plans = [by_hand(chosen) for chosen in itertools.combinations_with_replacement(ways, len(shots))]
    best = max((worth(plan) for plan in plans if isinstance(plan, ExecutionPlan)), default=None)
    found = try_plan(manifest=make_manifest(shots=shots, service=service), **facts)
    if best is None:
        assert isinstance(found, PlanRefusal)
    else:
        assert worth(found) >= 0.99 * best


WEIGHTS = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 4.0, 4.0)  # rising, as the ways do


# --- several devices ---------------------------------------------------------------------------

SLOW = replace(
    make_cost_profile(key=make_cost_key(device="cpu-1")),
    rows=tuple(replace(row, p50=row.p50 * 4, p95=row.p95 * 4) for row in make_cost_profile().rows),
)
UNLIKE = {"costs": (make_cost_profile(), SLOW)}


def unlike(quick=1, slow=2, prices=(None, None)):
    return make_fleet(
        make_group(workers=quick, price_per_device_hour=prices[0]),
        make_group(workers=slow, device="cpu-1", price_per_device_hour=prices[1]),
    )


def advice(share, fleet):
    refusal = night(share, may_degrade=False, fleet=fleet, **UNLIKE)
    assert isinstance(refusal, PlanRefusal)
    (said,) = [remedy for remedy in refusal.remedies if "workers of" in remedy]
    return said


@pytest.mark.parametrize(
    ("prices", "device"), [((None, None), "cpu-2"), ((8.0, 1.0), "cpu-1"), ((3.0, 1.0), "cpu-2")]
)
def test_the_cheapest_device_to_add_is_named_and_one_worker_fewer_would_not_do(prices, device):
    said = advice(0.6, unlike(prices=prices))
    assert f" of {device} instead of " in said
    needed = int(said.split()[1])
    for workers, outcome in ((needed, ExecutionPlan), (needed - 1, PlanRefusal)):
        fleet = unlike(quick=workers) if device == "cpu-2" else unlike(slow=workers)
        assert isinstance(night(0.6, may_degrade=False, fleet=fleet, **UNLIKE), outcome)


def test_a_device_that_cannot_help_is_not_advised():
    shots = make_shots(1)
    service = make_service(deadline=NOW + timedelta(seconds=1))
    refusal = try_plan(
        manifest=make_manifest(shots=shots, service=service), fleet=unlike(quick=1, slow=1), **UNLIKE
    )
    assert not any("worker" in remedy for remedy in refusal.remedies)


def test_a_latency_target_is_judged_on_the_device_that_takes_the_batch():
    shots = make_shots(20)
    quick, slow = (
        make_execution_plan(
            manifest=make_manifest(shots=shots[:1], service=interactive()), fleet=fleet, **UNLIKE
        )
        for fleet in (make_fleet(workers=1), make_fleet(workers=1, device="cpu-1"))
    )
    target = (quick.decisions[0].seconds_p95 + slow.decisions[0].seconds_p95) / 2
    service = interactive(latency_target_s=target)
    manifest = make_manifest(shots=shots, service=service)
    assert isinstance(try_plan(manifest=manifest, fleet=make_fleet(device="cpu-1"), **UNLIKE), PlanRefusal)
    both = make_execution_plan(manifest=manifest, fleet=unlike(), **UNLIKE)
    assert [cost.device for cost in both.decisions[0].devices] == ["cpu-2"]
    assert {share.device: share.batches > 0 for share in both.totals.devices} == {
        "cpu-1": False,
        "cpu-2": True,
    }


def interactive(**changes):
    return make_service(tier=ServiceTier.INTERACTIVE, **changes)


def test_a_profile_of_another_device_is_a_guess_here():
    measured = make_cost_profile(samples=500)
    plan = make_execution_plan(costs=(measured,), fleet=make_fleet(device="cpu-7"))
    assert "not measured here yet" in plan.decisions[0].reasons[-1]
