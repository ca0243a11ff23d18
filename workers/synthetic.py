"""Pictures without a model, for tests and benchmarks: deterministic from the shot, marked as synthetic."""

import hashlib
import time
from functools import partial

import numpy as np

from policy.errors import RenderFault
from policy.stacks import Stack
from policy.tasks import RenderTask, ShotTask, StackLoad
from workers.renderer import OnStep, Pictures, Rendered, RenderOptions, Snapshot, Step


class SyntheticRenderer:
    """Keeps the whole contract of a renderer, steps and cancelling included, and computes next to nothing."""

    def __init__(self, options: RenderOptions) -> None:
        self._options = options
        self._resident: Stack | None = None

    @property
    def device(self) -> str:
        return f"synthetic-{self._options.threads}"

    @property
    def is_synthetic(self) -> bool:
        return True

    def load(self, load: StackLoad) -> None:
        self._resident = load.stack

    def render(self, task: RenderTask, on_step: OnStep, since: Snapshot | None = None) -> Rendered:
        if self._resident is None or self._resident.stack_id != task.load.stack.stack_id:
            raise RenderFault("The stack of this batch is not resident.", "Load it first.")
        started = time.perf_counter()
        before, behind = (0, 0.0) if since is None else (since.steps, since.seconds)
        for done in range(before + 1, task.steps + 1):
            if self._options.seconds_per_step > 0:
                time.sleep(self._options.seconds_per_step)
            on_step(
                Step(
                    done=done,
                    preview=lambda: _pictures(task) if task.frames == 1 else None,
                    snapshot=partial(_snapshot, done, started - behind),
                )
            )
        pictures = _pictures(task)
        published = task.schedule.timesteps if task.schedule else ()
        return Rendered(
            pictures=pictures,
            timesteps=published or tuple(float(step) for step in range(task.steps - 1, -1, -1)),
            rows=len(task.shots),
            seconds=time.perf_counter() - started + behind,
        )


def _snapshot(done: int, started: float) -> Snapshot:
    """Nothing but where it is: what is drawn follows from the shot alone."""
    return Snapshot(steps=done, seconds=time.perf_counter() - started, content=b"")


def _pictures(task: RenderTask) -> Pictures:
    if task.frames == 1:
        return np.stack([_picture(shot, task) for shot in task.shots])
    return np.stack(
        [
            np.stack([_picture(shot, task, number / task.frames) for number in range(task.frames)])
            for shot in task.shots
        ]
    )


def _picture(shot: ShotTask, task: RenderTask, moved: float = 0.0) -> Pictures:
    """A soft gradient and a disc whose colours and place come from stack, prompt and seed.

    ``moved`` is how far the disc has come on its way across a clip, 0..1.
    """
    text = f"{task.load.stack.stack_id}\n{task.steps}\n{shot.prompt}\n{shot.negative}\n{shot.seed}"
    drawn = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.uint8).astype(np.float32) / 255.0
    rows = np.linspace(0.0, 1.0, task.height, dtype=np.float32)[:, None]
    columns = np.linspace(0.0, 1.0, task.width, dtype=np.float32)[None, :]
    slope = ((rows + columns) / 2)[..., None]
    picture = drawn[0:3] * slope + drawn[3:6] * (1 - slope)
    inside = (rows - 0.3 - 0.4 * drawn[6]) ** 2 + (columns - 0.3 - 0.4 * (drawn[7] + moved)) ** 2 < 0.04
    return np.where(inside[..., None], drawn[8:11], picture).astype(np.float32)
