"""One order through the command line, in processes of its own, and every question one can ask of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rightstep.cli.edge import run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
ORDER = ROOT / "examples" / "manifests" / "draft.toml"


@dataclass(frozen=True)
class Night:
    """A rendered and shipped order, and the home that it lies in."""

    home: Path
    out: Path
    done: "subprocess.CompletedProcess[str]"

    @property
    def answer(self) -> Any:
        return json.loads(self.done.stdout)

    @property
    def job_id(self) -> str:
        return str(self.answer["job"]["job_id"])


def render(home: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, as a person starts it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RIGHTSTEP_")}
    environment |= {"RIGHTSTEP_HOME": str(home), "RIGHTSTEP_RENDERER": "synthetic"}
    return subprocess.run(
        [sys.executable, "-m", "rightstep", "render", *map(str, words), "--json"],
        env=environment,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    home = tmp_path_factory.mktemp("house")
    out = tmp_path_factory.mktemp("out") / "draft"
    done = render(home, ORDER, "--out", out, "--ship")
    assert done.returncode == 0, done.stderr
    return Night(home, out, done)


@pytest.fixture
def asked(
    night: Night, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Questions about that night; they need no process of their own."""
    monkeypatch.setenv("RIGHTSTEP_HOME", str(night.home))
    monkeypatch.setenv("RIGHTSTEP_RENDERER", "synthetic")

    def ask(*words: object) -> Any:
        capsys.readouterr()
        assert run([*map(str, words), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def test_the_data_is_one_document_and_the_talk_is_elsewhere(night: Night):
    assert set(night.answer) == {"job", "shipment", "files"}
    assert "Predicted: " in night.done.stderr
    assert "free disk" in night.done.stderr
    assert "Traceback" not in night.done.stderr


def test_progress_is_told_while_it_runs(night: Night):
    lines = night.done.stderr.splitlines()
    assert any(line.endswith(" ...") for line in lines)
    assert "4 of 4 shots" in lines[-1]


def test_every_picture_lies_under_the_name_of_its_shot(night: Night):
    names = {path.name for path in night.out.iterdir()}
    assert {"dolphin.png", "strawberry.png", "snowman.png", "crown.png"} <= names
    assert {"contact-sheet.html", "report.html", "NOTICES.txt"} <= names
    assert Image.open(night.out / "crown.png").size == (64, 64)


def test_the_job_is_listed_and_shown_by_the_beginning_of_its_id(night: Night, asked):
    (listed,) = asked("job", "list")
    assert listed["job_id"] == night.job_id
    shown = asked("job", "show", night.job_id[:-3], "--shots")
    assert shown["job"]["state"] == "finished"
    assert [shot["state"] for shot in shown["shots"]] == ["done"] * 4


def test_the_report_can_be_written_again(night: Night, tmp_path: Path, asked):
    files = asked("job", "report", night.job_id, "--out", tmp_path / "again")["files"]
    assert files["pictures"] == 4
    assert "Contact sheet" in Path(files["contact_sheet"]).read_text(encoding="utf-8")


def test_a_recall_finds_what_was_shipped(night: Night, asked):
    found = asked("audit", "affected", "rightstep/emoji-64-lcm-lora")
    assert {file["shot"] for file in found["files"]} == {"dolphin", "strawberry", "snowman", "crown"}
    assert found["matched"] == ["repository"]


def test_the_audit_log_tells_the_night_and_holds(night: Night, asked):
    tags = [event["event"]["tag"] for event in asked("audit", "report")["events"]]
    assert any(tag.startswith("shipment:") for tag in tags)
    assert asked("audit", "verify")["ok"] is True


def test_watching_a_finished_job_ends_at_once(night: Night, asked):
    assert asked("job", "watch", night.job_id)["job"]["state"] == "finished"


def test_an_order_that_was_made_before_is_reused_and_not_rendered(night: Night):
    again = json.loads(render(night.home, ORDER).stdout)
    assert again["job"]["counts"]["reused"] == 4
    assert again["job"]["counts"]["done"] == 0
    assert again["job"]["job_id"] != night.job_id
