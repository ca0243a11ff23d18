from dataclasses import replace
from datetime import timedelta

import pytest

from policy.ladder import Ground
from policy.plan import ExecutionPlan
from policy.replanning import Crew, Settled, Standing, decision_of, replan, steps_asked
from policy.tiers import TIER_TABLE, ServiceTier
from tests.factories import (
    NOW,
    make_cost_key,
    make_cost_profile,
    make_execution_plan,
    make_fleet,
    make_group,
    make_manifest,
    make_offer,
    make_preset,
    make_quality,
    make_service,
    make_shot,
    make_shots,
)

BATCHES = 50


def make_ground(**changes):
    service = make_service(may_degrade=True, **changes)
    return Ground(
        service=service, rule=TIER_TABLE[service.tier], costs=(make_cost_profile(),), device="cpu-2"
    )


def a_plan(**changes):
    return make_execution_plan(
        manifest=make_manifest(shots=make_shots(8, **changes)), fleet=make_fleet(workers=1)
    )


def make_standing(**changes):
    return replace(
        Standing(decision=0, shot=make_shot(), pictures=8, queued=BATCHES, in_flight=0, weight=1.0), **changes
    )


def settled(batches, seconds, device="cpu-2"):
    return (Settled(device=device, batches=batches, pictures=8 * batches, seconds=seconds * batches),)


def look(seconds, *, standing=None, ground=None, plan=None, workers=1, fleet=None):
    plan = plan or a_plan()
    fleet = fleet or make_fleet(workers=workers, load_seconds=0.0)
    crew = Crew(fleet=fleet, deadline=NOW + timedelta(seconds=seconds), now=NOW)
    return replan(plan.decisions, [standing or make_standing()], ground or make_ground(), crew)


AS_PLANNED = look(1e9).before.p95
BATCH_SECONDS = a_plan().decisions[0].seconds_p50 * 8


def cut_plan():
    """A plan whose night took steps from everybody."""
    shots = make_shots(400)
    whole = make_execution_plan(manifest=make_manifest(shots=shots)).totals.wall_seconds_p95
    service = make_service(deadline=NOW + timedelta(seconds=whole * 0.7), may_degrade=True)
    return make_execution_plan(manifest=make_manifest(shots=shots, service=service))


def test_a_night_in_time_stays_as_it_is():
    for seconds in (AS_PLANNED * 1.01, AS_PLANNED * 5):
        found = look(seconds)
        assert found.changes == ()
        assert not found.is_at_risk
        assert found.margin == pytest.approx(seconds - AS_PLANNED)


def test_a_late_night_sheds_steps_and_not_more_than_it_takes():
    found = look(AS_PLANNED * 0.8)
    assert found.changes
    assert not found.is_at_risk
    assert found.after.p95 <= AS_PLANNED * 0.8
    assert {change.candidate.steps for change in found.changes} <= {31, 32, 33}
    assert all("the night is late" in change.reason for change in found.changes)


def test_a_night_that_cannot_be_saved_sheds_what_it_may_and_is_at_risk():
    found = look(AS_PLANNED * 0.3)
    assert {change.candidate.steps for change in found.changes} == {25}
    assert found.is_at_risk
    assert found.margin < 0


def test_risk_is_told_while_the_deadline_may_still_be_kept():
    found = look(AS_PLANNED * 0.95, ground=replace(make_ground(), service=make_service()))
    assert found.is_at_risk
    assert found.after.p50 < found.left


@pytest.mark.parametrize(
    "ground",
    [replace(make_ground(), service=make_service()), make_ground(tier=ServiceTier.INTERACTIVE)],
    ids=["not allowed", "somebody waits"],
)
def test_where_steps_may_not_be_shed_nothing_changes(ground):
    found = look(AS_PLANNED * 0.5, ground=ground)
    assert found.changes == ()
    assert found.is_at_risk


