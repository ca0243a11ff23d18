"""A fleet of two devices loses one of them: the night goes on with the other, and says what that makes of its end."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.rendering import job_of, rounds_of
from flows.replanning import AT_RISK
from policy.tasks import FaultKind, RenderTask
from registry.records import JobState
from registry.unit_of_work import unit_of_work
from tests.integration.flows.crews import Crew
from tests.integration.flows.jobs.night import (
    assert_each_shot_done_once,
    plan_order,
    submit,
    takes_of,
    wait_until,
    write_order,
)
from tests.integration.flows.near import house_of
from workers.stations import StationLost

SHOTS = 640
STAYS, GOES = "synthetic-1", "synthetic-2"


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with house_of(monkeypatch, devices="cpu threads=1 workers=1, cpu threads=2 workers=1") as opened:
        yield opened


def dies(_task: RenderTask) -> FaultKind | None:
    raise StationLost("The worker process died: its card fell off the bus.")


def whole_seconds(house: House, folder: Path) -> float:
    """What the night takes on both devices, at p95."""
    return plan_order(house, write_order(folder, SHOTS)).totals.wall_seconds_p95


@pytest.mark.parametrize("may_degrade", [False, True])
def test_a_night_whose_slow_group_dies_is_planned_anew_on_the_other_and_says_so(
    house: House, tmp_path: Path, may_degrade: bool
):
    due = house.clock() + timedelta(seconds=whole_seconds(house, tmp_path) * 1.6)
    order = write_order(tmp_path, SHOTS, name="due", deadline=due.isoformat(), may_degrade=may_degrade)
    job = submit(house, order)
    goes_on = threading.Event()

    def waits(_task: RenderTask) -> FaultKind | None:
        assert goes_on.wait(60)
        return None

    crew = Crew(house, job.job_id, waits, dies, devices=[STAYS, GOES])
    crew.later = dies
    crew.workshop.renew()
    crew.workshop.replan()
    assert rounds_of(house, job.job_id) == (), "with both it would end in time"
    crew.start(threads=8)
    try:
        wait_until("its place is closed", lambda: crew.pool.crew() == {STAYS: 1, GOES: 0})
        crew.workshop.renew()
        (told,) = rounds_of(house, job.job_id)
    finally:
        goes_on.set()
    crew.join()

    if may_degrade:
        assert not told.at_risk
        assert told.changes, "queued shots lost steps, so that the night ends in time"
        assert told.p95 <= told.left_seconds
    else:
        assert told.at_risk
        assert told.p95 > told.left_seconds
        with unit_of_work(house.engine, read_only=True) as work:
            events = [one.event for one in work.audit.events(subject=job.job_id)]
        (risk,) = [json.loads(one.payload) for one in events if one.tag == AT_RISK]
        assert float(risk["margin"]) < 0
    ended = job_of(house, job.job_id)
    assert (ended.counts.done, ended.counts.dead) == (SHOTS, 0)
    assert ended.state is JobState.RUNNING, "nobody has judged it yet"
    assert_each_shot_done_once(house, job.job_id)
    lost = {take.worker for take in takes_of(house, job.job_id) if take.fault is not None}
    assert lost == {"here:2", "here:3", "here:4"}
