"""A local hub for each test, and one process that asks it with the published client."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from tests.local_hub.server import LocalHub
from tests.local_hub.studio import Studio, make_pool

NUMBERS = count(1)


@pytest.fixture(scope="session")
def client_process() -> Iterator[ProcessPoolExecutor]:
    with make_pool() as pool:
        yield pool


@pytest.fixture(scope="session")
def served() -> Iterator[LocalHub]:
    with LocalHub().running() as running:
        yield running


@pytest.fixture
def hub(served: LocalHub) -> LocalHub:
    """The hub of the session, as new."""
    served.start_anew()
    return served


@pytest.fixture(scope="session")
def studio(
    client_process: ProcessPoolExecutor, served: LocalHub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    """One house for the session: what a test pins, it pins under a name of its own."""
    home = tmp_path_factory.mktemp("studio") / "home"
    settings = {
        "home": home,
        "hub_endpoint": served.endpoint,
        "hub_offline": False,
        "renderer": "synthetic",
        "actor": "tester",
    }
    made = Studio(client_process, home, tuple(settings.items()))
    yield made
    made.here.engine.dispose()


@pytest.fixture
def repo() -> str:
    """A repository's name that no other test uses."""
    return f"acme/model-{next(NUMBERS)}"


@pytest.fixture
def small_disk(tmp_path: Path, in_ci: bool) -> Iterator[Path]:
    """A home whose folder for models lies on a disk of its own, with six megabytes."""
    mount = tmp_path / "small-disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(mount)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(command, check=False).returncode != 0:
        (pytest.fail if in_ci else pytest.skip)("a small disk can only be mounted by root")
    home = tmp_path / "home"
    home.mkdir()
    (home / "hub").symlink_to(mount)
    yield home
    subprocess.run(["umount", str(mount)], check=True)
