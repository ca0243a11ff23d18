"""Words to a night with a driver at work, in this very process: they take effect, and stand in the audit log."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.exporting import export_job
from flows.judging import judge_job
from flows.rendering import job_of, shots_of
from flows.steering import (
    cancel_job,
    eat_shots,
    move_deadline,
    pause_job,
    put_job_before,
    put_shots_before,
    reopen_job,
    requeue_shots,
    set_budget,
)
from flows.workshop import Workshop
from policy.errors import ManifestRejected, WrongMoment, WrongUse
from policy.tasks import TakeState
from registry.audit_walk import verify
from registry.records import JobRecord, JobState
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import submit, write_order
from tests.integration.flows.near import house_of, near_station, render_near, workshop_near

SHOTS = 64


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with house_of(monkeypatch, workers="1", actor="alice") as opened:
        yield opened


@pytest.fixture
def job(house: House, tmp_path: Path) -> JobRecord:
    return submit(house, write_order(tmp_path, SHOTS))


@pytest.fixture
def workshop(house: House, job: JobRecord) -> Workshop:
    return workshop_near(house, near_station(house), job.job_id)


def render_rest(workshop: Workshop) -> JobRecord:
    while (chunk := workshop.lease()) is not None:
        workshop.render(chunk.lease)
    judge_job(workshop.house, workshop.job_id)
    return job_of(workshop.house, workshop.job_id)


def told(house: House, job_id: str) -> list[tuple[str, str, dict[str, object]]]:
    """Tag, actor and facts of every event of a job, and the chain holds."""
    assert verify(house.engine).ok
    with unit_of_work(house.engine, read_only=True) as work:
        chained = work.audit.events(subject=job_id)
    return [(one.event.tag, one.event.actor, json.loads(one.event.payload)) for one in chained]


def tags(house: House, job_id: str) -> list[str]:
    return [tag for tag, _, _ in told(house, job_id)]


def test_a_pause_ends_with_what_is_in_flight_and_a_resumed_night_is_made_whole(
    house: House, workshop: Workshop
):
    chunk = workshop.lease()
    assert chunk is not None
    paused = pause_job(house, workshop.job_id, "The power is dear until ten.")
    assert (paused.state, paused.detail) == (
        JobState.PAUSED,
        "Paused by alice: The power is dear until ten.",
    )
    workshop.render(chunk.lease)
    assert workshop.lease() is None
    stopped = render_rest(workshop)
    assert (stopped.state, stopped.counts.leased) == (JobState.PAUSED, 0)
    assert stopped.counts.done == sum(len(batch.shots) for batch in chunk.batches)
    reopen_job(house, workshop.job_id)
    assert render_rest(workshop).counts.done == SHOTS
    events = [event for event in told(house, workshop.job_id) if event[0].startswith("job:run:")]
    assert [(tag, actor) for tag, actor, _ in events] == [
        ("job:run:paused", "alice"),
        ("job:run:resumed", "alice"),
    ]
    assert events[0][2]["reason"] == "The power is dear until ten."


def test_a_word_that_changes_nothing_is_no_event(house: House, workshop: Workshop):
    for _ in range(2):
        pause_job(house, workshop.job_id)
    for _ in range(2):
        put_job_before(house, workshop.job_id, 3)
    for _ in range(2):
        cancel_job(house, workshop.job_id)
    found = tags(house, workshop.job_id)
    assert found == ["job:plan:accepted", "job:run:paused", "job:priority:changed", "job:run:cancelled"]


def test_a_refused_word_leaves_neither_a_change_nor_an_event(house: House, tmp_path: Path):
    over = render_near(house, write_order(tmp_path, 2, name="over"))
    before = tags(house, over.job_id)
    for word in (
        lambda: pause_job(house, over.job_id),
        lambda: put_job_before(house, over.job_id, 1),
        lambda: move_deadline(house, over.job_id, "08:00"),
        lambda: requeue_shots(house, over.job_id),
    ):
        with pytest.raises(WrongMoment):
            word()
    assert tags(house, over.job_id) == before
    assert job_of(house, over.job_id) == over


def test_an_eaten_shot_is_named_in_the_report_with_who_and_why(
    house: House, workshop: Workshop, tmp_path: Path
):
    eat_shots(house, workshop.job_id, ["shot-0003", "shot-0007"], "The scene was cut.")
    ended = render_rest(workshop)
    assert (ended.state, ended.counts.done, ended.counts.eaten) == (JobState.FINISHED, SHOTS - 2, 2)
    exported = export_job(house, ended.job_id, tmp_path / "out")
    assert exported.pictures == SHOTS - 2
    report = exported.report.read_text()
    assert "Eaten by alice: The scene was cut." in report
    assert "shot-0003, shot-0007" in report
    assert "62 of 64 pictures made, 2 eaten" in report
    ((_, actor, facts),) = [one for one in told(house, ended.job_id) if one[0] == "job:shots:eaten"]
    assert (actor, facts) == (
        "alice",
        {"reason": "The scene was cut.", "shots": ["shot-0003", "shot-0007"]},
    )


def test_eating_the_last_open_shots_closes_a_job_that_nobody_drives(house: House, job: JobRecord):
    found = eat_shots(house, job.job_id, [shot.name for shot in shots_of(house, job.job_id)], "Cut.")
    assert (found.job.state, found.job.counts.eaten) == (JobState.FINISHED, SHOTS)


def test_a_shot_is_not_eaten_without_a_reason(house: House, job: JobRecord):
    with pytest.raises(WrongUse, match="on record"):
        eat_shots(house, job.job_id, ["shot-0003"], "  ")


def test_an_eaten_shot_is_made_after_all_by_a_night_that_still_runs(house: House, workshop: Workshop):
    eat_shots(house, workshop.job_id, ["shot-0003"], "Cut.")
    requeue_shots(house, workshop.job_id, ["shot-0003"])
    assert render_rest(workshop).counts.done == SHOTS
    assert tags(house, workshop.job_id)[1:3] == ["job:shots:eaten", "job:shots:requeued"]


def test_a_shot_that_is_put_first_is_made_before_the_rest(house: House, workshop: Workshop):
    put_shots_before(house, workshop.job_id, ["shot-0063"], 9)
    chunk = workshop.lease()
    assert chunk is not None
    assert "shot-0063" in [shot.name for shot in chunk.batches[0].shots]


def test_a_deadline_that_comes_while_a_night_runs_makes_its_driver_shed_steps(house: House, tmp_path: Path):
    order = write_order(tmp_path, 160, name="long", may_degrade=True)
    job = submit(house, order)
    workshop = workshop_near(house, near_station(house), job.job_id)
    workshop.replan()
    assert {decision.steps for decision in workshop.decisions} == {40}
    with unit_of_work(house.engine, read_only=True) as work:
        whole = work.ledger.header(job.job_id).totals.wall_seconds_p95
    due = house.clock() + timedelta(seconds=whole * 0.8)
    moved = move_deadline(house, job.job_id, due.isoformat())
    assert moved.round is not None
    assert not moved.round.at_risk
    assert max(change.steps for change in moved.round.changes) < 40
    chunk = workshop.lease()
    assert chunk is not None
    assert {workshop.decisions[batch.decision].steps for batch in chunk.batches} < set(range(25, 40))
    later = move_deadline(house, job.job_id, (due + timedelta(days=1)).isoformat())
    assert later.round is not None, "what was shed is given back to what is still queued"
    assert "early" in later.round.changes[0].reason
    found = [tag for tag in tags(house, job.job_id) if tag != "job:plan:accepted"]
    assert found == ["job:deadline:moved", "job:plan:changed"] * 2


def test_a_deadline_that_passed_or_is_no_time_is_refused_and_none_takes_it_away(house: House, job: JobRecord):
    with pytest.raises(WrongUse, match="has passed"):
        move_deadline(house, job.job_id, "2020-01-01T08:00+00:00")
    with pytest.raises(ManifestRejected, match="neither HH:MM nor"):
        move_deadline(house, job.job_id, "tomorrow")
    assert move_deadline(house, job.job_id, "08:00").job.deadline is not None
    assert move_deadline(house, job.job_id, None).job.deadline is None


def test_a_paused_shot_that_was_eaten_needs_nobody_to_close_the_job(house: House, job: JobRecord):
    pause_job(house, job.job_id)
    found = eat_shots(house, job.job_id, [shot.name for shot in shots_of(house, job.job_id)], "Cut.")
    assert found.job.state is JobState.FINISHED
    assert {shot.state for shot in shots_of(house, job.job_id)} == {TakeState.EATEN}


def test_a_night_is_held_after_its_probes_and_its_resumption_is_the_approval(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, 160, name="probed", hold_after_probes=True))
    workshop = workshop_near(house, near_station(house), job.job_id)
    held = render_rest(workshop)
    assert held.state is JobState.HELD
    made = {shot.batch for shot in shots_of(house, job.job_id) if shot.state is TakeState.DONE}
    last = max(shot.batch for shot in shots_of(house, job.job_id))
    assert made == {0, last // 2, last}
    assert export_job(house, job.job_id, tmp_path / "out").pictures == held.counts.done
    reopen_job(house, job.job_id)
    assert render_rest(workshop).counts.done == 160
    ((_, _, facts),) = [one for one in told(house, job.job_id) if one[0] == "job:limit:reached"]
    assert (facts["code"], facts["then"]) == ("probes_made", "hold")


def test_a_night_that_spent_its_budget_waits_for_another_one(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, 160, name="dear", budget_seconds=1e-6))
    workshop = workshop_near(house, near_station(house), job.job_id)
    held = render_rest(workshop)
    assert (held.state, held.counts.leased) == (JobState.HELD, 0)
    assert 0 < held.counts.done < 160
    assert set_budget(house, job.job_id, None).budget_seconds is None
    reopen_job(house, job.job_id)
    assert render_rest(workshop).state is JobState.FINISHED
    assert tags(house, job.job_id)[1:] == ["job:limit:reached", "job:budget:changed", "job:run:resumed"]


def test_a_night_that_finishes_at_its_budget_cancels_what_it_had_not_begun(house: House, tmp_path: Path):
    order = write_order(tmp_path, 160, name="dear", budget_seconds=1e-6, budget_end="finish")
    workshop = workshop_near(house, near_station(house), submit(house, order).job_id)
    ended = render_rest(workshop)
    assert ended.state is JobState.CANCELLED
    assert ended.counts.done + ended.counts.cancelled == 160
    assert "budget" in ended.detail


def test_a_budget_of_nothing_cannot_be_meant(house: House, job: JobRecord):
    with pytest.raises(WrongUse, match="more than nothing"):
        set_budget(house, job.job_id, 0.0)
