"""What do fewer steps save on the built-in model: denoising alone, and the whole picture?"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench_tasks import task_of
from benchmarks.measurement import Measurement, alternate, at_most, median, plain, timed
from benchmarks.night import night_manifest, plan_of, temporary_house
from policy.tasks import RenderTask
from policy.tiers import ServiceTier
from workers.renderer import RenderOptions, make_renderer

PICTURES, ROUNDS, THREADS = 8, 5, 2
FULL, FEW = 50, 4


def measure() -> Measurement:
    """Render one batch at 50 and at 4 guided steps, and at 4 distilled steps, in turn."""
    with temporary_house() as house:
        manifest = night_manifest(PICTURES)
        full = plan_of(house, manifest, steps=FULL, method="emoji-64-full")
        few = plan_of(house, manifest, steps=FEW, method="emoji-64-full")
        live = night_manifest(PICTURES, tier=ServiceTier.INTERACTIVE)
        student = plan_of(house, live, steps=FEW, method="emoji-64-lcm")
        tasks = {
            "full": task_of(house, full),
            "few": task_of(house, few),
            "unguided": _unguided(task_of(house, few)),
            "student": task_of(house, student),
        }
        sides = {name: Side(task) for name, task in tasks.items()}
        for side in sides.values():
            side.denoise()
        whole: dict[str, list[float]] = {name: [] for name in sides}
        denoising = alternate({name: side.denoise for name, side in sides.items()}, ROUNDS)
        for name, side in sides.items():
            whole[name] = side.totals
    seconds = {name: median(values) for name, values in denoising.items()}
    step_ratio = FULL / FEW
    equal = seconds["full"] / seconds["few"]
    rows = seconds["few"] / seconds["unguided"]  # b(2n)/b(n): what the second row of guidance costs
    distilled = seconds["full"] / seconds["student"]
    return Measurement(
        question="What do fewer steps save on the built-in model?",
        figures=(
            plain(f"{FULL} -> {FEW} guided steps, denoising", equal, "x"),
            at_most("P28", "its distance from the step ratio", abs(equal / step_ratio - 1), 0.10, "of 12.5x"),
            plain("b(2n)/b(n), the cost of the doubled batch", rows, "x"),
            plain(f"{FULL} guided -> {FEW} distilled, denoising", distilled, "x"),
            at_most(
                "P28",
                "its distance from step ratio x b(2n)/b(n)",
                abs(distilled / (step_ratio * rows) - 1),
                0.10,
                f"of {step_ratio * rows:.1f}x",
            ),
            plain(
                "whole picture, guided 50 -> distilled 4",
                median(whole["full"]) / median(whole["student"]),
                "x",
            ),
            plain("forward passes a picture, guided 50 -> distilled 4", 2 * FULL / FEW, "x"),
            plain("guided 50, whole picture", median(whole["full"]) / PICTURES * 1000, "ms"),
            plain("distilled 4, whole picture", median(whole["student"]) / PICTURES * 1000, "ms"),
        ),
        conditions=(
            f"One batch of {PICTURES} pictures of 64 x 64, {THREADS} torch threads, float32, LoRA fused; "
            f"median of {ROUNDS} rounds in turn; the whole picture adds text encoding and decoding."
        ),
        rounds=denoising,
    )


class Side:
    """A renderer with its stack resident, and one batch to repeat."""

    def __init__(self, task: RenderTask) -> None:
        self._task = task
        self._renderer = make_renderer(RenderOptions(threads=THREADS))
        self._renderer.load(task.load)
        self.totals: list[float] = []
        self.pictures: NDArray[np.float32] = np.empty(0, np.float32)  # of the latest round

    def denoise(self) -> float:
        """Seconds of the denoising loop alone; the whole call is kept beside it."""
        rendered = []
        self.totals.append(
            timed(lambda: rendered.append(self._renderer.render(self._task, lambda _step: None)))
        )
        self.pictures = rendered[0].pictures
        return rendered[0].seconds


def _unguided(task: RenderTask) -> RenderTask:
    """The same batch with guidance off: half the rows in each forward pass."""
    return replace(task, guidance=tuple((name, 1.0) for name, _ in task.guidance))
