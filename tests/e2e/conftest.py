"""A new user's first night, made once for every test here: real model, fresh process, fresh home."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TWEMOJI = "rightstep/emoji-64-style-twemoji"
SHOTS = ("fox", "owl", "cat", "drawn-fox")
ORDER = f"""
name = "first night"
tier = "interactive"
territories = ["WORLD"]
recipients = ["editor@studio.example"]
[defaults]
model = "rightstep/emoji-64"
[[shots]]
name = "fox"
prompt = "a flat fox"
seed = 1
[[shots]]
name = "owl"
prompt = "a flat owl on a purple background"
seed = 2
[[shots]]
name = "cat"
prompt = "a 3d cat"
seed = 3
[[shots]]
name = "drawn-fox"
prompt = "a flat fox"
seed = 1
loras = ["{TWEMOJI}"]
"""


@dataclass(frozen=True)
class Night:
    """A rendered and shipped order, and the home that it lies in."""

    order: Path
    home: Path
    out: Path
    done: "subprocess.CompletedProcess[str]"

    @property
    def answer(self) -> Any:
        return json.loads(self.done.stdout)

    @property
    def job_id(self) -> str:
        return str(self.answer["job"]["job_id"])


def rightstep(home: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own, as a person starts it."""
    return subprocess.run(
        [sys.executable, "-m", "rightstep", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "RIGHTSTEP_HOME": str(home), "RIGHTSTEP_WORKERS": "2"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="session")
def night() -> Iterator[Night]:
    """The folder's path is short because Ray puts sockets below it."""
    with tempfile.TemporaryDirectory(prefix="rs", ignore_cleanup_errors=True) as folder:
        order, home, out = Path(folder) / "night.toml", Path(folder) / "home", Path(folder) / "out"
        order.write_text(ORDER)
        done = rightstep(home, "render", order, "--out", out, "--ship", "--json")
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        yield Night(order, home, out, done)
