"""A live session: what it asks of its renderer for each frame, and what it gets.

A frame is drawn for itself, from a sketch, or is the next one of a causal stream. Whoever makes
the frames is told what changed before the next one and nothing else, so the session itself is
the same for both.
"""

import hashlib
from dataclasses import dataclass

from policy.canonical import digest
from policy.methods import MethodPreset, Plain, SchedulerSpec, StepSchedule
from policy.streams import StreamSettings
from policy.tasks import StackLoad

MOST_STEPS = 4  # of a frame: what keeps up with a hand
MEDIA_TYPES = ("image/webp", "image/jpeg", "image/png")
# Pipelines that draw from a sketch, by the pipeline whose loaded parts they are made of.
FROM_A_SKETCH = {"StableDiffusionPipeline": "StableDiffusionImg2ImgPipeline"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CanvasControls:
    """Everything that decides one frame, beside the stack and the size."""

    prompt: str
    seed: int
    strength: float  # 0..1: how much of the sketch is drawn anew; 1 of a stream
    steps: int  # of the published schedule; the last ``strength`` of them are run
    sketch: bytes = b""  # RGB, row after row, of the canvas' own size; empty is white paper

    @property
    def steps_run(self) -> int:
        """Forward passes of a frame, as diffusers counts them."""
        return min(int(self.steps * self.strength), self.steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class CanvasLoad:
    """What a renderer needs to open a session, and nothing to look up."""

    load: StackLoad
    preset: str
    preset_version: int
    scheduler: SchedulerSpec
    schedules: tuple[StepSchedule, ...]  # published ones, by steps
    steps: tuple[int, ...]  # that controls may ask for, sorted
    default_steps: int
    guidance: tuple[tuple[str, float], ...]
    call: tuple[tuple[str, Plain], ...]
    width: int
    height: int
    fps: float  # at which frames are wanted
    media_type: str
    stream: StreamSettings | None = None  # of frames that follow from each other; None: each is drawn anew
    runtime: tuple[tuple[str, str], ...]  # renderer and library versions

    @property
    def run(self) -> str:
        """Digest of what all frames of the session share."""
        return digest(
            "live-run",
            {
                "stack": self.load.stack.stack_id,
                "preset": self.preset,
                "preset_version": self.preset_version,
                "guidance": {name: float(value) for name, value in self.guidance},
                "width": self.width,
                "height": self.height,
                "dtype": self.load.stack.dtype,
                "runtime": sorted(self.runtime),
            },
        )


def frame_key(run: str, controls: CanvasControls) -> str:
    """The shot key of a frame: digest of everything that determines its pixels."""
    return digest(
        "live-frame",
        {
            "run": run,
            "prompt": controls.prompt,
            "seed": controls.seed,
            "strength": float(controls.strength),
            "steps": controls.steps,
            "sketch": hashlib.sha256(controls.sketch).hexdigest(),
        },
    )


def stream_key(run: str, controls: CanvasControls, rollout: int) -> str:
    """What the first frames of a rollout depend on: the ``rollout``-th since the seed was chosen."""
    facts = {"run": run, "seed": controls.seed, "steps": controls.steps, "rollout": rollout}
    return led_key(digest("live-stream", facts), 0, controls.prompt)


def led_key(key: str, frame: int, prompt: str) -> str:
    """The same from a frame of the rollout on, which another prompt leads."""
    return digest("live-prompt", {"before": key, "frame": frame, "prompt": prompt})


def stream_frame_key(key: str, frame: int) -> str:
    """The shot key of a frame of a rollout: all that determines it is the frames before and what led them."""
    return digest("live-stream-frame", {"stream": key, "frame": frame})


@dataclass(frozen=True, kw_only=True, slots=True)
class CanvasOpened:
    """A session's renderer, ready: who it is and what it attested."""

    worker: str  # host:pid
    device: str
    loaded: tuple[tuple[str, str], ...]  # (repo/path, sha256) of every file as hashed at load
    load_seconds: float  # 0 where the stack was resident
    is_synthetic: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CanvasFrame:
    """One frame as it leaves: encoded, with the marking inside."""

    body: bytes
    told: int  # how many controls its renderer was told, up to those that the frame is made by
    seconds: float  # that its renderer spent on it


def canvas_steps(preset: MethodPreset) -> tuple[int, ...]:
    """The step counts that a live canvas may run a method at, sorted."""
    return tuple(steps for steps in preset.steps if steps <= MOST_STEPS)


def refuse_controls(controls: CanvasControls, load: CanvasLoad) -> str:
    """Why no frame can be made of these controls; "" where one can."""
    return next((why for rule in CONTROL_RULES if (why := rule(controls, load))), "")


def _steps_are_published(controls: CanvasControls, load: CanvasLoad) -> str:
    if controls.steps in load.steps:
        return ""
    allowed = ", ".join(map(str, load.steps))
    return f"{load.preset} runs {allowed} steps on the live canvas, not {controls.steps}."


def _strength_is_a_step(controls: CanvasControls, load: CanvasLoad) -> str:
    if load.stream is not None or controls.steps_run >= 1:
        return ""
    least = f"{1 / controls.steps:.2f}"
    return f"A strength of {controls.strength:g} is no step of {controls.steps}: give at least {least}."


def _a_stream_has_no_sketch(controls: CanvasControls, load: CanvasLoad) -> str:
    if load.stream is None or (not controls.sketch and controls.strength == 1):
        return ""
    return f"{load.preset} streams frames from words alone: it takes no sketch and no strength."


def _the_sketch_is_whole(controls: CanvasControls, load: CanvasLoad) -> str:
    if not controls.sketch or len(controls.sketch) == load.width * load.height * 3:
        return ""
    return f"The sketch is not {load.width} x {load.height} pixels of three bytes."


CONTROL_RULES = (_steps_are_published, _a_stream_has_no_sketch, _strength_is_a_step, _the_sketch_is_whole)
