"""How soon does a renderer stop when it is told to, and what does it cost to set a batch aside and go on?"""

import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.bench_tasks import task_of
from benchmarks.measurement import Measurement, alternate, at_most, median, plain, timed
from benchmarks.night import night_manifest, plan_of, temporary_house
from policy.tasks import RenderTask
from policy.tiers import ServiceTier
from workers.renderer import (
    RenderCancelled,
    Rendered,
    Renderer,
    RenderOptions,
    RenderSetAside,
    Snapshot,
    Step,
    make_renderer,
)

PICTURES, ROUNDS, THREADS, TRIALS = 8, 7, 2, 24
FULL, FEW = 40, 4


def measure() -> Measurement:
    """Cancel one batch at many moments; set one aside at its middle and go on, beside the same without."""
    with temporary_house() as house:
        full = task_of(house, plan_of(house, night_manifest(PICTURES), steps=FULL, method="emoji-64-full"))
        live = night_manifest(PICTURES, tier=ServiceTier.INTERACTIVE)
        few = task_of(house, plan_of(house, live, steps=FEW, method="emoji-64-lcm"))
        night, student = _resident(full), _resident(few)
        for renderer, task in ((night, full), (student, few)):
            _whole(renderer, task)
        ways: dict[str, Callable[[], object]] = {
            "full, in one go": partial(_whole, night, full),
            "full, set aside and resumed": partial(_in_two, night, full),
            "distilled, in one go": partial(_whole, student, few),
            "distilled, set aside and resumed": partial(_in_two, student, few),
        }
        worked: dict[str, list[float]] = {name: [] for name in ways}
        sides = {name: partial(_timed, way, worked[name]) for name, way in ways.items()}
        rounds = alternate(sides, ROUNDS)
        same = [
            np.array_equal(_whole(renderer, task).pictures, _in_two(renderer, task).pictures)
            for renderer, task in ((night, full), (student, few))
        ]
        step = _whole(night, full).seconds / FULL
        waits = sorted(_seconds_to_stop(night, full, trial / TRIALS, step) / step for trial in range(TRIALS))
        kept = _set_aside(night, full)
    seconds = {name: median(values) for name, values in rounds.items()}
    cpu = {name: median(values) for name, values in worked.items()}

    def ratio(of: dict[str, float], name: str) -> float:
        return of[f"{name}, set aside and resumed"] / of[f"{name}, in one go"]

    return Measurement(
        question="How soon does a renderer stop, and what does it cost to set a batch aside and go on?",
        figures=(
            at_most("P22", "from the word to a free renderer, median", median(waits), 1.5, "steps"),
            plain("the longest of them", waits[-1], "steps"),
            plain("a step of the batch", step * 1000, "ms"),
            at_most("P23", f"{FULL} guided steps set aside and resumed", ratio(seconds, "full"), 1.03),
            plain("the same in CPU seconds, which no neighbour disturbs", ratio(cpu, "full"), "ratio"),
            plain(f"{FEW} distilled steps set aside and resumed", ratio(seconds, "distilled"), "ratio"),
            plain("the same in CPU seconds", ratio(cpu, "distilled"), "ratio"),
            at_most("P23", "batches whose bits differ from one go", float(same.count(False)), 0, "batches"),
            plain("a snapshot", len(kept.content) / 1000, "kB"),
        ),
        conditions=(
            f"The built-in model, one batch of {PICTURES} pictures of 64 x 64, {THREADS} torch threads, in "
            f"one process; median of {ROUNDS} rounds in turn, whole pictures: a resumed batch encodes its "
            f"prompts twice and is decoded once; {TRIALS} cancellations at moments spread over a step."
        ),
        remark=(
            "A word in the ledger reaches the renderer with the driver's next look, which comes every 0.1 s: "
            "on top of the figure above, half a step or less where a step takes 0.2 s or more."
        ),
        rounds=rounds,
    )


def _resident(task: RenderTask) -> Renderer:
    renderer = make_renderer(RenderOptions(threads=THREADS))
    renderer.load(task.load)
    return renderer


def _timed(render: Callable[[], object], worked: list[float]) -> float:
    """Seconds of one way; what the process worked in them is kept beside it."""
    before = time.process_time()
    took = timed(render)
    worked.append(time.process_time() - before)
    return took


def _whole(renderer: Renderer, task: RenderTask) -> Rendered:
    return renderer.render(task, lambda _step: None)


def _in_two(renderer: Renderer, task: RenderTask) -> Rendered:
    return renderer.render(task, lambda _step: None, _set_aside(renderer, task))


def _set_aside(renderer: Renderer, task: RenderTask) -> Snapshot:
    """Render half of the steps, and keep what is there."""

    def at_middle(step: Step) -> None:
        if step.done == task.steps // 2 and (kept := step.snapshot()) is not None:
            raise RenderSetAside(kept)

    try:
        renderer.render(task, at_middle)
    except RenderSetAside as aside:
        return aside.snapshot
    raise AssertionError("the batch was not set aside")


def _seconds_to_stop(renderer: Renderer, task: RenderTask, part: float, step: float) -> float:
    """Seconds from the word, said at a part of the third step, until the renderer is free."""
    third, told = threading.Event(), threading.Event()

    def on_step(done: Step) -> None:
        if told.is_set():
            raise RenderCancelled
        if done.done == 2:
            third.set()

    def render() -> None:
        try:
            renderer.render(task, on_step)
        except RenderCancelled:
            return

    thread = threading.Thread(target=render)
    thread.start()
    third.wait()
    time.sleep(part * step)
    told.set()
    return timed(thread.join)
