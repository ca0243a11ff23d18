"""The live canvas: what a session asks of its renderer for each frame, and what it gets.

Whoever makes the frames is told what changed before the next one and nothing else, so the
session itself is the same for any renderer that makes one frame after the other.
"""

import hashlib
from dataclasses import dataclass

from policy.canonical import digest
from policy.methods import MethodPreset, Plain, SchedulerSpec, StepSchedule
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
    strength: float  # 0..1: how much of the sketch is drawn anew
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
    media_type: str
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
    seconds: float  # that its renderer spent on it


def canvas_steps(preset: MethodPreset) -> tuple[int, ...]:
    """The step counts that a live canvas may run a method at, sorted."""
    return tuple(steps for steps in preset.steps if steps <= MOST_STEPS)


def refuse_controls(controls: CanvasControls, load: CanvasLoad) -> str:
    """Why no frame can be made of these controls; "" where one can."""
    if controls.steps not in load.steps:
        allowed = ", ".join(map(str, load.steps))
        return f"{load.preset} runs {allowed} steps on the live canvas, not {controls.steps}."
    if controls.steps_run < 1:
        least = f"{1 / controls.steps:.2f}"
        return f"A strength of {controls.strength:g} is no step of {controls.steps}: give at least {least}."
    if controls.sketch and len(controls.sketch) != load.width * load.height * 3:
        return f"The sketch is not {load.width} x {load.height} pixels of three bytes."
    return ""
