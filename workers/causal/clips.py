"""Clips of a batch by the causal engine: each is the stream of its shot, cut off at its length."""

import time
from itertools import islice
from typing import Any

import numpy as np

from policy.clips import frames_of
from policy.errors import RenderFault
from policy.streams import StreamSettings
from policy.tasks import RenderTask, ShotTask
from workers.causal.stream import stream_of
from workers.renderer import OnStep, Pictures, Rendered, Step


def render_streams(pipeline: Any, task: RenderTask, on_step: OnStep) -> Rendered:
    """Clip after clip, for the engine keeps one past at a time; raises what ``on_step`` raises.

    The boundary between two forward passes is a step's; what is told of progress is the share
    of the passes of all clips, in steps of the task.
    """
    if task.stream is None:
        raise RenderFault(f"{task.preset} streams no frames.", "Plan the job again.")
    whole = passes_of(task.stream, task.frames) * len(task.shots)
    passes, seconds = 0, 0.0

    def before_a_pass(_: int) -> None:
        nonlocal passes
        on_step(Step(done=min(passes * task.steps // whole, task.steps), preview=lambda: None))
        passes += 1

    clips: list[Pictures] = []
    for shot in task.shots:
        clip, spent = _clip(pipeline, task, task.stream, shot, before_a_pass)
        clips.append(clip)
        seconds += spent
    return Rendered(
        pictures=np.stack(clips),
        timesteps=task.stream.timesteps,
        rows=len(task.shots),
        seconds=seconds,
    )


def _clip(
    pipeline: Any, task: RenderTask, settings: StreamSettings, shot: ShotTask, on_step: Any
) -> tuple[Pictures, float]:
    """A clip, (frames, height, width, 3), and the seconds of its forward passes."""
    stream = stream_of(
        pipeline,
        settings,
        prompt=shot.prompt,
        seed=shot.seed,
        size=(task.width, task.height),
        on_step=on_step,
    )
    frames: list[Any] = []
    seconds = 0.0
    while len(frames) < task.frames:
        began = time.perf_counter()
        chunk = stream.next_chunk()
        seconds += time.perf_counter() - began
        frames += [frame.pixels for frame in islice(chunk, task.frames - len(frames))]
    return np.stack(frames).astype(np.float32) / 255.0, seconds


def passes_of(settings: StreamSettings, frames: int) -> int:
    """Forward passes of a clip: its steps, and one a chunk that reads it into the window."""
    made = chunks = 0
    while made < frames:
        latents = settings.latent_frames if chunks else settings.first_latent_frames
        made += frames_of(latents, opens=not chunks)
        chunks += 1
    return chunks * (len(settings.timesteps) + 1)
