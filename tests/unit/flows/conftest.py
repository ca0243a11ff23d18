"""A house of its own for a test: a real ledger on disk, the real catalogue, the built-in models, a fixed clock."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.bootstrap import House, open_house
from flows.settings import Settings

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def make(now: datetime = NOW, **settings: Any) -> House:
        chosen = {"home": tmp_path / "home", "renderer": "synthetic", "workers": 2, "actor": "tester"}
        house = open_house(Settings(**{**chosen, **settings}), clock=lambda: now)
        houses.append(house)
        return house

    yield make
    for house in houses:
        house.engine.dispose()
