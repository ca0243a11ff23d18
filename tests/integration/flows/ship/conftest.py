"""A house with a finished job in it, ready to ship."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.bootstrap import House, open_house
from flows.pinning import pin_model
from flows.settings import Settings, load_settings
from registry.records import JobRecord
from registry.sources import builtin_source
from tests.integration.flows.jobs.night import write_order
from tests.integration.flows.near import render_near
from tests.unit.registry.licensing import catalogue

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)
STYLE = "rightstep/emoji-64-style-twemoji"
MakeHouse = Callable[..., House]


@pytest.fixture
def make_house(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHouse]:
    """Houses on the test's own home; settings are given by name, and children read the same ones."""
    houses: list[House] = []

    def make(**settings: object) -> House:
        for name, value in {"renderer": "synthetic", "actor": "tester", **settings}.items():
            monkeypatch.setenv(f"RIGHTSTEP_{name.upper()}", str(value))
        houses.append(open_house(load_settings()))
        return houses[-1]

    yield make
    for house in houses:
        house.engine.dispose()


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house()


def finished_job(house: House, folder: Path, count: int = 3, **fields: object) -> JobRecord:
    """A rendered job of ``count`` foxes drawn in a style that asks for credit."""
    shots = {"loras": [STYLE]}
    order = write_order(
        folder, count, tier="interactive", recipients=["editor@studio.example"], shots=shots, **fields
    )
    return render_near(house, order)


@pytest.fixture
def job(house: House, tmp_path: Path) -> JobRecord:
    return finished_job(house, tmp_path)


@pytest.fixture
def moment() -> list[datetime]:
    """What the clock of ``house_with_a_shelf`` says."""
    return [NOW]


@pytest.fixture
def house_with_a_shelf(tmp_path: Path, moment: list[datetime]) -> House:
    """A house whose clock a test sets, and that has models of one's own in ``shelf``."""
    settings = Settings(
        home=tmp_path / "home",
        model_folders=(tmp_path / "shelf",),
        renderer="synthetic",
        workers=1,
        actor="tester",
    )
    return open_house(settings, clock=lambda: moment[0])


def order_in_own_style(
    house: House, folder: Path, repo: str, *, tag: str, licence: str, head: str = ""
) -> Path:
    """An order of two foxes in a style of one's own; LICENSE holds the text of an id, or these words."""
    style = folder / "shelf" / repo
    shutil.copytree(builtin_source().root / STYLE, style)
    card = style / "README.md"
    card.write_text(card.read_text().replace("license: cc-by-4.0", f"license: {tag}"))
    (style / "LICENSE").write_bytes(catalogue().texts.get(licence, licence.encode()))
    weights = style / "pytorch_lora_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")  # somebody's own, and no copy
    pin_model(house, repo)
    shots = "".join(
        f'[[shots]]\nname = "fox-{seed}"\nprompt = "a fox"\nseed = {seed}\n'
        f'model = "rightstep/emoji-64"\nloras = ["{repo}"]\n'
        for seed in range(2)
    )
    path = folder / "order.toml"
    path.write_text(f"{head}\n{shots}")
    return path


def contents(folder: Path) -> list[str]:
    """Every file below a folder, by its path in it."""
    return sorted(
        os.path.relpath(path, folder) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )
