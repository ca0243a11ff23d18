"""Logs are events with keys: one JSON object a line, under one name, in the house's own folder."""

import json
import logging
from pathlib import Path

import pytest
import structlog

from flows.logs import set_up_logs


def events_in(kept: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(autouse=True)
def quiet_afterwards():
    yield
    for handler in list(logging.getLogger("rightstep").handlers):
        logging.getLogger("rightstep").removeHandler(handler)
        handler.close()
    structlog.reset_defaults()


def test_an_event_is_one_line_with_its_keys(tmp_path: Path):
    kept = set_up_logs(tmp_path)
    structlog.get_logger("rightstep.jobs").info("job.finished", job_id="7", steps=4)
    (event,) = events_in(kept)
    assert event["event"] == "job.finished"
    assert (event["job_id"], event["steps"], event["logger"], event["level"]) == (
        "7",
        4,
        "rightstep.jobs",
        "info",
    )
    assert str(event["timestamp"]).endswith("Z")


def test_setting_up_again_does_not_write_twice(tmp_path: Path):
    set_up_logs(tmp_path)
    kept = set_up_logs(tmp_path)
    structlog.get_logger("rightstep.jobs").warning("job.late")
    assert len(events_in(kept)) == 1


def test_plain_logging_of_ours_lands_in_the_same_file(tmp_path: Path):
    kept = set_up_logs(tmp_path)
    logging.getLogger("rightstep.workers").error("lost")
    assert [event["event"] for event in events_in(kept)] == ["lost"]


def test_the_logs_of_others_are_left_alone(tmp_path: Path):
    kept = set_up_logs(tmp_path)
    logging.getLogger("somebody.else").error("not ours")
    assert not kept.exists()


def test_a_command_is_logged_by_its_words_and_not_by_what_they_carry(
    rightstep, home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "sys.argv", ["rightstep", "licence", "list", "--out=/secret/place", "a secret prompt"]
    )
    assert rightstep("licence", "list").code == 0
    (event,) = events_in(home / "rightstep" / "logs" / "rightstep.log")
    assert event["words"] == ["licence", "list", "--out"]


def test_no_secret_of_a_key_gets_into_a_log_whoever_writes_it(tmp_path: Path):
    kept = set_up_logs(tmp_path)
    secret = f"rs_0123456789ab_{'Ab3-_' * 8}xyz"
    structlog.get_logger("rightstep.web").warning("request.refused", header=f"Bearer {secret}")
    try:
        {}[secret]
    except KeyError:
        logging.getLogger("rightstep.web").exception(secret)
        structlog.get_logger("rightstep.web").exception("request.broken")
    assert len(events_in(kept)) == 3
    assert "Ab3" not in kept.read_text(encoding="utf-8")
