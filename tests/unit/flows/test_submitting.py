"""From plan to job: one gate, one audit event, and one unfinished job for one order."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from flows.planning import Overrides, complete_use, plan_manifest
from flows.rendering import list_jobs, shots_of
from flows.steering import cancel_job
from flows.submitting import job_key, refuse_order, submit_plan
from policy.errors import Refused
from policy.limits import Limits
from policy.manifest import LoraRequest
from policy.plan import ExecutionPlan, PlanRefusal
from policy.tasks import TakeState
from policy.tiers import ServiceTier
from policy.uses import Act
from registry.records import JobState
from registry.unit_of_work import unit_of_work
from tests.factories import (
    NOW,
    make_batch_result,
    make_denial,
    make_execution_plan,
    make_input,
    make_lora,
    make_manifest,
    make_menu,
    make_offer,
    make_service,
    make_shot,
    make_take_result,
    make_use,
)


def events_of(house):
    with unit_of_work(house.engine, read_only=True) as work:
        return [chained.event for chained in work.audit.events(after=0) if chained.event.actor == "tester"]


def plan(house, **changes):
    outcome = plan_manifest(house, make_manifest(**changes))
    assert isinstance(outcome, ExecutionPlan), outcome
    return outcome


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "another"},
        {"owner": "somebody"},
        {"labels": (("show", "two"),)},
        {"recipients": ("a@b",)},
        {"max_failed_shots": 1},
        {"waive_output_checks": True},
        {"limits": Limits(budget_seconds=60.0)},
        {"service": make_service(tier=ServiceTier.INTERACTIVE)},
        {"service": make_service(quality_floor=0.5)},
        {"service": make_service(may_degrade=True)},
        {"service": make_service(latency_target_s=9.0)},
        {"use": make_use(act=Act.EVALUATE_INTERNAL)},
        {"use": make_use(territories=("DE",))},
        {"use": make_use(evidence=("stability_registration",))},
        {"shots": (make_shot("owl", seed=2), make_shot("fox", seed=1))},
        {"shots": (make_shot("fox", seed=1),)},
    ],
)
def test_whatever_is_asked_for_differently_is_another_order(changes):
    assert job_key(make_manifest(**changes)) != job_key(make_manifest())


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "cat"},
        {"prompt": "a cat"},
        {"negative": "blurry"},
        {"model": "other/model"},
        {"seed": 9},
        {"width": 72},
        {"height": 72},
        {"frames": 2},
        {"loras": (make_lora(),)},
        {"inputs": (make_input(),)},
        {"steps": 8},
        {"guidance": 2.0},
        {"method": "emoji-64-full"},
        {"priority": 1},
    ],
)
def test_a_shot_that_differs_in_anything_makes_another_order(changes):
    shots = (replace(make_shot("fox", seed=1), **changes), make_shot("owl", seed=2))
    assert job_key(make_manifest(shots=shots)) != job_key(make_manifest())


def test_the_scale_of_a_style_is_part_of_the_order():
    def key(scale: float) -> str:
        lora = LoraRequest(repo="a/b", scale=scale)
        return job_key(make_manifest(shots=(make_shot("fox", loras=(lora,)),)))

    assert key(0.8) != key(0.8000001)


def test_when_it_was_asked_and_from_which_file_makes_no_other_order():
    key = job_key(make_manifest())
    assert job_key(make_manifest(service=make_service(deadline=NOW + timedelta(hours=9)))) == key
    assert job_key(make_manifest(use=make_use(on=(NOW + timedelta(days=1)).date()))) == key
    assert job_key(make_manifest(source="copy.toml")) == key
    moved = tuple(replace(shot, where="copy.toml: shots[0]") for shot in make_manifest().shots)
    assert job_key(make_manifest(shots=moved)) == key


def test_a_refused_plan_leaves_one_audit_event_and_no_job(make_house):
    house = make_house()
    refused = make_execution_plan(menu=make_menu(offers=(make_offer(),)))
    decision = refused.decisions[0]
    denied = replace(decision, offer=replace(decision.offer, verdict=make_denial()))
    with pytest.raises(Refused) as caught:
        submit_plan(house, replace(refused, decisions=(denied,)))
    assert caught.value.verdict is not None
    (event,) = events_of(house)
    assert (event.tag, event.subject) == ("job:plan:refused", "night")
    assert json.loads(event.payload)["reasons"][0]["clause"] == "2(a)(1)"
    assert list_jobs(house) == ()


def test_an_order_that_the_licence_forbids_is_refused_with_its_clause_and_audited_once(make_house):
    house = make_house()
    nc = LoraRequest(repo="rightstep/emoji-64-style-shapes")
    order = make_manifest(shots=(make_shot("fox", prompt="a flat fox", loras=(nc,)),))
    outcome = plan_manifest(house, order)
    assert isinstance(outcome, PlanRefusal)
    refused = refuse_order(house, order, outcome)
    assert refused.verdict is not None
    (reason,) = refused.verdict.against()
    assert (reason.licence, reason.component) == ("cc-by-nc-4.0", "rightstep/emoji-64-style-shapes")
    assert reason.clause.startswith("2(a)(1)")
    assert "Leave out rightstep/emoji-64-style-shapes" in refused.next_step
    (event,) = events_of(house)
    assert "rightstep/emoji-64-style-shapes" in event.payload
    assert list_jobs(house) == ()


def test_the_same_unfinished_order_is_attached_to_and_not_audited_twice(make_house):
    house = make_house()
    first = submit_plan(house, plan(house))
    again = submit_plan(house, plan(house))
    assert (again.job_id, again.attached, first.attached) == (first.job_id, True, False)
    assert [event.tag for event in events_of(house)] == ["job:plan:accepted"]
    assert first.owner == "tester"
    other = submit_plan(house, plan(house, name="another"))
    assert other.job_id != first.job_id
    assert len(list_jobs(house)) == 2


def test_a_cancelled_order_is_ordered_anew(make_house):
    house = make_house()
    first = submit_plan(house, plan(house))
    assert cancel_job(house, first.job_id).state is JobState.CANCELLED
    assert submit_plan(house, plan(house)).job_id != first.job_id


def test_shots_that_are_made_and_kept_are_reused_and_those_whose_bytes_are_gone_are_not(make_house):
    house = make_house()
    job = submit_plan(house, plan(house))
    kept = house.store.put_bytes(b"a fox", "image/png")
    gone = house.store.put_bytes(b"an owl", "image/png")
    with unit_of_work(house.engine) as work:
        chunk = work.ledger.lease_chunk(job.job_id, holder="t", ttl_seconds=60, max_batches=9, now=NOW)
        assert chunk is not None
        fox, owl = (shot for batch in chunk.batches for shot in batch.shots)
        results = [
            make_batch_result(
                task_id=batch.task_id,
                takes=tuple(
                    make_take_result(
                        shot.take_id, shot.shot_key, artefact=kept if shot.name == "fox" else gone
                    )
                    for shot in batch.shots
                ),
            )
            for batch in chunk.batches
        ]
        work.ledger.settle(chunk, results, NOW)
        work.ledger.finish(job.job_id, NOW)
        work.commit()
    house.store.path_of(gone.sha256).unlink()

    again = submit_plan(house, plan(house))

    assert again.job_id != job.job_id
    states = {shot.name: shot.state for shot in shots_of(house, again.job_id)}
    assert states == {fox.name: TakeState.REUSED, owl.name: TakeState.QUEUED}


def test_another_tier_drops_steps_and_method_of_the_shots_and_says_so(make_house):
    house = make_house()
    shots = (make_shot("fox", prompt="a flat fox", steps=40, method="emoji-64-full"), make_shot("owl"))
    order = make_manifest(shots=shots)
    as_written = plan_manifest(house, order)
    quick = plan_manifest(house, order, Overrides(tier=ServiceTier.INTERACTIVE))
    assert isinstance(as_written, ExecutionPlan)
    assert isinstance(quick, ExecutionPlan)
    assert as_written.manifest.shots[0].steps == 40
    assert [shot.steps for shot in quick.manifest.shots] == [None, None]
    assert {decision.steps for decision in quick.decisions} == {4}
    assert any("1 shot" in warning and "interactive" in warning for warning in quick.warnings)
    assert not any("interactive" in warning for warning in as_written.warnings)
    assert quick.plan_hash != as_written.plan_hash
    assert job_key(quick.manifest) != job_key(as_written.manifest)


def test_the_tier_that_the_order_has_already_changes_nothing(make_house):
    house = make_house()
    order = make_manifest(shots=(make_shot("fox", prompt="a flat fox", steps=8),))
    same = plan_manifest(house, order, Overrides(tier=order.service.tier))
    assert isinstance(same, ExecutionPlan)
    assert same.manifest.shots[0].steps == 8


def test_overrides_speak_over_the_order_in_its_own_zone(make_house):
    house = make_house()
    order = make_manifest(timezone="Europe/Berlin")
    outcome = plan_manifest(house, order, Overrides(deadline="08:00", use=Act.EVALUATE_INTERNAL))
    assert isinstance(outcome, ExecutionPlan)
    assert outcome.manifest.service.deadline is not None
    assert outcome.manifest.service.deadline.isoformat() == "2026-02-01T07:00:00+00:00"
    assert outcome.manifest.use.act is Act.EVALUATE_INTERNAL


def test_a_use_is_completed_by_who_and_when_and_keeps_what_it_says(make_house):
    house = make_house(organisation="Studio", territories=("DE",))
    bare = make_use(territories=(), on=None)
    full = complete_use(house, bare)
    assert (full.organisation.name, full.territories, full.on) == ("Studio", ("DE",), NOW.date())
    assert complete_use(house, make_use(territories=("JP",))).territories == ("JP",)


def test_a_model_whose_folder_is_gone_stops_only_the_orders_that_ask_for_it(make_house, tmp_path):
    import shutil

    from flows.pinning import pin_model
    from registry.sources import builtin_source

    shelf = tmp_path / "shelf"
    style = builtin_source().root / "rightstep" / "emoji-64-style-twemoji"
    shutil.copytree(style, shelf / "mine" / "style")
    pin_model(make_house(model_folders=(shelf,)), "mine/style")
    house = make_house()
    assert isinstance(plan_manifest(house, make_manifest()), ExecutionPlan)
    shots = (make_shot("fox", loras=(LoraRequest(repo="mine/style"),)),)
    outcome = plan_manifest(house, make_manifest(shots=shots))
    assert isinstance(outcome, PlanRefusal)
    assert "mine/style" in str(outcome)
