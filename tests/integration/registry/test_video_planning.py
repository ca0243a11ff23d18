"""Clips and streams planned from repositories in their published layout: what is chosen, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.manifest_files import load_manifest
from policy.explain import explain_plan, explain_refusal
from policy.menu import Menu
from policy.plan import Decision, ExecutionPlan, PlanRefusal
from policy.tiers import Rung, ServiceTier
from policy.uses import Act, IntendedUse
from registry.menu import build_menu
from tests.factories import NOW, make_manifest, make_service, make_shot
from tests.tiny_hub import videos as hub
from tests.tiny_hub.planning import outcome_of, pinned_on
from tests.unit.registry.licensing import catalogue, small_use

LIVE, INTERACTIVE, BATCH = ServiceTier.LIVE, ServiceTier.INTERACTIVE, ServiceTier.BATCH
SHIP = small_use(Act.SHIP_OUTPUT_COMMERCIAL)
RESEARCH = small_use(Act.RESEARCH_NONCOMMERCIAL)
SHOWN = small_use(Act.SHIP_OUTPUT_COMMERCIAL, "ltx2-community-2026-01-05")


def order(model: str, tier: ServiceTier, use: IntendedUse = SHIP, **shot: Any):
    facts: dict[str, Any] = {"frames": 81, "width": 832, "height": 480} | shot
    return make_manifest(
        shots=(make_shot("waves", model=model, **facts),), service=make_service(tier=tier), use=use
    )


def planned(root: Path, model: str, tier: ServiceTier, use: IntendedUse = SHIP, **shot: Any):
    known = catalogue()
    return outcome_of(order(model, tier, use, **shot), known, pinned_on(root, known))


def chosen(outcome: ExecutionPlan | PlanRefusal) -> Decision:
    assert isinstance(outcome, ExecutionPlan), outcome
    (decision,) = outcome.decisions
    return decision


def refused(outcome: ExecutionPlan | PlanRefusal) -> PlanRefusal:
    assert isinstance(outcome, PlanRefusal), outcome
    return outcome


def menu_of(root: Path, model: str) -> Menu:
    known = catalogue()
    manifest = order(model, INTERACTIVE)
    return build_menu(manifest=manifest, catalogue=known, pinned=pinned_on(root, known), use=manifest.use)


# --- interactive -------------------------------------------------------------------------


def test_an_interactive_clip_on_stable_diffusion_runs_animatediff_lightning(tmp_path):
    root = hub.put_videos(tmp_path, hub.SD15, hub.ANIMATED)
    decision = chosen(planned(root, hub.SD15, INTERACTIVE, frames=16, width=512, height=512))
    assert decision.offer.preset.name == "animatediff-lightning-4step"  # the tier's default
    assert (decision.steps, decision.forward_passes) == (4, 4)
    assert any("of the family that tier interactive prefers" in reason for reason in decision.reasons)


def test_an_interactive_clip_on_wan_runs_the_distil_of_the_model_in_use(tmp_path):
    root = hub.put_videos(tmp_path, hub.T2V, hub.LIGHTNING)
    decision = chosen(planned(root, hub.T2V, INTERACTIVE))
    assert decision.offer.preset.name == "wan2.2-lightning-t2v-v2.0"
    assert [(pin.component, Path(pin.file).name) for pin in decision.offer.stack.adapters] == [
        ("transformer", "high_noise_model.safetensors"),
        ("transformer_2", "low_noise_model.safetensors"),
    ]
    assert dict(decision.guidance) == {"guidance_scale": 1.0, "guidance_scale_2": 1.0}
    assert decision.forward_passes == 4


def test_overnight_the_experts_run_in_full(tmp_path):
    root = hub.put_videos(tmp_path, hub.T2V, hub.LIGHTNING)
    decision = chosen(planned(root, hub.T2V, BATCH))
    assert (decision.offer.preset.name, decision.forward_passes) == ("wan2.2-t2v-a14b-full", 80)
    assert dict(decision.guidance) == {"guidance_scale": 4.0, "guidance_scale_2": 3.0}


def test_one_expert_of_two_is_no_method(tmp_path):
    root = hub.put_videos(tmp_path, hub.T2V, hub.LIGHTNING, without=f"{hub.SEKO}V1.1/low")
    absent = {absence.preset: absence.detail for absence in menu_of(root, hub.T2V).absences}
    assert set(absent) == {"wan2.2-lightning-t2v-v1.1"}
    missing = f"{hub.SEKO}V1.1/low_noise_model.safetensors of lightx2v/Wan2.2-Lightning"
    assert absent["wan2.2-lightning-t2v-v1.1"] == (
        f"wan2.2-lightning-t2v-v1.1 needs {missing}, which is pinned without it."
    )
    refusal = refused(planned(root, hub.T2V, INTERACTIVE, method="wan2.2-lightning-t2v-v1.1"))
    assert any(missing in reason.detail for reason in refusal.reasons)


def test_a_method_for_text_is_not_offered_on_the_model_for_pictures(tmp_path):
    root = hub.put_videos(tmp_path, hub.I2V, hub.LIGHTNING)
    offered = {offer.preset.name for offer in menu_of(root, hub.I2V).offers}
    assert offered == {"wan2.2-i2v-a14b-full", "wan2.2-lightning-i2v-v1"}


# --- live --------------------------------------------------------------------------------


@pytest.fixture
def streaming(tmp_path) -> Path:
    return hub.put_videos(tmp_path, hub.SMALL, hub.SELF_FORCING, hub.CAUSVID)


def test_live_for_sale_runs_self_forcing_and_says_why_not_causvid(streaming):
    decision = chosen(planned(streaming, hub.SMALL, LIVE))
    assert decision.offer.preset.name == "self-forcing-dmd"
    assert (decision.steps, decision.forward_passes) == (4, 35)
    assert any(
        "7 chunks of 12 frames, each 4 steps and 1 to fill the cache" in told for told in decision.reasons
    )
    against = {no.preset: no for no in decision.rejected}
    assert against["causvid-3step"].code == "licence_deny"
    assert "NonCommercial purposes only" in against["causvid-3step"].detail
    assert "wan2.1-t2v-1.3b-full" in against


def test_causvid_asked_for_by_name_is_refused_with_its_clause_and_the_permitted_neighbour(streaming):
    refusal = refused(planned(streaming, hub.SMALL, LIVE, method="causvid-3step"))
    (reason,) = refusal.reasons
    assert (reason.code, reason.licence, reason.component) == (
        "noncommercial_licence", "cc-by-nc-sa-4.0", hub.CAUSVID,
    )  # fmt: skip
    assert reason.clause
    assert not any("LongLive" in told for told in refusal.remedies)  # what was not asked for is not advised
    nearest = refusal.remedies[0]
    assert nearest.startswith(
        f"Use {hub.SMALL} with method self-forcing-dmd: permitted, 4 steps, quality 0.88"
    )
    assert "a clip; against causvid-3step at 3 steps: quality +0.08, 1.18 times the seconds" in nearest


def test_causvid_may_be_studied(streaming):
    decision = chosen(planned(streaming, hub.SMALL, LIVE, RESEARCH, method="causvid-3step"))
    assert (decision.steps, decision.forward_passes) == (3, 28)


def test_a_stream_costs_its_cache_passes_too(streaming):
    """Four steps and a pass for the cache take as long as five steps of the whole clip."""
    decision = chosen(planned(streaming, hub.SMALL, LIVE))
    twenty_five = chosen(planned(streaming, hub.SMALL, BATCH, method="wan2.1-t2v-1.3b-full", steps=25))
    thirty = chosen(planned(streaming, hub.SMALL, BATCH, method="wan2.1-t2v-1.3b-full", steps=30))
    five_steps = (thirty.seconds_p50 - twenty_five.seconds_p50) / 1.5  # guided: two rows cost 1.5 here
    causvid = chosen(planned(streaming, hub.SMALL, LIVE, RESEARCH, method="causvid-3step"))
    assert decision.seconds_p50 - causvid.seconds_p50 == pytest.approx(five_steps / 5)
    fixed = twenty_five.seconds_p50 - 5 * (thirty.seconds_p50 - twenty_five.seconds_p50)
    assert decision.seconds_p50 == pytest.approx(fixed + five_steps)


def test_live_admits_ltx_2_as_real_time_native(tmp_path):
    root = hub.put_videos(tmp_path, hub.LTX2)
    decision = chosen(planned(root, hub.LTX2, LIVE, SHOWN, frames=121, width=1536, height=1024))
    preset = decision.offer.preset
    assert (preset.name, preset.rung, preset.is_real_time_native) == ("ltx-2-distilled", Rung.DISTILLED, True)
    assert (decision.steps, decision.forward_passes, len(decision.guidance)) == (8, 11, 8)
    assert [pin.component for pin in decision.offer.stack.adapters] == ["transformer", "latent_upsampler"]
    assert decision.offer.stack.name == "LTX-2"


def test_ltx_2_asks_a_large_company_for_a_paid_licence(tmp_path):
    root = hub.put_videos(tmp_path, hub.LTX2)
    rich = replace(SHOWN, organisation=replace(SHOWN.organisation, group_revenue_usd=10_000_000))
    refusal = refused(planned(root, hub.LTX2, LIVE, rich, frames=121, width=1536, height=1024))
    codes = {reason.code for reason in refusal.reasons}
    assert codes == {"revenue_cap_exceeded", "paid_licence_required"}


def test_live_on_a_model_that_does_not_stream_names_the_models_that_do(tmp_path):
    root = hub.put_videos(tmp_path, hub.T2V, hub.LIGHTNING)
    refusal = refused(planned(root, hub.T2V, LIVE))
    assert {reason.code for reason in refusal.reasons} == {"rung_not_in_tier"}
    told = "\n".join(explain_refusal(refusal))
    assert "Tier live runs causal or real-time native methods" in told
    for model in (hub.SMALL, hub.LARGE, hub.LTX2, "BestWishYsh/Helios-Distilled"):
        assert model in told


def test_the_base_alone_names_what_streams_on_it(tmp_path):
    root = hub.put_videos(tmp_path, hub.SMALL)
    remedies = "\n".join(refused(planned(root, hub.SMALL, LIVE)).remedies)
    assert "rightstep model pin gdhe17/Self-Forcing" in remedies
    assert "rcm-Wan" not in remedies  # a method for another tier


@pytest.mark.parametrize(
    ("example", "base", "added"),
    [
        ("clip.toml", hub.T2V, "lightx2v/Wan2.2-Lightning (apache-2.0)"),
        ("live.toml", hub.SMALL, "gdhe17/Self-Forcing (apache-2.0)"),
    ],
)
def test_the_examples_say_what_to_pin(example, base, added):
    manifest = load_manifest(Path(__file__).parents[3] / "examples/manifests" / example, now=NOW)
    refusal = refused(outcome_of(manifest, catalogue(), {}))
    assert [reason.detail.rpartition(": ")[2] for reason in refusal.reasons] == [f"{base} is not pinned."]
    (told,) = refusal.remedies
    assert f"rightstep model pin {base}" in told
    assert added in told


@pytest.mark.parametrize(
    ("example", "repos", "method"),
    [
        ("clip.toml", (hub.T2V, hub.LIGHTNING), "wan2.2-lightning-t2v-v2.0"),
        ("live.toml", (hub.SMALL, hub.SELF_FORCING), "self-forcing-dmd"),
    ],
)
def test_the_examples_are_planned_once_that_is_pinned(tmp_path, example, repos, method):
    manifest = load_manifest(Path(__file__).parents[3] / "examples/manifests" / example, now=NOW)
    root = hub.put_videos(tmp_path, *repos)
    decision = chosen(outcome_of(manifest, catalogue(), pinned_on(root, catalogue())))
    assert decision.offer.preset.name == method
    assert any("not measured, by a stated prior" in reason for reason in decision.reasons)


def test_a_pickle_is_asked_to_be_imported(tmp_path):
    root = hub.put_videos(tmp_path, hub.SMALL, hub.SELF_FORCING, without=".safetensors")
    refusal = refused(planned(root, hub.SMALL, LIVE, method="self-forcing-dmd"))
    told = "\n".join(explain_refusal(refusal))
    assert (
        "checkpoints/self_forcing_dmd.pt is a pickle: import it to checkpoints/self_forcing_dmd.safetensors"
        in told
    )


def test_a_licence_that_nobody_has_read_permits_no_stream(tmp_path):
    root = hub.put_videos(tmp_path, hub.ANYFLOW)
    assert refused(planned(root, hub.ANYFLOW, LIVE)).reasons
    assert refused(planned(root, hub.ANYFLOW, LIVE, RESEARCH)).reasons


# --- lengths and sizes -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("repos", "shot", "code", "remedy"),
    [
        ((hub.T2V, hub.LIGHTNING), {"frames": 80}, "frames_not_published", "Ask for 81 frames"),
        ((hub.T2V, hub.LIGHTNING), {"frames": 78}, "frames_not_published", "Ask for 77 frames"),
        ((hub.T2V, hub.LIGHTNING), {"height": 472}, "size_not_published", "Ask for 832 x 480"),
        ((hub.SMALL, hub.SELF_FORCING), {"frames": 73}, "frames_not_published", "Ask for 69 frames"),
        ((hub.SMALL, hub.SELF_FORCING), {"frames": 161}, "frames_not_published", "Ask for 81 frames"),
        ((hub.SMALL, hub.SELF_FORCING), {"width": 640}, "size_not_published", "Ask for 832 x 480"),
        ((hub.LTX2,), {"frames": 120, "height": 512}, "frames_not_published", "Ask for 121 frames"),
        ((hub.LTX2,), {"frames": 121, "height": 500}, "size_not_published", "Ask for 832 x 512"),
        ((hub.SD15, hub.ANIMATED), {"frames": 24}, "frames_not_published", "Ask for 16 frames"),
        ((hub.LTX2,), {"frames": 121, "height": 512, "fps": 30}, "fps_not_published", "Leave fps out, or ask for 24"),
    ],
)  # fmt: skip
def test_a_clip_between_two_valid_ones_is_refused_with_the_nearest(tmp_path, repos, shot, code, remedy):
    root = hub.put_videos(tmp_path, *repos)
    tier = LIVE if repos[0] in {hub.SMALL, hub.LTX2} else INTERACTIVE
    refusal = refused(planned(root, repos[0], tier, SHOWN, **shot))
    assert code in {reason.code for reason in refusal.reasons}
    assert any(told.startswith(remedy) for told in refusal.remedies)


def test_anyflow_streams_only_clips_that_its_partition_makes():
    (preset,) = [preset for preset in catalogue().presets if preset.name == "anyflow-far-1.3b"]
    assert preset.clip is not None
    assert preset.clip.takes_frames(81)
    assert [preset.clip.nearest_frames(frames) for frames in (1, 77, 80, 85)] == [81, 81, 81, 81]
    assert preset.clip.lengths() == "clips of 81 frames alone"


def test_a_plan_for_a_stream_reads_well(streaming):
    outcome = planned(streaming, hub.SMALL, LIVE)
    assert isinstance(outcome, ExecutionPlan)
    told = "\n".join(explain_plan(outcome))
    assert "self-forcing-dmd" in told
    assert "35 forward passes" in told
    assert "a clip" in told
    assert "a picture" not in told


@pytest.mark.parametrize(("asked", "told"), [({}, 8), ({"fps": 8.0}, 8), ({"fps": 24.0}, 24)])
def test_a_clip_plays_at_the_rate_it_was_trained_at_or_as_it_was_asked(tmp_path, asked, told):
    root = hub.put_videos(tmp_path, hub.SD15, hub.ANIMATED)
    outcome = planned(root, hub.SD15, INTERACTIVE, SHOWN, frames=16, width=512, height=512, **asked)
    assert chosen(outcome).fps == told
    assert f"16 frames at {told} a second" in "\n".join(explain_plan(outcome))
