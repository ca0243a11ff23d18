"""A batch that is set aside between two steps and goes on to the same bits, on another worker or the same."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from policy.errors import FormatFault
from policy.methods import SchedulerSpec
from policy.tasks import RenderTask
from tests.integration.workers.test_diffusers_renderer import make_batch, make_distilled_batch
from tests.integration.workers.test_image_families import BROADCAST
from workers.renderer import Rendered, Renderer, RenderOptions, RenderSetAside, Snapshot, Step, make_renderer
from workers.schedules import ALLOWED

OF_STABLE_DIFFUSION = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "LCMScheduler",
    "PNDMScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
)


def fresh(load) -> Renderer:
    renderer = make_renderer(RenderOptions(threads=1))
    renderer.load(load)
    return renderer


def whole(renderer: Renderer, task: RenderTask) -> Rendered:
    return renderer.render(task, lambda _step: None)


def set_aside(renderer: Renderer, task: RenderTask, at: int, since: Snapshot | None = None) -> Snapshot:
    """Render until so many steps are done, and take what is there."""

    def on_step(step: Step) -> None:
        if step.done == at:
            kept = step.snapshot()
            assert kept is not None
            raise RenderSetAside(kept)

    with pytest.raises(RenderSetAside) as aside:
        renderer.render(task, on_step, since)
    return aside.value.snapshot


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("make", [make_batch, make_distilled_batch], ids=["full", "lcm"])
def test_a_batch_goes_on_to_the_same_bits_on_another_worker(tiny, make: Callable[..., RenderTask], at: int):
    load = tiny.load()
    task = make(load)
    expected = whole(fresh(load), task)
    kept = set_aside(fresh(load), task, at)
    assert kept.steps == at
    seen: list[int] = []
    result = fresh(load).render(task, lambda step: seen.append(step.done), kept)
    assert np.array_equal(result.pictures, expected.pictures)
    assert (result.timesteps, result.rows) == (expected.timesteps, expected.rows)
    assert seen == list(range(at + 1, task.steps + 1)), "no step is made or told of twice"
    assert result.seconds >= kept.seconds, (
        "what was done before counts, what walking through it took does not"
    )


def test_steps_that_are_behind_are_not_made_again(tiny):
    load = tiny.load()
    task = make_batch(load)
    kept = set_aside(fresh(load), task, 3)
    renderer = fresh(load)
    passes: list[int] = []
    unet = renderer._pipeline.unet
    unet.conv_in.register_forward_hook(lambda *_: passes.append(1))
    renderer.render(task, lambda _step: None, kept)
    assert len(passes) == task.steps - 3


def test_a_batch_may_be_set_aside_again_and_the_worker_renders_others_meanwhile(tiny):
    load = tiny.load()
    task, other = make_batch(load), make_distilled_batch(load)
    renderer = fresh(load)
    expected, between = whole(renderer, task), whole(renderer, other)
    kept = set_aside(renderer, task, 1)
    assert np.array_equal(whole(renderer, other).pictures, between.pictures)
    kept = set_aside(renderer, task, 3, kept)
    assert np.array_equal(whole(renderer, other).pictures, between.pictures)
    assert np.array_equal(renderer.render(task, lambda _step: None, kept).pictures, expected.pictures)
    assert np.array_equal(whole(renderer, task).pictures, expected.pictures), "nothing of it stays behind"


@pytest.mark.parametrize("name", OF_STABLE_DIFFUSION)
def test_every_scheduler_remembers_what_it_saw_before(tiny, name: str):
    load = tiny.load()
    config = (("beta_schedule", "scaled_linear"), ("beta_start", 0.00085), ("beta_end", 0.012))
    task = make_batch(load, scheduler=SchedulerSpec(class_name=name, config=config), steps=6)
    expected = whole(fresh(load), task)
    kept = set_aside(fresh(load), task, 3)
    result = fresh(load).render(task, lambda _step: None, kept)
    assert np.array_equal(result.pictures, expected.pictures)
    assert set(OF_STABLE_DIFFUSION) <= set(ALLOWED)


def test_a_torn_snapshot_and_that_of_another_batch_are_refused_and_leave_the_pipeline_whole(tiny):
    load = tiny.load()
    task = make_batch(load)
    renderer = fresh(load)
    expected = whole(renderer, task)
    kept = set_aside(renderer, task, 3)
    with pytest.raises(FormatFault):
        renderer.render(task, lambda _step: None, replace(kept, content=kept.content[:-9]))
    with pytest.raises(FormatFault, match="another batch"):
        renderer.render(make_distilled_batch(load), lambda _step: None, kept)
    assert np.array_equal(whole(renderer, task).pictures, expected.pictures)


def test_what_runs_under_a_cache_is_not_set_aside_for_it_remembers_passes_of_its_own(tiny):
    load = tiny.load()
    kept: list[Snapshot | None] = []
    fresh(load).render(make_batch(load, cache=BROADCAST), lambda step: kept.append(step.snapshot()))
    assert kept == [None] * 5


def test_a_snapshot_holds_numbers_and_no_pickle(tiny):
    load = tiny.load()
    kept = set_aside(fresh(load), make_distilled_batch(load), 2)
    assert b"latents" in kept.content
    assert b"__reduce__" not in kept.content
    assert len(kept.content) > 3 * torch.Generator().get_state().numel(), "one generator a shot"
