"""One Prefect server and one Ray for every test that may share them, and a house of its own for each test."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.bootstrap import House, open_house
from flows.prefect_server import STANDING, await_server, launch_server, stop_server
from flows.settings import load_settings

MakeHouse = Callable[..., House]


@pytest.fixture(scope="session")
def services() -> Iterator[Path]:
    """A folder with a standing Prefect server and a standing Ray: starting them costs seconds each.

    The path is short because Ray puts sockets below it.
    """
    from workers.cluster import start_standing_ray, stop_standing_ray

    folder = Path(tempfile.mkdtemp(prefix="rs"))
    before = dict(os.environ)
    server = launch_server(folder, stands=True)
    try:
        start_standing_ray(folder / "ray", cpus=4)
        await_server(server, seconds=180)
        yield folder
    finally:
        stop_standing_ray(folder / "ray")
        stop_server(server)
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if name.startswith("PREFECT_")})
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make_lone_house(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHouse]:
    """Houses without services: what drives a job there starts its own. Settings are given by name."""
    homes: list[Path] = []
    houses: list[House] = []

    def make(home: Path | None = None, **settings: Any) -> House:
        if home is None:
            home = Path(tempfile.mkdtemp(prefix="rs"))
            homes.append(home)
        chosen = {"home": home, "renderer": "synthetic", "workers": 2, "actor": "tester", **settings}
        for name, value in chosen.items():
            monkeypatch.setenv(f"RIGHTSTEP_{name.upper()}", str(value))
        house = open_house(load_settings())
        houses.append(house)
        return house

    yield make
    for house in houses:
        house.engine.dispose()
    for home in homes:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def make_house(services: Path, make_lone_house: MakeHouse) -> MakeHouse:
    """Houses with a ledger and a store of their own, on the shared services."""

    def make(**settings: Any) -> House:
        home = Path(tempfile.mkdtemp(prefix="h", dir=services))
        join_services(services, home)
        return make_lone_house(home, **settings)

    return make


def join_services(services: Path, home: Path) -> None:
    """Let a home find the standing services of another."""
    (home / "run").mkdir(parents=True, exist_ok=True)
    (home / "run" / STANDING).symlink_to(services / "run" / STANDING)
    (home / "ray").symlink_to(services / "ray")
