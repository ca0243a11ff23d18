"""Every image family, from pinned files to pictures, equals the code of its card bit for bit."""

from pathlib import Path

import numpy as np
import pytest

from tests.integration.workers.families import FAMILIES, MADE_FOR, write_additions, write_bases
from tests.tiny_hub.planning import catalogue_of, put_papers, task_on
from workers.renderer import RenderOptions, make_renderer

BY_NAME = {family.name: family for family in FAMILIES}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    write_bases(root)
    write_additions(root)
    put_papers(root, MADE_FOR)
    return root


@pytest.fixture(scope="module")
def plain(shelf):
    """Pictures of the cards' own code, each made once."""
    made: dict[str, np.ndarray] = {}

    def pictures(name: str) -> np.ndarray:
        if name not in made:
            made[name] = BY_NAME[name].plain(shelf)
        return made[name]

    return pictures


def task_of(shelf: Path, name: str, **changes):
    family = BY_NAME[name]
    return task_on(shelf, catalogue_of(family.preset | changes), family.base, family.steps)


def rendered(task):
    renderer = make_renderer(RenderOptions(threads=1))
    renderer.load(task.load)
    return renderer.render(task, lambda _done: None)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_family_equals_the_code_of_its_card_bit_for_bit(shelf, plain, name):
    task = task_of(shelf, name)
    expected = plain(name)
    result = rendered(task)
    assert np.isfinite(expected).all()
    assert expected.std() > 0
    assert np.array_equal(result.pictures, expected)
    if task.schedule is not None:
        assert result.timesteps == pytest.approx(task.schedule.timesteps, abs=0.05)