def test_explicit_steps_are_never_changed():
    found = look(AS_PLANNED * 0.5, standing=make_standing(shot=make_shot(steps=40)))
    assert found.changes == ()


def test_only_what_nobody_tried_changes_and_what_flies_is_counted():
    flying = look(AS_PLANNED * 0.9, standing=make_standing(queued=25, in_flight=25))
    assert sum(change.batches for change in flying.changes) <= 25
    queued = look(AS_PLANNED * 0.9)
    assert min(change.candidate.steps for change in flying.changes) < min(
        change.candidate.steps for change in queued.changes
    )


def test_a_quality_floor_stops_the_shedding():
    found = look(AS_PLANNED * 0.5, ground=make_ground(quality_floor=0.99))
    assert found.changes == ()


def test_slow_batches_make_a_night_late_that_was_planned_in_time():
    slow = make_standing(settled=settled(10, BATCH_SECONDS * 2))
    found = look(AS_PLANNED * 1.1, standing=slow)
    assert found.before.p50 == pytest.approx(2 * BATCHES * BATCH_SECONDS, rel=0.01)
    assert found.changes
    assert "batches took 2 times what was predicted" in found.changes[0].reason


def test_one_slow_batch_is_not_believed():
    slow = make_standing(settled=settled(1, BATCH_SECONDS * 5))
    assert look(AS_PLANNED * 1.1, standing=slow).changes == ()


def test_what_was_measured_tonight_narrows_the_band():
    known = make_standing(settled=settled(25, BATCH_SECONDS))
    wide, narrow = look(1e9).before, look(1e9, standing=known).before
    assert narrow.p50 == pytest.approx(wide.p50, rel=0.01)
    assert narrow.p95 < wide.p95


def test_an_early_night_gives_back_what_was_cut_and_no_more():
    plan = cut_plan()
    assert isinstance(plan, ExecutionPlan)
    decision = plan.decisions[0]
    assert (decision.steps < 40, steps_asked(decision)) == (True, 40)
    standing = make_standing(pictures=decision.batch_size)
    found = look(1e6, standing=standing, plan=plan)
    assert [change.candidate.steps for change in found.changes] == [40]
    assert "the night is early" in found.changes[0].reason


def test_slack_that_is_too_small_is_kept():
    plan = cut_plan()
    standing = make_standing(pictures=plan.decisions[0].batch_size)
    now = look(1e9, standing=standing, plan=plan).before.p95
    assert look(now * 1.05, standing=standing, plan=plan).changes == ()
    given = look(now * 1.25, standing=standing, plan=plan)
    assert given.changes
    assert given.after.p95 <= now * 1.25 * 0.9


def test_a_changed_decision_says_why_and_remembers_what_was_asked():
    plan = a_plan()
    change = look(AS_PLANNED * 0.8).changes[0]
    shed = decision_of(plan.decisions[0], change)
    assert shed.steps == change.candidate.steps
    assert change.reason in shed.reasons
    assert shed.seconds_p50 < plan.decisions[0].seconds_p50
    assert shed.decision_id != plan.decisions[0].decision_id
    assert steps_asked(shed) == 40
    twice = decision_of(shed, replace(change, candidate=replace(change.candidate, steps=26)))
    assert steps_asked(twice) == 40
    back = decision_of(twice, replace(change, candidate=replace(change.candidate, steps=40)))
    assert steps_asked(back) == 40
    assert not any(no.code == "does_not_fit_the_night" for no in back.rejected)


def test_nothing_open_is_nothing_to_look_at():
    assert look(10.0, standing=make_standing(queued=0)) is None


def test_the_same_facts_give_the_same_round():
    assert look(AS_PLANNED * 0.8) == look(AS_PLANNED * 0.8)


def test_steps_that_would_add_nothing_are_not_given_back():
    plan = cut_plan()
    flat = make_preset(quality=make_quality((25, 0.97)))
    decision = replace(plan.decisions[0], offer=make_offer(preset=flat))
    standing = make_standing(pictures=decision.batch_size)
    assert look(1e6, standing=standing, plan=replace(plan, decisions=(decision,))).changes == ()


