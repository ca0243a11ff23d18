"""How a causal method streams, as its engine is told: one frozen value, or every reason why not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from policy.clips import LATENT_STRIDE, Recache, frames_of
from policy.methods import Engine, MethodPreset, StepSchedule
from policy.objections import Objection

TRAINED_TIMESTEPS = 1000.0  # timesteps run from 0, clean, to this, noise alone
ROUNDED = 0.05  # of a timestep: published lists are printed with a few decimals


class Sampler(StrEnum):
    """What a step does with the velocity."""

    RENOISE = "renoise"  # predict the clean chunk, and noise it afresh to where the next step begins
    FLOW_MAP = "flow_map"  # go there along the velocity, which was asked for with both ends


SAMPLERS = {
    "EvenGridFlowMatchRenoiseScheduler": Sampler.RENOISE,
    "FlowMapEulerDiscreteScheduler": Sampler.FLOW_MAP,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSettings:
    """What the causal engine runs. There is no guidance in it: what streams was distilled without."""

    sampler: Sampler
    timesteps: tuple[float, ...]  # 1000 to above 0, falling, as the model takes them: warped already
    latent_frames: int  # of a chunk
    first_latent_frames: int  # of the first chunk
    window: int  # latent frames whose keys and values are kept, the chunk's own included
    sink: int  # first latent frames that never leave the window
    context_timestep: float  # at which a finished chunk is read into the cache: 0 is clean
    recache: Recache
    older_are_coarse: bool  # what left the window is still looked at, in larger patches
    frame_rate: int  # frames a second
    longest: int | None  # frames after which a stream ends; None: it ends when it is closed

    @property
    def noise_levels(self) -> tuple[float, ...]:
        """The share of noise at every step, from 1 down; the clean end is not listed."""
        return tuple(timestep / TRAINED_TIMESTEPS for timestep in self.timesteps)

    @property
    def longest_latents(self) -> int | None:
        """Latent frames after which a stream ends."""
        return None if self.longest is None else 1 + (self.longest - 1) // LATENT_STRIDE

    @property
    def chunk_frames(self) -> int:
        """Frames of a chunk that is not the first."""
        return frames_of(self.latent_frames, opens=False)

    def chunk(self, number: int, made: int) -> int:
        """Latent frames of a chunk after ``made`` earlier ones; 0 where the stream is over."""
        wanted, longest = self.latent_frames if number else self.first_latent_frames, self.longest_latents
        return wanted if longest is None else max(0, min(wanted, longest - made))


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamRefusal:
    """Why a preset cannot be streamed by the causal engine: everything at once."""

    objections: tuple[Objection, ...]

    @property
    def told(self) -> str:
        """All of it in words."""
        return " ".join(one.detail for one in self.objections)


def warped(listed: Sequence[float], shift: float) -> tuple[float, ...]:
    """A list of 0 to 1000 under the flow shift: small steps where there is most noise."""
    return tuple(
        TRAINED_TIMESTEPS * shift * timestep / (TRAINED_TIMESTEPS + (shift - 1) * timestep)
        for timestep in listed
    )


def even_list(steps: int) -> tuple[float, ...]:
    """1000 and below in equal steps, the clean end left out: 1000, 750, 500, 250."""
    return tuple(TRAINED_TIMESTEPS * (steps - step) / steps for step in range(steps))


def stream_settings(preset: MethodPreset, steps: int | None = None) -> StreamSettings | StreamRefusal:
    """What the engine is told to run a preset at a step count (its own by default), or every objection."""
    count = preset.recommended_steps if steps is None else steps
    schedule, rollout = preset.schedule_for(count), preset.rollout
    said = [
        *((rule.code, rule.detail, rule.remedy) for rule in PRESET_RULES if rule.speaks(preset)),
        *(
            (rule.code, rule.detail, rule.remedy)
            for rule in ROLLOUT_RULES
            if rollout is not None and rule.speaks(rollout)
        ),
    ]
    if count not in preset.steps:
        said.append(("steps_not_allowed", f"It does not run {count} steps.", _listed(preset.steps)))
    elif schedule is None:
        said.append(("no_schedule", f"It publishes no timesteps for {count} steps.", "Add its schedule."))
    elif not _is_as_published(schedule, preset):
        said.append(("other_warp", _told(schedule, preset), "Correct the timesteps or the shift."))
    if said or schedule is None or rollout is None or rollout.window is None:
        return _refused(preset, count, said)
    settings = StreamSettings(
        sampler=SAMPLERS[preset.scheduler.class_name],
        timesteps=schedule.timesteps,
        latent_frames=rollout.latent_frames,
        first_latent_frames=rollout.first_latent_frames or rollout.latent_frames,
        window=rollout.window,
        sink=rollout.sink,
        context_timestep=rollout.context_timestep,
        recache=rollout.recache,
        older_are_coarse=rollout.older_are_coarse,
        frame_rate=rollout.frame_rate,
        longest=None if preset.clip is None else preset.clip.longest,
    )
    faults = [
        ("unsound_rollout", f"Its rollout cannot run: {why}.", "Correct it.")
        for why in stream_faults(settings)
    ]
    return _refused(preset, count, faults) if faults else settings


def stream_faults(settings: StreamSettings) -> tuple[str, ...]:
    """What is wrong with settings that were put together by hand; nothing where they can run."""
    return tuple(why for is_wrong, why in SETTINGS_RULES if is_wrong(settings))


# --- rules ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Lack:
    """One thing that a preset, or its rollout, may lack."""

    code: str
    speaks: Callable[..., bool]
    detail: str
    remedy: str


PRESET_RULES = (
    Lack(
        code="another_engine",
        speaks=lambda preset: preset.engine is not Engine.CAUSAL,
        detail="A pipeline of diffusers runs it.",
        remedy="Choose a preset whose engine is causal.",
    ),
    Lack(
        code="no_rollout",
        speaks=lambda preset: preset.rollout is None,
        detail="It makes whole pictures or clips, and says nothing of chunks.",
        remedy="Choose a preset on the causal rung.",
    ),
    Lack(
        code="another_sampler",
        speaks=lambda preset: preset.scheduler.class_name not in SAMPLERS,
        detail="Its scheduler does what the engine does not.",
        remedy=f"Choose a preset with {' or '.join(SAMPLERS)}.",
    ),
    Lack(
        code="guided",
        speaks=lambda preset: preset.passes_a_step({}) != 1,
        detail="Its guidance takes more than one forward pass a step.",
        remedy="Set every guidance knob of the preset to off.",
    ),
)
ROLLOUT_RULES = (
    Lack(
        code="no_window",
        speaks=lambda rollout: rollout.window is None,
        detail="It looks back at everything, so that its memory would grow for ever.",
        remedy='Say the "window" of its rollout.',
    ),
    Lack(
        code="another_cache",
        speaks=lambda rollout: rollout.cache_passes != 1 or rollout.first_extra_passes != 0,
        detail="Its cache is not filled by exactly one pass a chunk.",
        remedy="Run it with the pipeline that it was published with.",
    ),
    Lack(
        code="decoded_alone",
        speaks=lambda rollout: rollout.decoded_alone,
        detail="Its chunks are decoded one by one, without what the decoder remembers.",
        remedy="Run it with the pipeline that it was published with.",
    ),
)
SETTINGS_RULES: tuple[tuple[Callable[[StreamSettings], bool], str], ...] = (
    (lambda one: not _is_falling(one.timesteps), "timesteps fall, from at most 1000 to above 0"),
    (
        lambda one: min(one.latent_frames, one.first_latent_frames) < 1,
        "a chunk has at least one latent frame",
    ),
    (lambda one: one.sink < 0, "a sink is not negative"),
    (
        lambda one: one.window < one.sink + max(one.latent_frames, one.first_latent_frames),
        "a window holds the sink and one chunk",
    ),
    (lambda one: one.first_latent_frames > one.latent_frames, "the first chunk is no longer than the others"),
    (lambda one: not 0 <= one.context_timestep < TRAINED_TIMESTEPS, "a context timestep is 0 to below 1000"),
    (lambda one: one.frame_rate < 1, "a frame rate is at least 1"),
    (
        lambda one: (
            one.older_are_coarse
            and (one.longest is None or one.sink > 0 or one.recache is not Recache.EVERY_CHUNK)
        ),
        "coarse frames take a stream with an end and no sink, whose past is read anew before every chunk",
    ),
    (lambda one: one.longest is not None and one.longest < 1, "a stream has at least one frame"),
)


def _refused(preset: MethodPreset, steps: int, said: Sequence[tuple[str, str, str]]) -> StreamRefusal:
    """Everything that was said against a preset: code, detail and remedy of each."""
    return StreamRefusal(
        objections=tuple(
            Objection(preset=preset.name, code=code, detail=detail, remedy=remedy, steps=steps)
            for code, detail, remedy in said
        )
    )


def _is_falling(timesteps: Sequence[float]) -> bool:
    ends = bool(timesteps) and timesteps[0] <= TRAINED_TIMESTEPS and timesteps[-1] > 0
    return ends and all(first > second for first, second in pairwise(timesteps))


def _shift(preset: MethodPreset) -> float | None:
    found = dict(preset.scheduler.config).get("shift")
    return float(found) if isinstance(found, (int, float)) else None


def _is_as_published(schedule: StepSchedule, preset: MethodPreset) -> bool:
    """A list that is explicit stands as it is; any other must be the even list under the preset's shift."""
    if not _is_falling(schedule.timesteps):
        return False
    if schedule.explicit_timesteps:
        return True
    shift = _shift(preset)
    return shift is not None and all(
        abs(published - computed) <= ROUNDED
        for published, computed in zip(
            schedule.timesteps, warped(even_list(schedule.steps), shift), strict=True
        )
    )


def _told(schedule: StepSchedule, preset: MethodPreset) -> str:
    listed = ", ".join(f"{value:g}" for value in schedule.timesteps)
    return f"Its timesteps {listed} are not the even list under its shift of {_shift(preset)}."


def _listed(steps: Sequence[int]) -> str:
    return f"Choose one of {', '.join(map(str, steps))}."
