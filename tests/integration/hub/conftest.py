"""A local hub for each test, and one process that asks it with the published client."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.local_hub.server import LocalHub
from tests.local_hub.studio import Studio, make_pool


@pytest.fixture(scope="session")
def client_process() -> Iterator[ProcessPoolExecutor]:
    with make_pool() as pool:
        yield pool


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with LocalHub().running() as running:
        yield running


@pytest.fixture
def studio(client_process: ProcessPoolExecutor, hub: LocalHub, tmp_path: Path) -> Studio:
    settings = {
        "home": tmp_path / "home",
        "hub_endpoint": hub.endpoint,
        "hub_offline": False,
        "renderer": "synthetic",
        "actor": "tester",
    }
    return Studio(client_process, tmp_path / "home", tuple(settings.items()))


@pytest.fixture
def small_disk(tmp_path: Path, in_ci: bool) -> Iterator[Path]:
    """A tmpfs with room for a ledger and little more."""
    mount = tmp_path / "small-disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(mount)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(command, check=False).returncode != 0:
        (pytest.fail if in_ci else pytest.skip)("a small disk can only be mounted by root")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)
