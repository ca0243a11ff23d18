"""Workers that are added to a night while it runs, in this very process: taken up at a beat, and promised with."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.draining import list_workers
from flows.rendering import rounds_of
from flows.steering import add_workers, cancel_job, move_deadline
from policy.errors import WrongMoment, WrongUse
from registry.records import JobState
from registry.unit_of_work import unit_of_work
from tests.integration.flows.crews import Crew, makes_all
from tests.integration.flows.jobs.night import submit, takes_of, write_order
from tests.integration.flows.near import house_of

SHOTS = 480


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with house_of(monkeypatch, workers="1", actor="alice") as opened:
        yield opened


def crew_of_one(house: House, job_id: str) -> Crew:
    return Crew(house, job_id, makes_all, devices=house.settings.fleet.devices)


def test_workers_are_added_on_record_and_started_at_the_next_beat(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, SHOTS))
    crew = crew_of_one(house, job.job_id)
    crew.workshop.renew()
    added = add_workers(house, job.job_id, 2)
    assert (added.workers, added.device, added.crew, added.round) == (2, "synthetic-1", 3, None)
    crew.workshop.renew()
    assert len(crew.opened) == 3
    crew.workshop.renew()
    assert len(crew.opened) == 3, "once"
    assert {one.worker for one in list_workers(house)} == {"here:1", "here:2", "here:3"}
    assert crew.workshop.crew == 6
    ended = crew.render(threads=6)
    assert (ended.state, ended.counts.done) == (JobState.FINISHED, SHOTS)
    assert {take.worker for take in takes_of(house, job.job_id)} == {"here:1", "here:2", "here:3"}
    with unit_of_work(house.engine, read_only=True) as work:
        events = [one.event for one in work.audit.events(subject=job.job_id)]
    (told,) = [one for one in events if one.tag == "job:workers:added"]
    assert (told.actor, json.loads(told.payload)) == ("alice", {"device": "synthetic-1", "workers": 2})


def test_what_was_added_belongs_to_the_job_and_the_next_driver_starts_it(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, SHOTS))
    add_workers(house, job.job_id, 2)
    first = crew_of_one(house, job.job_id)
    first.workshop.renew()
    assert len(first.opened) == 3
    beside = crew_of_one(house, job.job_id)
    beside.workshop.holder = "elsewhere:1:1"
    beside.workshop.renew()
    assert len(beside.opened) == 1, "they are the first driver's"
    first.workshop.release_all()
    beside.workshop.renew()
    assert len(beside.opened) == 3


def test_more_workers_make_another_promise_on_record(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, SHOTS))
    with unit_of_work(house.engine, read_only=True) as work:
        whole = work.ledger.header(job.job_id).totals.wall_seconds_p95
    due = house.clock() + timedelta(seconds=whole * 0.6)
    late = move_deadline(house, job.job_id, due.isoformat()).round
    assert late is not None
    assert late.at_risk
    crew = crew_of_one(house, job.job_id)
    crew.workshop.renew()
    added = add_workers(house, job.job_id, 2)
    assert added.round is not None
    assert not added.round.at_risk
    assert added.round.p50 < late.p50 / 2
    crew.workshop.renew()
    crew.workshop.replan()
    assert rounds_of(house, job.job_id) == (late, added.round), "the driver reckons with the same workers"


def test_a_worker_that_never_stands_takes_no_chunk_and_is_not_reckoned_with_for_long(
    house: House, tmp_path: Path
):
    job = submit(house, write_order(tmp_path, SHOTS))
    kinds = house.settings.fleet.devices
    crew = Crew(house, job.job_id, makes_all, devices=kinds, start_seconds=0.0, stillborn=[1])
    add_workers(house, job.job_id, 1)
    crew.workshop.renew()
    assert len(crew.opened) == 2
    ended = crew.render(threads=4)
    assert ended.counts.done == SHOTS
    assert crew.opened[1].rendered == 0
    crew.workshop.renew()
    assert crew.opened[1].is_closed
    assert crew.pool.crew() == {"synthetic-1": 1}


def test_a_word_that_cannot_be_followed_is_refused(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, 4))
    with pytest.raises(WrongUse, match="one worker more"):
        add_workers(house, job.job_id, 0)
    with pytest.raises(WrongUse, match="no gpu-9"):
        add_workers(house, job.job_id, 1, "gpu-9")
    cancel_job(house, job.job_id)
    with pytest.raises(WrongMoment, match="was cancelled"):
        add_workers(house, job.job_id, 1)
