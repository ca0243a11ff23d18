"""Methods of sampling, and presets: one exact published way to run one exact artefact."""

from dataclasses import dataclass
from enum import StrEnum

from policy.clips import ClipRule, Rollout
from policy.stacks import Role
from policy.tiers import Rung

Plain = str | int | float | bool


class Engine(StrEnum):
    """What runs the denoising loop."""

    DIFFUSERS = "diffusers"  # the pipeline class as published
    CAUSAL = (
        "causal"  # the rollout of this house, chunk after chunk or a whole clip as one: no pipeline does it
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SchedulerSpec:
    """A diffusers scheduler that can be built without any weights.

    ``config`` is complete: every value that differs from the class default is written here,
    so the schedule never depends on what a model repository happens to say today.
    """

    class_name: str  # such as "LCMScheduler"
    config: tuple[tuple[str, Plain | None], ...]  # sorted by key


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheSpec:
    """A training-free cache: a diffusers hook that skips work between steps, at a price in fidelity."""

    class_name: str  # of its configuration, such as "FirstBlockCacheConfig"
    config: tuple[tuple[str, Plain], ...]  # sorted by key
    component: str  # of the pipeline it hooks: "unet", "transformer"
    ranges: tuple[tuple[str, tuple[int, ...]], ...] = ()  # settings that are a pair, such as timesteps
    step_share: float = 1.0  # of an uncached step's seconds that a step takes on the average, until measured


@dataclass(frozen=True, kw_only=True, slots=True)
class PresetPart:
    """One weight file that a method adds to its base, and where it goes."""

    repo: str
    file: str  # path in the repository
    role: Role  # distill_lora, unet, transformer, motion_adapter, upscaler
    component: str  # of the pipeline: "unet", "transformer", "transformer_2", "motion_adapter"
    scale: float | None = None  # of a LoRA
    tensors: int | None = None  # of a LoRA, which must all land; None where the published number is not known
    is_pickle: bool = False  # published as .pt or .bin: pinned only after an explicit import


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidanceKnob:
    """One guidance argument of a pipeline; guidance belongs to the preset, not to the caller."""

    name: str  # the pipeline's argument, such as "guidance_scale"
    default: float
    minimum: float
    maximum: float
    off: float  # the value that means "no guidance" in this pipeline (0.0 or 1.0: it differs)
    doubles_batch_above: float | None  # classifier-free guidance runs two rows a picture above this value
    why: str  # shown when a caller's value is refused
    adds_pass_above: float | None = None  # above it every step takes one more forward pass, of ...
    adds_pass: str = ""  # ... this name: knobs that share it share the pass

    def rows_per_picture(self, value: float) -> int:
        """2 where this value makes the pipeline evaluate a second, unconditional row."""
        return 2 if self.doubles_batch_above is not None and value > self.doubles_batch_above else 1


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSchedule:
    """What the published recipe runs at one step count."""

    steps: int
    timesteps: tuple[float, ...]  # what the live scheduler must report, in order
    size: tuple[int, int] | None = None  # width and height they hold for; None where they hold at any
    explicit_timesteps: bool = False  # True: handed to the pipeline, not left to num_inference_steps
    sigmas: tuple[float, ...] = ()  # handed to the pipeline where the recipe gives sigmas
    second_sigmas: tuple[float, ...] = ()  # of the second stage, where the method has one
    call: tuple[tuple[str, Plain], ...] = ()  # pipeline arguments at this count only, such as eta

    def holds_at(self, size: tuple[int, int] | None) -> bool:
        """Whether the timesteps are those of a picture of this width and height."""
        return self.size is None or self.size == size


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityPrior:
    """Measured quality at a step count, relative to the base at full steps (1.0)."""

    steps: int
    quality: float  # 0..1
    samples: int
    source: str  # "measured: ..." or "prior: ..."


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Where a preset's numbers come from; a recalled fact is shown as unverified."""

    claim: str
    source: str
    verified: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodPreset:
    """One exact artefact of a method and the only ways it may be run."""

    name: str  # "emoji-64-full", "emoji-64-lcm"
    version: int
    family: str  # "full", "lcm-lora", ...
    rung: Rung
    modality: str  # "image" | "video" | "live"
    engine: Engine
    pipeline: str  # diffusers pipeline class it is published for
    parts: tuple[
        PresetPart, ...
    ]  # what it adds, in the order it is applied; none where the base is the method
    base: tuple[str, ...]  # base repositories it is published for
    variant: str  # of the base's weight files, such as "fp16"; "" for the plain ones
    settings: tuple[tuple[str, Plain], ...]  # of the pipeline itself, such as boundary_ratio
    call: tuple[tuple[str, Plain], ...]  # further pipeline arguments that belong to the recipe
    size: tuple[int, int] | None  # width and height it was trained for; None where any will do
    frames: int  # of a clip or of a chunk; 1 for pictures
    steps: tuple[int, ...]  # the allowed set, sorted; not a range
    recommended_steps: int
    scheduler: SchedulerSpec
    schedules: tuple[
        StepSchedule, ...
    ]  # published schedules by step count; may cover fewer counts than ``steps``
    guidance: tuple[GuidanceKnob, ...]
    negative_prompt_is_inert: bool  # with guidance baked in, a negative prompt does nothing
    dtypes: tuple[str, ...]  # allowed compute dtypes, preferred first
    component_dtypes: tuple[tuple[str, str], ...]  # parts that must run in another one
    fuse: bool  # fuse the LoRAs once at load
    cache: CacheSpec | None  # of the cached rung; None on every other
    licence: str  # licence id of the artefact the preset adds (or of the base, where it adds none)
    quality: tuple[QualityPrior, ...]
    facts: tuple[Fact, ...] = ()
    clip: ClipRule | None = None  # lengths and sizes; None for pictures
    rollout: Rollout | None = None  # of a method that streams; None on every rung but causal
    is_real_time_native: bool = False  # fast enough for live work as it is, though it does not stream

    @property
    def repos(self) -> tuple[str, ...]:
        """Repositories it adds, each once."""
        return tuple(dict.fromkeys(part.repo for part in self.parts))

    @property
    def frame_rate(self) -> int | None:
        """Frames a second that its clips were trained at; None for pictures."""
        if self.rollout is not None:
            return self.rollout.frame_rate
        return None if self.clip is None else self.clip.frame_rate

    @property
    def is_told_its_frame_rate(self) -> bool:
        """Whether the rate is an argument of the pipeline, so that another one draws other frames."""
        return any(name == "frame_rate" for name, _ in self.call)

    def schedule_for(self, steps: int) -> StepSchedule | None:
        return next((schedule for schedule in self.schedules if schedule.steps == steps), None)

    def call_at(self, steps: int) -> tuple[tuple[str, Plain], ...]:
        """Further pipeline arguments at a step count; what its schedule says goes before the general."""
        schedule = self.schedule_for(steps)
        return tuple(sorted((dict(self.call) | dict(schedule.call if schedule else ())).items()))

    def quality_at(self, steps: int) -> float:
        """The prior at a step count: the nearest measured count at or below it, else the lowest."""
        known = sorted(self.quality, key=lambda prior: prior.steps)
        below = [prior for prior in known if prior.steps <= steps]
        chosen = below[-1] if below else (known[0] if known else None)
        return chosen.quality if chosen else 0.0

    def passes_a_step(self, knobs: dict[str, float]) -> int:
        """Forward passes of one step: rows counted as passes, and those that other guidance adds."""
        extra = {
            knob.adds_pass
            for knob in self.guidance
            if knob.adds_pass_above is not None and knobs.get(knob.name, knob.default) > knob.adds_pass_above
        }
        return self.rows_per_picture(knobs) + len(extra)

    def forward_passes(self, steps: int, knobs: dict[str, float], frames: int) -> int:
        """Forward passes of one picture or whole clip: both stages, every chunk, and what fills its cache."""
        passes = self.steps_run(steps) * self.passes_a_step(knobs)
        return passes if self.rollout is None else self.rollout.passes(frames, passes)

    def chunk_passes(self, steps: int, knobs: dict[str, float]) -> int:
        """Forward passes of one chunk of a stream; of the whole picture or clip where it does not stream."""
        cached = 0 if self.rollout is None else self.rollout.cache_passes
        return self.steps_run(steps) * self.passes_a_step(knobs) + cached

    def steps_run(self, steps: int) -> int:
        """Steps with those of the second stage, where there is one."""
        schedule = self.schedule_for(steps)
        return steps + (0 if schedule is None else len(schedule.second_sigmas))

    def timed_steps(self, steps: int, knobs: dict[str, float]) -> int:
        """How many steps over the whole clip, at its rows, take the time of all forward passes.

        A pass over a chunk counts by its share of the clip: filling its cache costs a stream
        as much as one more step would.
        """
        timed = -(-self.steps_run(steps) * self.passes_a_step(knobs) // self.rows_per_picture(knobs))
        return timed if self.rollout is None else timed + self.rollout.cache_passes

    def rows_per_picture(self, knobs: dict[str, float]) -> int:
        """Rows that one picture takes in one forward pass under these guidance values."""
        return max(
            (knob.rows_per_picture(knobs.get(knob.name, knob.default)) for knob in self.guidance), default=1
        )
