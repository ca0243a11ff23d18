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
from workers.caches import cached
from workers.cards import device_class_of
from workers.clips import pictures_of
from workers.pipelines import CLIPS, call_arguments, denoisers
from workers.previews import PreviewWatch
from workers.renderer import OnStep, Rendered, RenderOptions, Step
from workers.schedules import LiveSchedule, build_scheduler, refuse_other, require_published, schedule_of
from workers.shifts import Caller
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

    def render(self, task: RenderTask, on_step: OnStep) -> Rendered:
        if self._resident is None or self._resident.stack_id != task.load.stack.stack_id:
            raise RenderFault("The stack of this batch is not resident.", "Load it first.")
        if task.frames != 1 and task.load.stack.pipeline not in CLIPS:
            raise RenderFault(
                f"{task.load.stack.pipeline} makes pictures, not clips of {task.frames} frames.",
                "Ask for one frame.",
            )
        torch.set_num_threads(self._options.threads)  # torch counts them per thread, and lanes are threads
        stack = task.load.stack
        caller = Caller(
            pipeline=stack.pipeline, settings=stack.settings, call=task.call, size=(task.width, task.height)
        )
        expected = require_published(task.scheduler, task.schedule, task.steps, caller)
        return self._render_halving(task, expected, on_step)

    def _render_halving(self, task: RenderTask, expected: LiveSchedule, on_step: OnStep) -> Rendered:
        """Render the batch, or its halves where memory runs out; one shot that does not fit fails."""
        try:
            return self._render_batch(task, expected, on_step)
        except RuntimeError as fault:
            if not is_exhausted(fault) or len(task.shots) == 1:
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

        def at_step(step: Step) -> None:  # half a batch is no picture of it
            on_step(replace(step, preview=lambda: None))

        return join_halves([self._render_halving(half, expected, at_step) for half in halves(task)])

    def _render_batch(self, task: RenderTask, expected: LiveSchedule, on_step: OnStep) -> Rendered:
        pipeline = self._pipeline
        pipeline.scheduler = build_scheduler(task.scheduler)  # fresh: no state of the batch before
        arguments = call_arguments(task)
        loop = _Loop(expected, pipeline)
        # A clip's pipeline may copy its scheduler, and a copy that is watched would step the original.
        watch = PreviewWatch(pipeline) if self._options.previews and task.frames == 1 else None

        def at_boundary(_pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            loop.stop()
            on_step(
                Step(
                    done=step + 1,
                    preview=lambda: None if watch is None else watch.pictures(tensors["latents"]),
                )
            )
            return tensors

        hooks = [
            module.register_forward_pre_hook(loop.start, with_kwargs=True) for module in denoisers(pipeline)
        ]
        try:
            with cached(pipeline, task.cache, lambda: loop.timestep):
                output = pipeline(
                    **arguments,
                    generator=[torch.Generator("cpu").manual_seed(shot.seed) for shot in task.shots],
                    output_type="np",
                    callback_on_step_end=at_boundary,
                )
        finally:
            for hook in hooks:
                hook.remove()
        return Rendered(
            pictures=pictures_of(output, task.frames),
            timesteps=schedule_of(pipeline.scheduler).timesteps,
            rows=loop.rows,
            seconds=loop.seconds,
        )


class _Loop:
    """Watches the denoising loop: refuses a wrong schedule before the first pass, counts rows and time."""

    def __init__(self, expected: LiveSchedule, pipeline: Any) -> None:
        self._expected = expected
        self._pipeline = pipeline
        self._first: float | None = None
        self._is_first_step = True
        self.rows = 0  # of all passes of the first step: guidance may double one pass or add another
        self.seconds = 0.0
        self.timestep = 0.0

    def start(self, _module: Any, values: tuple[Any, ...], named: dict[str, Any]) -> None:
        if self._first is None:
            live = schedule_of(self._pipeline.scheduler)
            refuse_other(type(self._pipeline.scheduler).__name__, self._expected.timesteps, live)
            self._first = time.perf_counter()
        if self._is_first_step:
            fed = values[0] if values else named.get("hidden_states", named.get("sample"))
            self.rows += 0 if fed is None else len(fed)
        told = values[1] if len(values) > 1 else named.get("timestep")
        if told is not None:
            self.timestep = float(torch.as_tensor(told).flatten()[0])

    def stop(self) -> None:
        self._is_first_step = False
        if self._first is not None:
            self.seconds = time.perf_counter() - self._first


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
