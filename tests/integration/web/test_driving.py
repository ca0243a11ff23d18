"""Who renders a submitted job: nobody twice, and nobody at all where nothing is left to render."""

from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.orders import require_standing_house, start_job
from flows.rendering import job_of
from flows.turns import FleetTurn, is_driven
from policy.errors import ServiceFault
from registry.records import JobState
from tests.integration.flows.jobs.night import submit, write_order
from tests.integration.flows.near import render_job_near


def test_a_job_is_driven_while_a_living_driver_has_or_awaits_the_fleet(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, 1)).job_id
    other = submit(house, write_order(tmp_path, 1, name="other")).job_id
    assert not is_driven(house, job)
    turn = FleetTurn(house, job)
    turn.wait(lambda _told: None)
    assert is_driven(house, job)
    assert not is_driven(house, other)
    turn.leave()
    assert not is_driven(house, job)


def test_a_job_of_kept_pictures_is_finished_without_anybody(house: House, tmp_path: Path):
    order = write_order(tmp_path, 1)
    render_job_near(house, submit(house, order).job_id)
    again = submit(house, order)
    assert (again.state, again.counts.reused) == (JobState.QUEUED, 1)
    start_job(house, again.job_id)
    assert job_of(house, again.job_id).state is JobState.FINISHED


def test_an_open_job_without_a_standing_house_waits(house: House, tmp_path: Path):
    job = submit(house, write_order(tmp_path, 1)).job_id
    for again in (False, True):
        with pytest.raises(ServiceFault, match="No standing house"):
            start_job(house, job, again=again)
    with pytest.raises(ServiceFault, match="No standing house"):
        require_standing_house(house)
    assert job_of(house, job).state is JobState.QUEUED
