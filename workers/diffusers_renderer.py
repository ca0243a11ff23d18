"""The real renderer: a resident diffusers pipeline, one generator a shot, bits equal to the plain call."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from policy.errors import RenderFault
from policy.stacks import Stack
from policy.tasks import RenderTask, StackLoad
from workers.renderer import OnStep, Rendered, RenderOptions
from workers.schedules import (
    build_scheduler,
    pipeline_schedule,
    require_published,
    same_timesteps,
    schedule_of,
)
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
            return str(torch.cuda.get_device_name(self._options.device)).lower().replace(" ", "-")
        return f"{self._options.device}-{self._options.threads}"

    @property
    def is_synthetic(self) -> bool:
        return False

    def load(self, load: StackLoad) -> None:
        self._resident = self._pipeline = None  # free the old stack first: two may not fit
        torch.set_num_threads(self._options.threads)
        self._pipeline = load_pipeline(load, self._options.device)
        self._resident = load.stack

    def render(self, task: RenderTask, on_step: OnStep) -> Rendered:
        if self._resident is None or self._resident.stack_id != task.load.stack.stack_id:
            raise RenderFault("The stack of this batch is not resident.", "Load it first.")
        if task.frames != 1:
            raise RenderFault(
                f"{task.load.stack.pipeline} makes pictures, not clips of {task.frames} frames.",
                "Ask for one frame.",
            )
        torch.set_num_threads(self._options.threads)  # torch counts them per thread, and lanes are threads
        require_published(task.scheduler, task.schedule, task.steps)
        return self._render_halving(task, on_step)

    def _render_halving(self, task: RenderTask, on_step: OnStep) -> Rendered:
        """Render the batch, or its halves where memory runs out; one shot that does not fit fails."""
        try:
            return self._render_batch(task, on_step)
        except RuntimeError as fault:
            if not is_exhausted(fault) or len(task.shots) == 1:
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return join_halves([self._render_halving(half, on_step) for half in halves(task)])

    def _render_batch(self, task: RenderTask, on_step: OnStep) -> Rendered:
        pipeline = self._pipeline
        pipeline.scheduler = build_scheduler(task.scheduler)  # fresh: no state of the batch before
        clock = _StepClock()

        def at_boundary(_pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            clock.stop()
            on_step(step + 1)
            return tensors

        hook = pipeline.unet.register_forward_pre_hook(clock.start)
        try:
            output = pipeline(
                **call_arguments(task),
                generator=[torch.Generator("cpu").manual_seed(shot.seed) for shot in task.shots],
                output_type="np",
                callback_on_step_end=at_boundary,
            )
        finally:
            hook.remove()
        live = schedule_of(pipeline.scheduler)
        if task.schedule is not None and not same_timesteps(task.schedule.timesteps, live.timesteps):
            raise RenderFault(
                "The pipeline ran another schedule than the preset's.", "Correct the scheduler of the preset."
            )
        doubled = 2 if pipeline.do_classifier_free_guidance else 1
        return Rendered(
            pictures=output.images,
            timesteps=live.timesteps,
            rows=doubled * len(task.shots),
            seconds=clock.seconds,
        )


class _StepClock:
    """Times the denoising loop alone: from the first forward pass to the end of the last step."""

    def __init__(self) -> None:
        self._first: float | None = None
        self.seconds = 0.0

    def start(self, *_call: Any) -> None:
        if self._first is None:
            self._first = time.perf_counter()

    def stop(self) -> None:
        if self._first is not None:
            self.seconds = time.perf_counter() - self._first


def call_arguments(task: RenderTask) -> dict[str, Any]:
    """What the plain pipeline call is given for a batch, apart from generators and output."""
    arguments: dict[str, Any] = {
        "prompt": [shot.prompt for shot in task.shots],
        "width": task.width,
        "height": task.height,
        **dict(task.guidance),
        **dict(task.call),
        **pipeline_schedule(task.schedule, task.steps),
    }
    if any(shot.negative for shot in task.shots):
        arguments["negative_prompt"] = [shot.negative for shot in task.shots]
    return arguments


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
    )
