"""One suite for every renderer: what holds for the real one holds for the one that stands in for it."""

import numpy as np
import pytest

from policy.errors import RenderFault
from tests.integration.workers.tiny_models import DDIM
from tests.unit.workers.batches import make_task
from workers.renderer import Renderer, RendererKind, RenderOptions, Step, make_renderer


@pytest.fixture(params=list(RendererKind))
def renderer(request) -> Renderer:
    return make_renderer(RenderOptions(kind=request.param))


@pytest.fixture
def task(tiny):
    return make_task(load=tiny.load(), shots=2, steps=3, scheduler=DDIM)


def nothing(_step: Step) -> None:
    """Nobody watches."""


def test_pictures_are_floats_between_nought_and_one_in_the_asked_size(renderer, task):
    renderer.load(task.load)
    result = renderer.render(task, nothing)
    assert (result.pictures.shape, result.pictures.dtype) == ((2, 16, 16, 3), np.float32)
    assert 0 <= result.pictures.min() <= result.pictures.max() <= 1
    assert (len(result.timesteps), result.parts) == (3, 1)
    assert result.rows >= 2


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
