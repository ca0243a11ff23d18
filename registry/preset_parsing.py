"""Method files to presets: one TOML a family, every preset complete, so that it runs the same next year."""

from collections.abc import Callable, Mapping
from typing import Any

from policy.clips import WAN_FRAME_RATE, ClipRule, Recache, Rollout
from policy.methods import (
    CacheSpec,
    Engine,
    Fact,
    GuidanceKnob,
    MethodPreset,
    Plain,
    PresetPart,
    QualityPrior,
    SchedulerSpec,
    StepSchedule,
)
from policy.stacks import Role
from policy.tiers import Rung
from registry.licences.strict_table import StrictTable

MODALITIES = ("image", "video", "live")
_NEXT = "Correct the method file; its neighbours show every key."


def parse_method(table: Mapping[str, Any], where: str) -> tuple[MethodPreset, ...]:
    """The presets of one family; anything unexpected is a FormatFault naming file, preset and key."""
    read = StrictTable(table, where, _NEXT)
    family = read.text("family")
    presets = read.many("preset", lambda inner: _preset(inner, family))
    read.close()
    return presets


def _preset(read: StrictTable, family: str) -> MethodPreset:
    preset = MethodPreset(
        name=read.text("name"),
        version=read.take("version", int),
        family=family,
        rung=read.choice("rung", Rung),
        modality=read.text("modality", "image"),
        engine=read.choice("engine", Engine) if read.has("engine") else Engine.DIFFUSERS,
        pipeline=read.text("pipeline"),
        parts=read.many("parts", _part),
        base=read.texts("base"),
        variant=read.text("variant", ""),
        settings=_plain_values(read, "settings"),
        call=_plain_values(read, "call"),
        size=_size(read),
        frames=read.take("frames", int) if read.has("frames") else 1,
        steps=read.whole_numbers("steps"),
        recommended_steps=read.take("recommended_steps", int),
        scheduler=read.one("scheduler", _scheduler),
        schedules=read.many("schedules", _schedule),
        guidance=read.many("guidance", _knob),
        negative_prompt_is_inert=read.flag("negative_prompt_is_inert"),
        dtypes=read.texts("dtypes"),
        component_dtypes=_texts_by_name(read, "component_dtypes"),
        fuse=read.flag("fuse"),
        cache=read.one("cache", _cache) if read.has("cache") else None,
        licence=read.text("licence"),
        quality=read.many("quality", _quality),
        facts=read.many("facts", _fact),
        clip=read.one("clip", _clip) if read.has("clip") else None,
        rollout=read.one("rollout", _rollout) if read.has("rollout") else None,
        is_real_time_native=read.flag("real_time_native"),
    )
    _check(read, preset)
    return preset


def _check(read: StrictTable, preset: MethodPreset) -> None:
    """What the types cannot say."""
    for is_wrong, why in _WRONG:
        if is_wrong(preset):
            raise read.fault(why)
    for part in preset.parts:
        if (part.scale is None) == (part.role is Role.DISTILL_LORA):
            raise read.fault(f'a LoRA has a "scale", and nothing else has: {part.file}.')
    for schedule in preset.schedules:
        if schedule.steps not in preset.steps:
            raise read.fault(f"a schedule is given for {schedule.steps} steps, which is not allowed.")
    for knob in preset.guidance:
        if not knob.minimum <= knob.default <= knob.maximum:
            raise read.fault(f'the default of "{knob.name}" is outside its own range.')
        if (knob.adds_pass_above is None) == bool(knob.adds_pass):
            raise read.fault(f'"{knob.name}" names the pass it adds and the value above which it does.')


def _steps_are_no_set(preset: MethodPreset) -> bool:
    return not preset.steps or list(preset.steps) != sorted(set(preset.steps)) or preset.steps[0] < 1


_WRONG: tuple[tuple[Callable[[MethodPreset], bool], str], ...] = (
    (_steps_are_no_set, '"steps" must be a sorted list of different counts from 1 on.'),
    (lambda one: one.recommended_steps not in one.steps, '"recommended_steps" is not among "steps".'),
    (lambda one: not one.base or not one.dtypes, '"base" and "dtypes" need at least one entry.'),
    (lambda one: one.modality not in MODALITIES, f'"modality" is one of {", ".join(MODALITIES)}.'),
    (
        lambda one: (one.cache is None) == (one.rung is Rung.CACHED),
        'a preset on the cached rung has a "cache", and no other has.',
    ),
    (
        lambda one: one.cache is not None and not 0 < one.cache.step_share <= 1,
        'the "step_share" of a cache is above 0 and at most 1.',
    ),
    (
        lambda one: (one.rollout is None) == (one.rung is Rung.CAUSAL),
        'a preset on the causal rung has a "rollout", and no other has.',
    ),
    (
        lambda one: (one.clip is None) != (one.modality == "image"),
        'a preset for clips has a "clip", and one for pictures has none.',
    ),
    (
        lambda one: one.clip is not None and not one.clip.takes_frames(one.frames),
        '"frames" is not a length that its own "clip" allows.',
    ),
)


