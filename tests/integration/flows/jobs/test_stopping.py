"""A driver that is told to stop, at any moment: it cleans up, says how to go on, and ends quietly."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.rendering import job_of
from registry.records import JobState
from rightstep.cli.output import ExitCode
from tests.integration.flows.jobs.night import (
    start_command,
    submit,
    wait_for_driver,
    wait_until,
    write_order,
)
from workers.processes import read_record

MakeHouse = Callable[..., House]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_its_services_start_it_leaves_none_of_them(
    make_lone_house: MakeHouse, tmp_path: Path, number: signal.Signals
):
    house = make_lone_house()
    job = submit(house, write_order(tmp_path, 2))
    driver = start_command(house, "job", "resume", job.job_id)
    records = house.settings.run_folder
    wait_until("the server is recorded", lambda: list(records.glob("private-prefect-*.json")))
    record = read_record(next(records.glob("private-prefect-*.json")))
    os.kill(driver.pid, number)
    _, talk = driver.communicate(timeout=120)

    assert driver.returncode == ExitCode.INTERRUPTED, talk
    assert f"rightstep job resume {job.job_id}" in talk
    assert "Traceback" not in talk
    assert record is not None
    assert [process for process in record.processes if process.is_alive] == []
    assert not list(records.glob("private-*.json"))


@pytest.mark.slow
def test_sigterm_stops_at_the_next_step_without_a_word_of_ray_or_prefect(
    make_house: MakeHouse, tmp_path: Path
):
    slow = {"synthetic_seconds_per_step": 0.5}
    house = make_house(**slow)
    job = submit(house, write_order(tmp_path, 96, shots={"steps": 4, "method": "emoji-64-lcm"}))
    driver = start_command(house, "job", "resume", job.job_id, **slow)
    wait_for_driver(driver, house, job.job_id)
    os.kill(driver.pid, signal.SIGTERM)
    _, talk = driver.communicate(timeout=120)

    assert driver.returncode == ExitCode.INTERRUPTED, talk
    assert f"rightstep job resume {job.job_id}" in talk
    assert not [word for word in ("Traceback", "SIGTERM", "ERROR", "prefect") if word in talk], talk
    stopped = job_of(house, job.job_id)
    assert stopped.state is JobState.RUNNING
    assert stopped.counts.leased == 0, "its leases were given back"
    assert stopped.counts.open > 0
