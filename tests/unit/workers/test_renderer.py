import pytest

from policy.errors import RenderFault
from tests.unit.workers.batches import make_load, make_task
from workers.renderer import RendererKind, RenderOptions, make_renderer, runtime_versions


def test_versions_name_what_determines_pixels():
    versions = dict(runtime_versions(RendererKind.DIFFUSERS))
    assert versions["renderer"] == "diffusers"
    assert versions["diffusers"] == "0.42.1"
    assert versions["torch"].startswith("2.13.0")
    assert "torch" not in dict(runtime_versions(RendererKind.SYNTHETIC))


def test_a_worker_needs_a_thread():
    with pytest.raises(RenderFault, match="0 threads"):
        make_renderer(RenderOptions(kind=RendererKind.SYNTHETIC, threads=0))


def test_a_renderer_draws_only_on_the_stack_it_holds():
    renderer = make_renderer(RenderOptions(kind=RendererKind.SYNTHETIC))
    with pytest.raises(RenderFault, match="not resident"):
        renderer.render(make_task(), lambda _step: None)
    renderer.load(make_load())
    assert renderer.render(make_task(), lambda _step: None).pictures.shape == (2, 16, 16, 3)


def test_every_step_boundary_is_told_in_order():
    renderer = make_renderer(RenderOptions(kind=RendererKind.SYNTHETIC))
    renderer.load(make_load())
    told: list[int] = []
    renderer.render(make_task(steps=5), lambda step: told.append(step.done))
    assert told == [1, 2, 3, 4, 5]
