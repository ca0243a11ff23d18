"""The tiny models once, one Ray once, and pools that are stopped after each test."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.workers.tiny_models import TinyModels, write_base, write_lora


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    folder = tmp_path_factory.mktemp("tiny")
    write_base(folder / "base")
    write_lora(folder / "lcm", folder / "base", seed=1)
    write_lora(folder / "style", folder / "base", seed=2)
    return TinyModels(base=folder / "base", lcm=folder / "lcm", style=folder / "style")


@pytest.fixture(scope="session")
def ray_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("house") / "ray"


@pytest.fixture(scope="session")
def local_ray(ray_folder: Path) -> Iterator[Any]:
    """One private Ray for all tests of this folder: starting it costs seconds."""
    from workers.cluster import start_local_ray, stop_ray

    house = start_local_ray(ray_folder, cpus=4)
    yield house
    stop_ray(ray_folder, house)


@pytest.fixture
def make_pool(local_ray: Any) -> Iterator[Callable[..., Any]]:
    """Pools on the shared Ray, stopped after the test."""
    from workers.pool import PoolOptions, RenderPool

    pools: list[Any] = []

    def make(**options: Any) -> Any:
        pool = RenderPool(PoolOptions(**options))
        pools.append(pool)
        pool.start()
        return pool

    yield make
    for pool in pools:
        pool.stop()


@pytest.fixture
def kill_minus_nine() -> Callable[[int], None]:
    return lambda pid: os.kill(pid, signal.SIGKILL)
