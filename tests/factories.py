"""Values for tests: valid by default, so that a test overrides only the one fact that matters."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from policy.access import AccessKey, Scope
from policy.canonical import digest
from policy.costs import CostKey, CostProfile, DeviceGroup, Fleet, RowCost
from policy.gates import ShipEvidence, ShippedItem, StackEvidence
from policy.manifest import LoraRequest, RenderManifest, Shot, ShotInput
from policy.menu import Menu, Offer
from policy.methods import (
    Engine,
    Fact,
    GuidanceKnob,
    MethodPreset,
    PresetPart,
    QualityPrior,
    SchedulerSpec,
    StepSchedule,
)
from policy.plan import ExecutionPlan, PlanRefusal
from policy.planner import make_plan
from policy.stacks import AdapterPin, FilePin, ModelPin, Role, Stack
from policy.tasks import ArtefactRef, BatchResult, PictureFigures, TakeResult
from policy.tiers import Rung, ServiceLevel
from policy.uses import IntendedUse, Organisation
from policy.verdicts import Obligation, Reason, Ruling, Verdict

BASE = "rightstep/emoji-64"
STUDENT = "rightstep/emoji-64-lcm-lora"
STYLE = "rightstep/emoji-64-style-twemoji"
PIPELINE = "StableDiffusionPipeline"
NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)
RUNTIME = (("renderer", "synthetic"), ("diffusers", "0.42.1"), ("torch", "2.13.0"))


# --- keys to the HTTP API -------------------------------------------------------------


def make_access_key(**changes: Any) -> AccessKey:
    key = AccessKey(
        key_id="0123456789ab",
        owner="Zoë",
        scopes=(Scope.SUBMIT, Scope.READ),
        per_minute=60,
        at_once=4,
        created_at=NOW,
        created_by="alice",
        expires_at=NOW + timedelta(days=1),
    )
    return replace(key, **changes)


# --- pins and stacks -----------------------------------------------------------------


def make_file_pin(path: str = "unet/diffusion_pytorch_model.safetensors", **changes: Any) -> FilePin:
    return replace(FilePin(path=path, sha256=digest("test-file", path), size=1024), **changes)


def make_model_pin(repo: str = BASE, **changes: Any) -> ModelPin:
    files = (make_file_pin(), make_file_pin("model_index.json"))
    pin = ModelPin(repo=repo, revision=digest("test-commit", repo)[:40], role=Role.BASE, files=files)
    return replace(pin, **changes)


def make_adapter_pin(repo: str = STUDENT, **changes: Any) -> AdapterPin:
    pin = AdapterPin(
        repo=repo,
        revision=digest("test-commit", repo)[:40],
        role=Role.DISTILL_LORA if repo == STUDENT else Role.LORA,
        files=(make_file_pin("pytorch_lora_weights.safetensors", sha256=digest("test-lora", repo)),),
        scale=1.0,
    )
    return replace(pin, **changes)


def make_stack(**changes: Any) -> Stack:
    return replace(Stack(name="emoji-64", pipeline=PIPELINE, base=make_model_pin()), **changes)


# --- methods -------------------------------------------------------------------------


def make_scheduler(class_name: str = "DDIMScheduler") -> SchedulerSpec:
    return SchedulerSpec(
        class_name=class_name,
        config=(
            ("beta_end", 0.012),
            ("beta_schedule", "scaled_linear"),
            ("beta_start", 0.00085),
            ("clip_sample", False),
            ("num_train_timesteps", 1000),
            ("steps_offset", 1),
        ),
    )


def make_knob(**changes: Any) -> GuidanceKnob:
    knob = GuidanceKnob(
        name="guidance_scale",
        default=3.0,
        minimum=1.0,
        maximum=9.0,
        off=1.0,
        doubles_batch_above=1.0,
        why="Above 9 the pictures burn.",
    )
    return replace(knob, **changes)


def make_quality(*points: tuple[int, float]) -> tuple[QualityPrior, ...]:
    return tuple(
        QualityPrior(steps=steps, quality=quality, samples=96, source="prior: test")
        for steps, quality in points
    )


def make_part(**changes: Any) -> PresetPart:
    part = PresetPart(
        repo=STUDENT,
        file="pytorch_lora_weights.safetensors",
        role=Role.DISTILL_LORA,
        component="unet",
        scale=1.0,
        tensors=64,
    )
    return replace(part, **changes)


def make_preset(**changes: Any) -> MethodPreset:
    """Full steps with guidance, 40 recommended."""
    preset = MethodPreset(
        name="emoji-64-full",
        version=1,
        family="full",
        rung=Rung.FULL,
        modality="image",
        pipeline=PIPELINE,
        engine=Engine.DIFFUSERS,
        parts=(),
        base=(BASE,),
        variant="",
        settings=(),
        call=(),
        size=None,
        frames=1,
        steps=(1, 2, 4, 8, *range(10, 51)),
        recommended_steps=40,
        scheduler=make_scheduler(),
        schedules=(),
        guidance=(make_knob(),),
        negative_prompt_is_inert=False,
        dtypes=("float32",),
        component_dtypes=(),
        fuse=False,
        cache=None,
        licence="apache-2.0",
        quality=make_quality((1, 0.1), (4, 0.7), (8, 0.85), (25, 0.97), (40, 1.0)),
        facts=(Fact(claim="40 steps with guidance 3", source="measured", verified=True),),
    )
    return replace(preset, **changes)


def make_student_preset(**changes: Any) -> MethodPreset:
    """A distilled few-step method with guidance baked in, 4 recommended."""
    preset = make_preset(
        name="emoji-64-lcm",
        family="lcm-lora",
        rung=Rung.DISTILLED,
        parts=(make_part(),),
        steps=(1, 2, 4, 8),
        recommended_steps=4,
        scheduler=make_scheduler("LCMScheduler"),
        schedules=(StepSchedule(steps=4, timesteps=(999.0, 759.0, 499.0, 259.0)),),
        guidance=(
            make_knob(
                default=1.0,
                minimum=1.0,
                maximum=1.0,
                why="Guidance is baked into the student; on top of it pictures burn, at twice the rows.",
            ),
        ),
        negative_prompt_is_inert=True,
        fuse=True,
        quality=make_quality((1, 0.6), (2, 0.8), (4, 0.9), (8, 0.92)),
    )
    return replace(preset, **changes)


# --- verdicts ------------------------------------------------------------------------


def make_reason(**changes: Any) -> Reason:
    reason = Reason(
        code="commercial_use_granted",
        ruling=Ruling.PERMIT,
        detail="Section 2 grants the use.",
        component=BASE,
        licence="apache-2.0",
        clause="2",
    )
    return replace(reason, **changes)


def make_obligation(**changes: Any) -> Obligation:
    obligation = Obligation(
        id="attribution",
        text="Credit Twitter, Inc.",
        when="distribution of the work",
        component=STYLE,
        licence="cc-by-4.0",
    )
    return replace(obligation, **changes)


def make_verdict(**changes: Any) -> Verdict:
    return replace(Verdict(ruling=Ruling.PERMIT, reasons=(make_reason(),)), **changes)


def make_denial(**changes: Any) -> Verdict:
    reason = make_reason(
        code="noncommercial_licence",
        ruling=Ruling.DENY,
        detail="CC-BY-NC-4.0 does not permit commercial use.",
        component="rightstep/emoji-64-style-shapes",
        licence="cc-by-nc-4.0",
        clause="2(a)(1)",
    )
    return replace(Verdict(ruling=Ruling.DENY, reasons=(reason,)), **changes)


# --- menu, costs, fleet --------------------------------------------------------------


def make_offer(**changes: Any) -> Offer:
    """The full preset on the bare base, permitted."""
    offer = Offer(model=BASE, loras=(), preset=make_preset(), stack=make_stack(), verdict=make_verdict())
    return replace(offer, **changes)


def make_student_offer(**changes: Any) -> Offer:
    """The distilled preset on base and student LoRA, permitted."""
    stack = make_stack(name="emoji-64 + lcm", adapters=(make_adapter_pin(),))
    return replace(make_offer(preset=make_student_preset(), stack=stack), **changes)


def make_menu(**changes: Any) -> Menu:
    return replace(Menu(offers=(make_offer(), make_student_offer())), **changes)


def make_cost_key(**changes: Any) -> CostKey:
    key = CostKey(stack_id="", pipeline=PIPELINE, width=64, height=64, frames=1, device="cpu-2")
    return replace(key, **changes)


def make_cost_profile(**changes: Any) -> CostProfile:
    """A prior that costs 30 ms a picture and about 20 ms a row and step."""
    rows = (
        RowCost(rows=1, p50=0.02, p95=0.03),
        RowCost(rows=2, p50=0.03, p95=0.045),
        RowCost(rows=16, p50=0.2, p95=0.3),
    )
    profile = CostProfile(key=make_cost_key(), fixed_p50=0.03, fixed_p95=0.04, rows=rows, samples=0)
    return replace(profile, **changes)


def make_group(**changes: Any) -> DeviceGroup:
    return replace(DeviceGroup(workers=2, device="cpu-2"), **changes)


def make_fleet(*groups: DeviceGroup, **changes: Any) -> Fleet:
    """A fleet of these groups; without any, of one with the changes."""
    return Fleet(groups=groups or (make_group(**changes),))


# --- manifests and plans -------------------------------------------------------------


def make_use(**changes: Any) -> IntendedUse:
    use = IntendedUse(
        organisation=Organisation(
            name="Small Studio", annual_revenue_usd=250_000, domicile="DE", kind="company"
        ),
        territories=("WORLD",),
        on=date(2026, 1, 31),
    )
    return replace(use, **changes)


def make_shot(name: str = "fox", **changes: Any) -> Shot:
    return replace(Shot(name=name, prompt=f"a {name}", model=BASE), **changes)


def make_lora(**changes: Any) -> LoraRequest:
    return replace(LoraRequest(repo=STYLE, scale=0.8), **changes)


def make_input(**changes: Any) -> ShotInput:
    shown = ShotInput(
        role="init_image", path="plates/fox.png", sha256=digest("test-input", "fox"), rights="own work"
    )
    return replace(shown, **changes)


def make_service(**changes: Any) -> ServiceLevel:
    return replace(ServiceLevel(), **changes)


def make_manifest(**changes: Any) -> RenderManifest:
    """Two shots at tier batch without a deadline."""
    manifest = RenderManifest(
        name="night", shots=(make_shot("fox", seed=1), make_shot("owl", seed=2)), use=make_use()
    )
    return replace(manifest, **changes)


def make_shots(count: int, **changes: Any) -> tuple[Shot, ...]:
    return tuple(
        make_shot(f"shot-{number:05d}", prompt="a fox", seed=number, **changes) for number in range(count)
    )


def try_plan(**changes: Any) -> ExecutionPlan | PlanRefusal:
    """``make_plan`` on default facts; any of its arguments can be overridden."""
    facts: dict[str, Any] = {
        "manifest": make_manifest(),
        "menu": make_menu(),
        "costs": (make_cost_profile(),),
        "fleet": make_fleet(),
        "runtime": RUNTIME,
        "now": NOW,
    }
    return make_plan(**(facts | changes))


def make_execution_plan(**changes: Any) -> ExecutionPlan:
    """A plan on default facts; fails the test where policy refuses one."""
    outcome = try_plan(**changes)
    assert isinstance(outcome, ExecutionPlan), outcome
    return outcome


def make_plan_of(count: int, **changes: Any) -> ExecutionPlan:
    """A plan of ``count`` shots named shot-00000 and so on; ``changes`` go to the manifest."""
    return make_execution_plan(manifest=make_manifest(shots=make_shots(count), **changes))


# --- results and evidence ------------------------------------------------------------


def make_artefact(shot_key: str = "a" * 64, **changes: Any) -> ArtefactRef:
    sha256 = digest("test-artefact", shot_key)
    return replace(
        ArtefactRef(sha256=sha256, size=2048, media_type="image/png", path=f"/artefacts/{sha256}.png"),
        **changes,
    )


def make_take_result(take_id: str = "take-1", shot_key: str = "a" * 64, **changes: Any) -> TakeResult:
    result = TakeResult(
        take_id=take_id,
        shot_key=shot_key,
        artefact=make_artefact(shot_key),
        provenance=make_artefact(f"statement of {shot_key}", media_type="application/json"),
        figures=PictureFigures(saturation=0.52, clipping=0.02, contrast=0.3, luminance=0.5),
        fault=None,
        detail="",
        seconds=0.5,
    )
    return replace(result, **changes)


def make_batch_result(**changes: Any) -> BatchResult:
    stack = make_stack()
    result = BatchResult(
        task_id="task-1",
        takes=(make_take_result(),),
        worker="here:4711",
        device="cpu-2",
        stack_id=stack.stack_id,
        loaded=tuple((f"{pin.repo}/{file.path}", file.sha256) for pin in stack.pins for file in pin.files),
        timesteps=(999.0, 759.0, 499.0, 259.0),
        rows=1,
        steps=4,
        load_seconds=0.0,
        denoise_seconds=0.4,
        total_seconds=0.5,
        versions=RUNTIME,
    )
    return replace(result, **changes)


def make_stack_evidence(**changes: Any) -> StackEvidence:
    stack = make_stack()
    files = tuple((f"{pin.repo}/{file.path}", file.sha256) for pin in stack.pins for file in pin.files)
    evidence = StackEvidence(
        stack_id=stack.stack_id, name=stack.name, expected=files, loaded=files, verdict=make_verdict()
    )
    return replace(evidence, **changes)


def make_shipped_item(shot: str = "fox", **changes: Any) -> ShippedItem:
    sha256 = digest("test-artefact", shot)
    stack_id = make_stack().stack_id
    return replace(
        ShippedItem(shot=shot, stack_id=stack_id, recorded_sha256=sha256, found_sha256=sha256), **changes
    )


def make_ship_evidence(**changes: Any) -> ShipEvidence:
    evidence = ShipEvidence(
        stacks=(make_stack_evidence(),), items=(make_shipped_item(),), undone=(), holds=()
    )
    return replace(evidence, **changes)