def test_a_night_that_is_early_on_paper_but_too_tight_to_give_a_step_back_stays():
    plan = cut_plan()
    decision = plan.decisions[0]
    standing = make_standing(pictures=decision.batch_size, queued=1)
    now = look(1e9, standing=standing, plan=plan).before.p95
    assert look(now * 1.112, standing=standing, plan=plan).changes == ()


# --- several devices ---------------------------------------------------------------------------

QUICK = make_cost_profile()
SLOW = replace(
    make_cost_profile(key=make_cost_key(device="cpu-1")),
    rows=tuple(replace(row, p50=row.p50 * 4, p95=row.p95 * 4) for row in QUICK.rows),
)
UNLIKE = make_fleet(
    make_group(workers=2, load_seconds=0.0), make_group(workers=2, device="cpu-1", load_seconds=0.0)
).in_order


def look_at_both(seconds, left=UNLIKE, **changes):
    ground = replace(make_ground(), costs=(QUICK, SLOW), others=("cpu-1",))
    plan = make_execution_plan(manifest=make_manifest(shots=make_shots(8)), costs=(QUICK, SLOW), fleet=UNLIKE)
    return replan(
        plan.decisions,
        [make_standing(**changes)],
        ground,
        Crew(fleet=left, deadline=NOW + timedelta(seconds=seconds), now=NOW),
    )


def test_a_slow_device_that_helps_ends_a_night_sooner():
    quick_alone = look(1e9, workers=2).before
    both = look_at_both(1e9).before
    assert quick_alone.p50 / 1.3 < both.p50 < quick_alone.p50


def test_the_pace_of_one_device_says_nothing_about_another():
    usual = look_at_both(1e9).before.p50
    slow_is_slower = look_at_both(1e9, settled=settled(10, BATCH_SECONDS * 4 * 3, "cpu-1")).before.p50
    both_are = look_at_both(
        1e9,
        settled=(*settled(10, BATCH_SECONDS * 3), *settled(10, BATCH_SECONDS * 4 * 3, "cpu-1")),
    ).before.p50
    assert usual < slow_is_slower < usual * 1.3
    assert both_are == pytest.approx(usual * 3, rel=0.05)


def test_what_a_device_took_that_is_gone_says_nothing_about_the_one_that_is_left():
    quick_alone = make_fleet(make_group(workers=2, load_seconds=0.0))
    usual = look_at_both(1e9, left=quick_alone).before.p50
    both_settled = (*settled(10, BATCH_SECONDS), *settled(10, BATCH_SECONDS * 4, "cpu-1"))
    after = look_at_both(1e9, left=quick_alone, settled=both_settled).before.p50
    assert after == pytest.approx(usual, rel=0.01)


def test_a_late_night_on_unlike_devices_sheds_no_more_than_it_takes_and_says_who_was_late():
    left = look_at_both(1e9).before.p95
    found = look_at_both(left, settled=settled(30, BATCH_SECONDS * 1.4))
    assert found.changes
    assert found.after.p95 <= left
    assert all("1.4 times on cpu-2 what was predicted" in change.reason for change in found.changes)


def test_changed_batches_are_priced_on_the_same_devices():
    plan = make_execution_plan(manifest=make_manifest(shots=make_shots(8)), costs=(QUICK, SLOW), fleet=UNLIKE)
    (change, *_) = look_at_both(look_at_both(1e9).before.p95 * 0.8).changes
    after = decision_of(plan.decisions[0], change)
    assert [cost.device for cost in after.devices] == [cost.device for cost in plan.decisions[0].devices]
    assert all(
        new.seconds_p50 < old.seconds_p50
        for new, old in zip(after.devices, plan.decisions[0].devices, strict=True)
    )
