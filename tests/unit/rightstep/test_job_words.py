"""What is said of a job when it ends."""

import pytest

from policy.tasks import TakeState
from registry.records import JobState
from rightstep.cli.job import ending, say_why, show_rounds
from tests.unit.flows.reports.night import make_job_record, make_lost_shot, make_round, make_shot_record


def test_an_ending_says_how_many_were_made_in_what_time():
    shots = [make_shot_record(0), make_shot_record(1, state=TakeState.REUSED), make_lost_shot(2, "Black.")]
    said = ending(make_job_record(shots, state=JobState.FAILED))
    assert said == "Job job-1 failed: 2 of 3 shots made in 62.0 s, 1 reused, 1 given up."


def test_a_job_that_never_began_took_no_time():
    record = make_job_record(
        [make_shot_record(0, state=TakeState.QUEUED)], state=JobState.QUEUED, started_at=None
    )
    assert " in " not in ending(record)


def test_why_shots_were_given_up_is_said_once_a_reason(capsys: pytest.CaptureFixture[str]):
    shots = [make_lost_shot(number, "Bytes differ.") for number in range(5)]
    shots += [make_lost_shot(5, "Too dark."), make_shot_record(6)]
    say_why(shots)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Given up: 5 shots: Bytes differ.",
        "Given up: 1 shot: Too dark.",
        "Next: put that right, then `rightstep job resume job-1`.",
    ]


def test_a_job_that_made_everything_has_nothing_to_explain(capsys: pytest.CaptureFixture[str]):
    say_why([make_shot_record(0)])
    assert capsys.readouterr().err == ""


def test_rounds_say_what_changed_and_whether_the_deadline_is_at_risk(capsys: pytest.CaptureFixture[str]):
    show_rounds(
        [make_round(), make_round(number=2, at_risk=True, changes=()), make_round(number=3, changes=())]
    )
    said = capsys.readouterr().out
    assert "30 steps instead of 40" in said
    assert said.count("The deadline is at risk.") == 1
    assert said.count("The deadline is safe again.") == 1


def test_a_night_that_went_as_planned_says_nothing_of_rounds(capsys: pytest.CaptureFixture[str]):
    show_rounds([])
    assert capsys.readouterr().out == ""
