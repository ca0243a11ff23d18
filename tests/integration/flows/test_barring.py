"""Bad workers, bad shots and bad stacks under a driver in this very process: who is barred, and who is not."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.draining import list_workers, readmit_worker
from flows.rendering import shots_of
from policy.errors import UnknownName, WrongMoment, WrongUse
from policy.tasks import FaultKind, RenderTask, TakeState
from registry.audit_walk import verify
from registry.records import JobState
from registry.unit_of_work import unit_of_work
from tests.integration.flows.crews import Crew, fails_all, makes_all
from tests.integration.flows.jobs.night import done_per_shot, submit, takes_of, write_order
from tests.integration.flows.near import house_of
from tests.integration.flows.test_workshop import quick_then_slow

SHOTS = 480


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with house_of(monkeypatch, workers="3", actor="alice") as opened:
        yield opened


def events(house: House, tag: str) -> list[tuple[str, dict[str, object]]]:
    """Subject and facts of every event of a kind; the chain holds."""
    assert verify(house.engine).ok
    with unit_of_work(house.engine, read_only=True) as work:
        chained = work.audit.events()
    return [(one.event.subject, json.loads(one.event.payload)) for one in chained if one.event.tag == tag]


def executed(house: House, job_id: str) -> Counter[TakeState]:
    return Counter(take.state for take in takes_of(house, job_id))


def test_a_worker_that_always_fails_is_barred_and_every_shot_is_made(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, SHOTS))
    crew = Crew(house, job.job_id, makes_all, fails_all, makes_all)
    crew.later = fails_all  # what takes its place is no better
    ended = crew.render()
    assert (ended.state, ended.counts.done, ended.counts.dead) == (JobState.FINISHED, SHOTS, 0)
    assert set(done_per_shot(house, job.job_id).values()) == {1}
    crew.workshop.renew()
    listed = {one.worker: one for one in list_workers(house)}
    assert {name for name, one in listed.items() if one.is_barred} == {"here:2", "here:4"}
    assert "failed" in listed["here:2"].barred_because
    assert "Another process took its place." in listed["here:2"].barred_because
    assert "Its place is closed." in listed["here:4"].barred_because
    told = events(house, "worker:process:barred")
    assert [(subject, facts["place"]) for subject, facts in told] == [
        ("here:2", "another process"),
        ("here:4", "closed"),
    ]
    assert [station.is_closed for station in crew.opened] == [False, True, False, True]
    takes = executed(house, job.job_id)
    assert takes[TakeState.FAILED] == ended.counts.failed_takes > 0
    per_shot = (takes[TakeState.DONE] + takes[TakeState.FAILED]) / SHOTS
    assert per_shot < 1.9, "no batch failed on it twice"


@pytest.mark.parametrize("kind", [FaultKind.SHOT, FaultKind.WORKER])
def test_a_shot_that_fails_everywhere_is_given_up_after_three_workers_and_bars_none(
    house: House, tmp_path: Path, kind: FaultKind
):
    job = submit(house, write_order(tmp_path, SHOTS))
    bad = {shot.shot_key for shot in shots_of(house, job.job_id) if shot.batch == 2}

    def fails_one(task: RenderTask) -> FaultKind | None:
        return kind if task.shots[0].shot_key in bad else None

    ended = Crew(house, job.job_id, fails_one, fails_one, fails_one).render()
    assert (ended.counts.done, ended.counts.dead) == (SHOTS - len(bad), len(bad))
    tried = [take for take in takes_of(house, job.job_id) if take.fault is not None]
    assert len(tried) == 3 * len(bad), "each on another worker: nobody tries what it failed before"
    assert {take.worker for take in tried} == {"here:1", "here:2", "here:3"}
    assert events(house, "worker:process:barred") == []


@pytest.mark.parametrize("kind", [FaultKind.SHOT, FaultKind.WORKER])
def test_a_stack_that_fails_everywhere_bars_nobody_and_costs_no_shot_of_another(
    house: House, tmp_path: Path, kind: FaultKind
):
    job = submit(house, quick_then_slow(tmp_path, 240, 240))
    with unit_of_work(house.engine, read_only=True) as work:
        decisions = work.ledger.decisions(job.job_id)
    poisoned = decisions[shots_of(house, job.job_id)[-1].decision].offer.stack.stack_id

    def fails_a_stack(task: RenderTask) -> FaultKind | None:
        return kind if task.load.stack.stack_id == poisoned else None

    ended = Crew(house, job.job_id, fails_a_stack, fails_a_stack, fails_a_stack).render()
    assert (ended.counts.done, ended.counts.dead) == (240, 240)
    assert events(house, "worker:process:barred") == []


def test_when_everything_fails_from_some_moment_on_nobody_is_barred_for_it(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, SHOTS))
    made: list[str] = []

    def fails_later(task: RenderTask) -> FaultKind | None:
        made.append(task.task_id)
        return FaultKind.WORKER if len(made) > 6 else None

    ended = Crew(house, job.job_id, fails_later, fails_later, fails_later).render()
    assert ended.counts.done > 0
    assert ended.counts.dead > 0
    assert events(house, "worker:process:barred") == []


def test_a_barred_worker_is_let_back_on_record_and_its_closed_place_gets_a_process(
    house: House, tmp_path: Path
):
    job = submit(house, write_order(tmp_path, SHOTS))
    crew = Crew(house, job.job_id, makes_all, fails_all, makes_all)
    crew.later = fails_all
    crew.render()
    with pytest.raises(WrongUse, match="on record"):
        readmit_worker(house, "here:4", " ")
    with pytest.raises(UnknownName, match="here:9"):
        readmit_worker(house, "here:9", "Why not.")
    crew.workshop.renew()
    with pytest.raises(WrongMoment, match="not barred"):
        readmit_worker(house, "here:1", "Why not.")
    for _ in range(2):
        assert readmit_worker(house, "here:4", "The card was changed.").readmitted_by == "alice"
    assert events(house, "worker:process:readmitted") == [("here:4", {"reason": "The card was changed."})]
    crew.workshop.renew()
    assert len(crew.opened) == 5
    crew.workshop.renew()
    listed = list_workers(house)
    assert {one.worker for one in listed if one.is_barred} == {"here:2"}
    assert {one.worker for one in listed if not one.is_barred} == {"here:1", "here:3", "here:5"}
    crew.workshop.release_all()
    assert list_workers(house) == (), "what is known of workers ends with their driver"
