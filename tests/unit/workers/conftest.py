"""A small disk of its own, so that a full disk is a real one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BYTES = 256 * 1024


class SmallDisk:
    """A mounted tmpfs that a test can fill to the last byte."""

    def __init__(self, mount: Path) -> None:
        self.mount = mount
        self.folder = mount / "artefacts"

    @contextmanager
    def filled(self) -> Iterator[None]:
        ballast = self.mount / "ballast"
        with ballast.open("wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(b"\0" * 4096)
            except OSError:
                pass
        try:
            yield
        finally:
            ballast.unlink()


@pytest.fixture
def full_disk(tmp_path, in_ci) -> Iterator[SmallDisk]:
    mount = tmp_path / "small-disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", str(mount)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(command, check=False).returncode != 0:
        (pytest.fail if in_ci else pytest.skip)("a small disk can only be mounted by root")
    yield SmallDisk(mount)
    subprocess.run(["umount", str(mount)], check=True)
