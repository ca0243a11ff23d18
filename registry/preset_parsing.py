"""Method files to presets: one TOML a family, every preset complete, so that it runs the same next year."""

from collections.abc import Mapping
from typing import Any

from policy.methods import Fact, GuidanceKnob, MethodPreset, QualityPrior, SchedulerSpec, StepSchedule
from policy.tiers import Rung
from registry.licences.strict_table import StrictTable

_NEXT = "Correct the method file; its neighbours show every key."


def parse_method(table: Mapping[str, Any], where: str) -> tuple[MethodPreset, ...]:
    """The presets of one family; anything unexpected is a FormatFault naming file, preset and key."""
    read = StrictTable(table, where, _NEXT)
    family = read.text("family")
    presets = read.many("preset", lambda inner: _preset(inner, family))
    read.close()
    return presets


def _preset(read: StrictTable, family: str) -> MethodPreset:
    lora = read.text("repo", "")
    preset = MethodPreset(
        name=read.text("name"),
        version=read.take("version", int),
        family=family,
        rung=read.choice("rung", Rung),
        modality=read.text("modality", "image"),
        pipeline=read.text("pipeline"),
        repo=lora or None,
        files=read.texts("files"),
        base=read.texts("base"),
        steps=read.whole_numbers("steps"),
        recommended_steps=read.take("recommended_steps", int),
        scheduler=read.one("scheduler", _scheduler),
        schedules=read.many("schedules", _schedule),
        guidance=read.many("guidance", _knob),
        negative_prompt_is_inert=read.flag("negative_prompt_is_inert"),
        dtypes=read.texts("dtypes"),
        lora_scale=read.optional_number("lora_scale"),
        fuse=read.flag("fuse"),
        expected_lora_tensors=read.take("expected_lora_tensors", int)
        if read.has("expected_lora_tensors")
        else None,
        licence=read.text("licence"),
        quality=read.many("quality", _quality),
        facts=read.many("facts", _fact),
    )
    _check(read, preset)
    return preset


def _check(read: StrictTable, preset: MethodPreset) -> None:
    """What the types cannot say."""
    steps = preset.steps
    if not steps or list(steps) != sorted(set(steps)) or steps[0] < 1:
        raise read.fault('"steps" must be a sorted list of different counts from 1 on.')
    if preset.recommended_steps not in steps:
        raise read.fault(f'"recommended_steps" {preset.recommended_steps} is not among "steps".')
    if not preset.base or not preset.dtypes:
        raise read.fault('"base" and "dtypes" need at least one entry.')
    if preset.repo is not None and (not preset.files or preset.lora_scale is None):
        raise read.fault('an artefact ("repo") needs its "files" and its "lora_scale".')
    for schedule in preset.schedules:
        if schedule.steps not in steps:
            raise read.fault(f"a schedule is given for {schedule.steps} steps, which is not allowed.")
    for knob in preset.guidance:
        if not knob.minimum <= knob.default <= knob.maximum:
            raise read.fault(f'the default of "{knob.name}" is outside its own range.')


def _scheduler(read: StrictTable) -> SchedulerSpec:
    class_name, config = read.text("class"), read.mapping("config")
    for key, value in config.items():
        if not isinstance(value, (str, int, float, bool)):
            raise read.fault(f'"{key}" of the scheduler must be a plain value.')
    return SchedulerSpec(class_name=class_name, config=tuple(sorted(config.items())))


def _schedule(read: StrictTable) -> StepSchedule:
    return StepSchedule(
        steps=read.take("steps", int),
        timesteps=read.numbers("timesteps"),
        explicit_timesteps=read.flag("explicit"),
        sigmas=read.numbers("sigmas"),
    )


def _knob(read: StrictTable) -> GuidanceKnob:
    return GuidanceKnob(
        name=read.text("name"),
        default=read.number("default"),
        minimum=read.number("minimum"),
        maximum=read.number("maximum"),
        off=read.number("off"),
        doubles_batch_above=read.optional_number("doubles_batch_above"),
        why=read.text("why"),
    )


def _quality(read: StrictTable) -> QualityPrior:
    return QualityPrior(
        steps=read.take("steps", int),
        quality=read.number("quality"),
        samples=read.take("samples", int),
        source=read.text("source"),
    )


def _fact(read: StrictTable) -> Fact:
    return Fact(claim=read.text("claim"), source=read.text("source"), verified=read.take("verified", bool))
