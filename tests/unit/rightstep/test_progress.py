"""What a running job says where there is no terminal: little, and enough."""

from dataclasses import dataclass

import pytest

from rightstep.cli.progress import Ticker, line_of, more_of


@dataclass(frozen=True)
class Report:
    stage: str = "rendering"
    done: int = 0
    reused: int = 0
    failed: int = 0
    total: int = 100
    rate: float = 0.0
    eta_seconds: float | None = None


def test_a_long_job_says_a_dozen_lines_and_not_a_thousand(capsys: pytest.CaptureFixture[str]):
    with Ticker() as ticker:
        ticker(Report(stage="starting Ray"))
        for done in range(101):
            ticker(Report(done=done, rate=2.0, eta_seconds=(100 - done) / 2))
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0] == "starting Ray ..."
    assert 10 <= len(lines) <= 13
    assert "100 of 100 shots" in lines[-1]


def test_before_the_first_picture_only_the_stage_is_told():
    assert line_of(Report(stage="starting Prefect")) == "starting Prefect ..."


def test_a_line_says_rate_and_time_left():
    report = Report(done=20, reused=5, failed=1, rate=1.5, eta_seconds=50.0)
    assert line_of(report) == "rendering: 25 of 100 shots, 1.5 a second, 50.0 s left, 5 reused, 1 failed"


def test_a_finished_job_has_no_time_left():
    assert "left" not in more_of(Report(done=100, rate=3.0, eta_seconds=0.0))


def test_an_empty_job_is_no_division_by_zero(capsys: pytest.CaptureFixture[str]):
    with Ticker() as ticker:
        ticker(Report(total=0))
    assert "rendering" in capsys.readouterr().err
