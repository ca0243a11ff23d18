"""What the figures of a job amount to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from flows.reports.findings import Tone, failure_rows, make_headline, make_timeline, pace
from flows.reports.pictures import choose_shown
from flows.reports.predictions import make_prediction
from policy.forecast import SettledBatch
from policy.tasks import TakeState
from registry.records import JobState
from tests.unit.flows.reports.night import (
    ENDED,
    STARTED,
    make_failed_take,
    make_job_view,
    make_lost_shot,
    make_shot_record,
)


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_of_a_job_has_a_headline(state: JobState):
    headline = make_headline(make_job_view(job={"state": state}))
    assert "8" in headline.text


def test_a_finished_job_that_is_late_is_bad_news():
    late = make_job_view(job={"deadline": ENDED - timedelta(seconds=1)})
    assert make_headline(late).tone is Tone.BAD
    assert make_headline(make_job_view()).tone is Tone.GOOD


def test_no_deadline_is_not_spoken_of():
    assert "deadline" not in make_headline(make_job_view(job={"deadline": None})).more


@pytest.mark.parametrize(
    ("pictures", "seconds", "words"),
    [(100, 10, "10 pictures a second"), (21, 60, "21 pictures a minute"), (3, 3600, "3 pictures a hour")],
)
def test_a_pace_is_told_in_the_unit_that_reads_best(pictures: int, seconds: int, words: str):
    assert pace(pictures, timedelta(seconds=seconds)) == words.replace("a hour", "an hour")


def test_one_picture_makes_no_timeline():
    assert make_timeline(make_job_view(settled_at=(STARTED,))) is None


def test_a_timeline_never_has_more_bars_than_seconds():
    view = make_job_view(
        settled_at=(STARTED, STARTED + timedelta(seconds=2)),
        job={"started_at": STARTED, "ended_at": STARTED + timedelta(seconds=3)},
    )
    timeline = make_timeline(view)
    assert timeline is not None
    assert len(timeline.bars) == 3
    assert sum(bar.pictures for bar in timeline.bars) == 2


def test_failures_are_gathered_by_what_was_said():
    lost = make_lost_shot(0, "Black.")
    other = make_shot_record(1)
    takes = (
        make_failed_take(other, 1, "The worker died."),
        *(make_failed_take(lost, attempt, "Black.") for attempt in (1, 2, 3)),
    )
    rows = failure_rows(make_job_view([lost, other], failed_takes=takes))
    assert [(row.detail, row.attempts, row.given_up) for row in rows] == [
        ("Black.", 3, 1),
        ("The worker died.", 1, 0),
    ]


def test_a_few_shots_are_all_shown_in_their_order():
    shots = tuple(make_shot_record(number) for number in range(5))
    assert choose_shown(shots, 5) == shots


def test_the_chosen_shots_fill_the_page_and_keep_every_decision():
    shots = [make_shot_record(number, decision=0 if number < 90 else 1) for number in range(100)]
    chosen = choose_shown(shots, 20)
    assert len(chosen) == 20
    assert {shot.decision for shot in chosen} == {0, 1}
    assert [shot.ordinal for shot in chosen] == sorted(shot.ordinal for shot in chosen)
    assert choose_shown(shots, 20) == chosen


def test_failures_do_not_crowd_out_the_pictures():
    shots = [make_lost_shot(number, "Black.") for number in range(90)]
    shots += [make_shot_record(number) for number in range(90, 190)]
    chosen = choose_shown(shots, 40)
    assert len(chosen) == 40
    assert sum(shot.state is TakeState.DEAD for shot in chosen) == 10


def test_a_night_of_nothing_but_failures_still_fills_the_page():
    shots = [make_lost_shot(number, "Black.") for number in range(90)]
    assert len(choose_shown(shots, 40)) == 40


def test_a_job_is_held_against_its_plan_and_against_what_a_tenth_of_it_told():
    view = make_job_view()
    seconds = view.plan.decisions[0].seconds_p50 * 4 * 2  # twice what was planned
    batches = tuple(
        SettledBatch(
            decision=0, pictures=4, seconds=seconds, load_seconds=0.0, at=seconds * (number // 2 + 1)
        )
        for number in range(40)
    )
    prediction = make_prediction(replace(view, batches=batches))
    assert prediction.device_error == pytest.approx(0.5)
    (course,) = prediction.courses
    assert (course.pictures, course.error) == (160, pytest.approx(0.5))
    assert prediction.early is not None
    assert prediction.early.error < 0.05
    assert prediction.submitted is not None
    assert prediction.submitted.real == batches[-1].at


def test_what_was_reused_is_not_held_against_the_plan_of_the_whole():
    view = make_job_view([make_shot_record(0, state=TakeState.REUSED), make_shot_record(1)])
    batch = SettledBatch(decision=0, pictures=1, seconds=1.0, load_seconds=0.0, at=1.0)
    prediction = make_prediction(replace(view, batches=(batch,)))
    assert prediction.submitted is None
    assert prediction.courses
