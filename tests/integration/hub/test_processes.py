"""The command itself, in processes that come between each other and are killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from registry.unit_of_work import unit_of_work
from tests.local_hub.published import card, text, weights

pytestmark = pytest.mark.timeout(900)

WEIGHTS = "model.safetensors"
FILES = {"README.md": card(license="mit"), "LICENSE": text("mit"), WEIGHTS: weights(7, size=1 << 20)}


@contextmanager
def typed(studio: Any, *words: str) -> Iterator[subprocess.Popen[str]]:
    """``rightstep WORDS``, ended at the latest with the test."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))
    } | {
        "RIGHTSTEP_HOME": str(studio.home),
        "RIGHTSTEP_HUB_ENDPOINT": dict(studio.settings)["hub_endpoint"],
        "RIGHTSTEP_ACTOR": "tester",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "rightstep", *words],
        env=environment,
        cwd=Path(__file__).resolve().parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_two_processes_that_pin_the_same_repository_fetch_it_once(hub, studio, repo):
    hub.put(repo, FILES)
    hub.stall_at[WEIGHTS] = 1024
    words = ("model", "pin", repo, "--json")
    with typed(studio, *words) as first, typed(studio, *words) as second:
        assert hub.stalled.wait(120)
        hub.go_on.set()
        answers = [process.communicate(timeout=240) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    assert (
        len(hub.fetched(f"/{repo}/{WEIGHTS}")) - sum("resolve" in path for path in hub.fetched(WEIGHTS)) == 1
    )
    pin = json.loads(answers[0][0])["pin"]
    assert {file["path"] for file in pin["files"]} == set(FILES)


def test_a_pin_that_was_killed_on_the_way_leaves_nothing_pinned_and_is_simply_typed_again(hub, studio, repo):
    hub.put(repo, FILES)
    hub.stall_at[WEIGHTS] = 1024
    blobs = studio.home / "hub" / f"models--{repo.replace('/', '--')}" / "blobs"
    with typed(studio, "model", "pin", repo) as killed:
        assert hub.stalled.wait(120)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    hub.go_on.set()
    assert [path for path in blobs.iterdir() if path.name.endswith(".incomplete")] != []
    with unit_of_work(studio.here.engine, read_only=True) as work:
        assert repo not in {record.pin.repo for record in work.models.pins()}
    hub.stall_at.clear()
    with typed(studio, "model", "pin", repo) as again:
        out, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    assert out == ""
    assert f"Pinned {repo} at" in err
    assert "fetching 3 of 3: model.safetensors" in err
    assert [path for path in blobs.iterdir() if path.name.endswith(".incomplete")] == []


def test_a_refusal_is_one_of_the_house(hub, studio, repo):
    hub.put(repo, {"README.md": card(), "model.bin": b"\x80\x02"})
    with typed(studio, "model", "pin", repo, "--json") as process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == 1
    assert json.loads(out)["refused"] is True
    assert "rightstep model import" in err
