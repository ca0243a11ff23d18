"""A house with a finished job in it, ready to ship."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.bootstrap import House, open_house
from flows.settings import load_settings
from registry.records import JobRecord
from tests.integration.flows.jobs.night import write_order
from tests.integration.flows.near import render_near

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


def contents(folder: Path) -> list[str]:
    """Every file below a folder, by its path in it."""
    return sorted(
        os.path.relpath(path, folder) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )
