"""Every question one can ask of a night that was made and shipped, and the same order once more."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rightstep.cli.edge import run
from tests.e2e.conftest import SHOTS, Night, rightstep

pytestmark = pytest.mark.slow


@pytest.fixture
def asked(
    night: Night, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Questions about that night; they need no process of their own."""
    monkeypatch.setenv("RIGHTSTEP_HOME", str(night.home))

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
    assert {f"{shot}.png" for shot in SHOTS} <= names
    assert {"contact-sheet.html", "report.html", "NOTICES.txt"} <= names
    assert Image.open(night.out / "cat.png").size == (64, 64)


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
    assert {file["shot"] for file in found["files"]} == set(SHOTS)
    assert found["matched"] == ["repository"]


def test_the_audit_log_tells_the_night_and_holds(night: Night, asked):
    tags = [event["event"]["tag"] for event in asked("audit", "report")["events"]]
    assert any(tag.startswith("shipment:") for tag in tags)
    assert asked("audit", "verify")["ok"] is True


def test_watching_a_finished_job_ends_at_once(night: Night, asked):
    assert asked("job", "watch", night.job_id)["job"]["state"] == "finished"


def test_an_order_that_was_made_before_is_reused_and_not_rendered(night: Night):
    again = json.loads(rightstep(night.home, "render", night.order, "--json").stdout)
    assert again["job"]["counts"]["reused"] == 4
    assert again["job"]["counts"]["done"] == 0
    assert again["job"]["job_id"] != night.job_id
