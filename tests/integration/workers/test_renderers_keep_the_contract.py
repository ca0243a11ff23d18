"""One suite for every renderer: what holds for the real one holds for the one that stands in for it."""

from dataclasses import replace

import numpy as np
import pytest

from policy.errors import RenderFault
from tests.integration.workers.clip_families import SD
from tests.integration.workers.tiny_models import DDIM
from tests.tiny_hub import clip_models, unets
from tests.tiny_hub.planning import catalogue_of, put_papers, task_on
from tests.unit.registry.licensing import catalogue
from tests.unit.workers.batches import make_task
from workers.renderer import Renderer, RendererKind, RenderOptions, Step, make_renderer


@pytest.fixture(params=list(RendererKind))
def renderer(request) -> Renderer:
    return make_renderer(RenderOptions(kind=request.param))


@pytest.fixture
def task(tiny):
    return make_task(load=tiny.load(), shots=2, steps=3, scheduler=DDIM)


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """A stack that makes clips: a tiny Stable Diffusion 1.5 with a motion adapter."""
    root = tmp_path_factory.mktemp("hub")
    name, repo = "animatediff-lightning-2step", "ByteDance/AnimateDiff-Lightning"
    unets.write_sd(root / SD)
    clip_models.write_motion_files(root / repo, "animatediff_lightning_2step_diffusers.safetensors")
    put_papers(root, {repo: (SD,)})
    known = catalogue_of(replace(catalogue().preset(name), dtypes=("float32",)))
    return task_on(root, known, SD, 2, name, frames=16)


def nothing(_step: Step) -> None:
    """Nobody watches."""


def test_pictures_are_floats_between_nought_and_one_in_the_asked_size(renderer, task):
    renderer.load(task.load)
    result = renderer.render(task, nothing)
    assert (result.pictures.shape, result.pictures.dtype) == ((2, 16, 16, 3), np.float32)
    assert 0 <= result.pictures.min() <= result.pictures.max() <= 1
    assert (len(result.timesteps), result.parts) == (3, 1)
    assert result.rows >= 2


def test_clips_are_frames_one_after_another_that_differ(renderer, moving):
    renderer.load(moving.load)
    told: list[Step] = []
    result = renderer.render(moving, told.append)
    assert (result.pictures.shape, result.pictures.dtype) == ((2, 16, 64, 64, 3), np.float32)
    assert 0 <= result.pictures.min() <= result.pictures.max() <= 1
    assert np.abs(np.diff(result.pictures, axis=1)).max() > 0
    assert ([step.done for step in told], [step.preview() for step in told]) == ([1, 2], [None, None])
    assert np.array_equal(renderer.render(moving, nothing).pictures, result.pictures)


def test_the_same_batch_is_drawn_the_same_twice(renderer, task):
    renderer.load(task.load)
    first, second = (renderer.render(task, nothing).pictures for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1]), "shots of a batch differ"


def test_steps_are_told_in_order_and_a_raise_at_a_boundary_stops_there(renderer, task):
    class Stop(Exception):
        pass

    renderer.load(task.load)
    told: list[int] = []
    renderer.render(task, lambda step: told.append(step.done))
    assert told == [1, 2, 3]

    def stop_at_two(step: Step) -> None:
        told.append(step.done)
        if step.done == 2:
            raise Stop

    with pytest.raises(Stop):
        renderer.render(task, stop_at_two)
    assert told == [1, 2, 3, 1, 2]


def test_a_batch_of_another_stack_is_refused(renderer, task):
    with pytest.raises(RenderFault, match="not resident"):
        renderer.render(task, nothing)


def test_a_renderer_says_what_it_runs_on_and_whether_it_is_real(renderer):
    assert renderer.device.endswith("-1")
    assert renderer.is_synthetic == renderer.device.startswith("synthetic")


def test_pictures_are_the_same_whether_somebody_looks_at_them_on_the_way_or_not(request, renderer, task):
    renderer.load(task.load)
    expected = renderer.render(task, nothing).pictures
    kind = request.node.callspec.params["renderer"]
    watched = make_renderer(RenderOptions(kind=kind, previews=True))
    watched.load(task.load)
    shown: list[object] = []
    result = watched.render(task, lambda step: shown.append(step.preview()))
    assert np.array_equal(result.pictures, expected)
    assert [np.shape(one) for one in shown] == [result.pictures.shape] * 3
