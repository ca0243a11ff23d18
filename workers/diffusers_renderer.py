"""The real renderer: a resident diffusers pipeline, one generator a shot, bits equal to the plain call."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from policy.errors import RenderFault
from policy.stacks import Stack
from policy.tasks import RenderTask, StackLoad
from workers.caches import cached
from workers.cards import device_class_of
from workers.causal.clips import render_streams
from workers.clips import pictures_of, run_stages, sound_of
from workers.denoising import Loop, watched
from workers.pipelines import CLIPS, STREAMS, call_arguments
from workers.previews import PreviewWatch
from workers.renderer import OnStep, Rendered, RenderOptions, Snapshot, Sound, Step, no_snapshot
from workers.schedules import LiveSchedule, build_scheduler, require_published, schedule_of
from workers.shifts import Caller
from workers.snapshots import resumed, take_snapshot
from workers.stack_loading import is_exhausted, load_pipeline


class DiffusersRenderer:
    """Renders batches exactly as planned: what comes out equals a bare diffusers loop on the same batch."""

    def __init__(self, options: RenderOptions) -> None:
        for quiet in (diffusers_logging, transformers_logging):
            quiet.set_verbosity_error()
            quiet.disable_progress_bar()
        self._options = options
        self._pipeline: Any = None
        self._resident: Stack | None = None

    @property
    def device(self) -> str:
        if self._options.device.startswith("cuda"):
            return device_class_of(str(torch.cuda.get_device_name(self._options.device)))
        return f"{self._options.device}-{self._options.threads}"

    @property
    def is_synthetic(self) -> bool:
        return False

    def load(self, load: StackLoad) -> None:
        self._resident = self._pipeline = None  # free the old stack first: two may not fit
        torch.set_num_threads(self._options.threads)
        self._pipeline = load_pipeline(load, self._options.device)
        self._resident = load.stack

    def render(self, task: RenderTask, on_step: OnStep, since: Snapshot | None = None) -> Rendered:
        if self._resident is None or self._resident.stack_id != task.load.stack.stack_id:
            raise RenderFault("The stack of this batch is not resident.", "Load it first.")
        if task.frames != 1 and task.load.stack.pipeline not in (*CLIPS, *STREAMS):
            raise RenderFault(
                f"{task.load.stack.pipeline} makes pictures, not clips of {task.frames} frames.",
                "Ask for one frame.",
            )
        torch.set_num_threads(self._options.threads)  # torch counts them per thread, and lanes are threads
        if task.stream is not None:
            return render_streams(self._pipeline, task, on_step)
        stack = task.load.stack
        caller = Caller(
            pipeline=stack.pipeline, settings=stack.settings, call=task.call, size=(task.width, task.height)
        )
        expected = require_published(task.scheduler, task.schedule, task.steps, caller)
        return self._render_halving(task, expected, on_step, since)

    def _render_halving(
        self, task: RenderTask, expected: LiveSchedule, on_step: OnStep, since: Snapshot | None = None
    ) -> Rendered:
        """Render the batch, or its halves where memory runs out; one shot that does not fit fails."""
        try:
            return self._render_batch(task, expected, on_step, since)
        except RuntimeError as fault:
            if not is_exhausted(fault) or len(task.shots) == 1:
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

        def at_step(step: Step) -> None:  # half a batch is no picture of it
            on_step(replace(step, preview=lambda: None, snapshot=no_snapshot))

        return join_halves([self._render_halving(half, expected, at_step) for half in halves(task)])

    def _render_batch(
        self, task: RenderTask, expected: LiveSchedule, on_step: OnStep, since: Snapshot | None
    ) -> Rendered:
        pipeline = self._pipeline
        arguments = call_arguments(task)
        generators = [torch.Generator("cpu").manual_seed(shot.seed) for shot in task.shots]
        arguments["generator"] = generators
        loops: list[Loop] = []
        timesteps: list[float] = []

        def run(planned: LiveSchedule, told: dict[str, Any]) -> Any:
            before = len(timesteps)
            pipeline.scheduler = build_scheduler(task.scheduler)  # fresh: no state of the call before
            # A clip's pipeline may copy its scheduler, and a copy that is watched would step the original.
            watch = PreviewWatch(pipeline) if self._options.previews and task.frames == 1 else None
            # A cache remembers passes of its own, which no snapshot holds.
            is_kept = task.cache is None and task.frames == 1
            with (
                watched(pipeline, planned) as loop,
                resumed(pipeline, since if is_kept else None, generators) as resumption,
            ):
                loops.append(loop)

                def at_boundary(
                    _pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]
                ) -> dict[str, Any]:
                    loop.stop()
                    done = before + step + 1
                    if resumption is not None and resumption.skips(done):
                        return tensors | resumption.at(done, loop.go_on)
                    on_step(
                        Step(
                            done=done,
                            preview=lambda: None if watch is None else watch.pictures(tensors["latents"]),
                            snapshot=lambda: (
                                take_snapshot(pipeline, tensors["latents"], generators, done, loop.seconds)
                                if is_kept
                                else None
                            ),
                        )
                    )
                    return tensors

                with cached(pipeline, task.cache, lambda: loop.timestep):
                    output = pipeline(**told, callback_on_step_end=at_boundary)
            timesteps.extend(schedule_of(pipeline.scheduler).timesteps)
            return output

        output = run_stages(pipeline, task, arguments, expected, run)
        return Rendered(
            pictures=pictures_of(output, task.frames),
            timesteps=tuple(timesteps),
            rows=loops[0].rows,
            seconds=sum(loop.seconds for loop in loops),
            sound=sound_of(output, pipeline),
        )


def halves(task: RenderTask) -> tuple[RenderTask, RenderTask]:
    """The two halves of a batch that did not fit."""
    middle = len(task.shots) // 2
    return replace(task, shots=task.shots[:middle]), replace(task, shots=task.shots[middle:])


def join_halves(parts: list[Rendered]) -> Rendered:
    """One result of several parts; ``parts`` tells that the bits are not those of the planned batch."""
    return Rendered(
        pictures=np.concatenate([part.pictures for part in parts]),
        timesteps=parts[0].timesteps,
        rows=max(part.rows for part in parts),
        seconds=sum(part.seconds for part in parts),
        parts=sum(part.parts for part in parts),
        sound=_joined([part.sound for part in parts]),
    )


def _joined(sounds: list[Sound | None]) -> Sound | None:
    found = [sound for sound in sounds if sound is not None]
    if not found:
        return None
    return Sound(samples=np.concatenate([sound.samples for sound in found]), rate=found[0].rate)
