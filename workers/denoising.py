"""Watches a denoising loop: refuses a wrong schedule before the first pass, counts rows and time."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch

from workers.pipelines import denoisers
from workers.schedules import LiveSchedule, refuse_other, schedule_of


class Loop:
    """One denoising loop of a pipeline, as its forward passes tell it."""

    def __init__(self, expected: LiveSchedule, pipeline: Any) -> None:
        self._expected = expected
        self._pipeline = pipeline
        self._first: float | None = None
        self._is_first_step = True
        self.rows = 0  # of all passes of the first step: guidance may double one pass or add another
        self.seconds = 0.0
        self.timestep = 0.0

    def start(self, _module: Any, values: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Before each forward pass."""
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

    def go_on(self, seconds: float) -> None:
        """After the last step that was made before: only what such steps took then counts."""
        self._first = time.perf_counter() - seconds
        self.seconds = seconds

    def stop(self) -> None:
        """After each step."""
        self._is_first_step = False
        if self._first is not None:
            self.seconds = time.perf_counter() - self._first


@contextmanager
def watched(pipeline: Any, expected: LiveSchedule) -> Generator[Loop]:
    """The loop of the next call of a pipeline, which has to run the expected schedule."""
    loop = Loop(expected, pipeline)
    hooks = [module.register_forward_pre_hook(loop.start, with_kwargs=True) for module in denoisers(pipeline)]
    try:
        yield loop
    finally:
        for hook in hooks:
            hook.remove()