def _part(read: StrictTable) -> PresetPart:
    return PresetPart(
        repo=read.text("repo"),
        file=read.text("file"),
        role=read.choice("role", Role) if read.has("role") else Role.DISTILL_LORA,
        component=read.text("component", "unet"),
        scale=read.optional_number("scale"),
        tensors=read.take("tensors", int) if read.has("tensors") else None,
        is_pickle=read.flag("pickle"),
    )


def _size(read: StrictTable, key: str = "size") -> tuple[int, int] | None:
    if not read.has(key):
        return None
    size = read.whole_numbers(key)
    if len(size) != 2:
        raise read.fault(f'"{key}" is [width, height].')
    return size[0], size[1]


def _count(read: StrictTable, key: str) -> int | None:
    return read.take(key, int) if read.has(key) else None


def _clip(read: StrictTable) -> ClipRule:
    rule = ClipRule(
        every=read.take("every", int),
        first=read.take("first", int),
        shortest=read.take("shortest", int),
        longest=_count(read, "longest"),
        sides=read.take("sides", int),
        only_size=_size(read, "only_size"),
        frame_rate=_count(read, "frame_rate") or WAN_FRAME_RATE,
    )
    if min(rule.every, rule.sides, rule.shortest, rule.frame_rate) < 1:
        raise read.fault('"every", "shortest", "frame_rate" and "sides" are at least 1.')
    return rule


def _rollout(read: StrictTable) -> Rollout:
    rollout = Rollout(
        latent_frames=read.take("latent_frames", int),
        cache_passes=read.take("cache_passes", int),
        window=_count(read, "window"),
        frame_rate=read.take("frame_rate", int),
        sink=_count(read, "sink") or 0,
        first_latent_frames=_count(read, "first_latent_frames"),
        first_extra_passes=_count(read, "first_extra_passes") or 0,
        last_is_cached=not read.flag("last_is_not_cached"),
        decoded_alone=read.flag("decoded_alone"),
        cache_bytes_a_latent=_count(read, "cache_bytes_a_latent"),
        context_timestep=read.optional_number("context_timestep") or 0.0,
        recache=read.choice("recache", Recache) if read.has("recache") else Recache.NEVER,
        older_are_coarse=read.flag("older_are_coarse"),
    )
    if rollout.latent_frames < 1 or rollout.cache_passes < 0:
        raise read.fault('"latent_frames" is at least 1, and "cache_passes" is not negative.')
    if not 0 <= rollout.context_timestep < 1000:
        raise read.fault('"context_timestep" is 0 to below 1000.')
    return rollout


def _plain_values(read: StrictTable, key: str) -> tuple[tuple[str, Plain], ...]:
    """A table of plain values, sorted by name; none where the key is absent."""
    if not read.has(key):
        return ()
    table = read.mapping(key)
    for name, value in table.items():
        if not isinstance(value, (str, int, float, bool)):
            raise read.fault(f'"{name}" of "{key}" must be a plain value.')
    return tuple(sorted(table.items()))


def _texts_by_name(read: StrictTable, key: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in _plain_values(read, key))


def _scheduler(read: StrictTable) -> SchedulerSpec:
    return SchedulerSpec(class_name=read.text("class"), config=_plain_values(read, "config"))


def _cache(read: StrictTable) -> CacheSpec:
    return CacheSpec(
        class_name=read.text("class"),
        config=_plain_values(read, "config"),
        ranges=_ranges(read),
        component=read.text("component"),
        step_share=read.number("step_share"),
    )


def _ranges(read: StrictTable) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Pairs of numbers, sorted by name; none where the key is absent."""
    if not read.has("ranges"):
        return ()
    return tuple(sorted((name, _pair(read, name, value)) for name, value in read.mapping("ranges").items()))


def _pair(read: StrictTable, name: str, value: Any) -> tuple[int, ...]:
    ends: tuple[object, ...] = tuple(value) if isinstance(value, list) else ()
    if len(ends) != 2 or any(type(end) is not int for end in ends):
        raise read.fault(f'"{name}" is [lower, upper], two whole numbers.')
    return tuple(value)


def _schedule(read: StrictTable) -> StepSchedule:
    return StepSchedule(
        steps=read.take("steps", int),
        timesteps=read.numbers("timesteps"),
        size=_size(read),
        explicit_timesteps=read.flag("explicit"),
        sigmas=read.numbers("sigmas"),
        second_sigmas=read.numbers("second_sigmas"),
        call=_plain_values(read, "call"),
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
        adds_pass_above=read.optional_number("adds_pass_above"),
        adds_pass=read.text("adds_pass", ""),
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
