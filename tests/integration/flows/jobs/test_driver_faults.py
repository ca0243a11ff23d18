"""A driver that is killed or stopped, and a Prefect server that dies under it: one command goes on."""

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flows.auditing import audit_check
from flows.bootstrap import House
from flows.rendering import job_of
from registry.records import JobState
from rightstep.cli.output import ExitCode
from tests.integration.flows.jobs.night import (
    assert_each_shot_done_once,
    finished_takes,
    run_command,
    start_command,
    submit,
    wait_for_driver,
    wait_until,
    write_order,
)
from workers.processes import OwnProcess, descendants, read_record

MakeHouse = Callable[..., House]
SHOTS = 96
SLOW = {"synthetic_seconds_per_step": 0.5}
QUICK = {"synthetic_seconds_per_step": 0}
FOUR_STEPS = {"steps": 4, "method": "emoji-64-lcm"}


@pytest.fixture
def night(services: Path, make_lone_house: MakeHouse, tmp_path: Path) -> tuple[House, str]:
    """A job in a house without standing services; Prefect's tables are there already, which saves half a minute."""
    house = make_lone_house()
    (house.settings.home / "prefect").mkdir()
    with (
        closing(sqlite3.connect(services / "prefect" / "prefect.db")) as made,
        closing(sqlite3.connect(house.settings.home / "prefect" / "prefect.db")) as copy,
    ):
        made.backup(copy)
    return house, submit(house, write_order(tmp_path, SHOTS, shots=FOUR_STEPS)).job_id


def recorded_processes(house: House) -> tuple[OwnProcess, ...]:
    """Every process that a driver has recorded as its own."""
    home = house.settings.home
    paths = [*home.glob("run/private-prefect-*.json"), *home.glob("ray/private-ray-*.json")]
    records = [record for path in paths if (record := read_record(path)) is not None]
    return tuple(process for record in records for process in record.processes)


def assert_nothing_is_lost(house: House, job_id: str, before: dict[str, tuple[str, str | None]]) -> None:
    """Finished shots are the very takes they were, every other shot is done once, the chain holds."""
    assert_each_shot_done_once(house, job_id)
    after = finished_takes(house, job_id)
    assert {shot: after[shot] for shot in before} == before
    assert job_of(house, job_id).state is JobState.FINISHED
    assert audit_check(house).ok


@pytest.mark.slow
def test_a_killed_driver_leaves_a_job_that_resume_finishes_and_processes_that_the_next_start_reaps(
    night: tuple[House, str],
):
    house, job_id = night
    driver = start_command(house, "job", "resume", job_id, **SLOW)
    wait_for_driver(driver, house, job_id)
    left = recorded_processes(house)
    below = descendants(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    before = finished_takes(house, job_id)
    assert 0 < len(before) < SHOTS
    assert {process.name for process in left} > {"prefect-server"}, "Prefect and Ray had been recorded"

    resumed = run_command(house, "job", "resume", job_id, **QUICK)

    assert resumed.returncode == ExitCode.DONE, resumed.stderr
    assert_nothing_is_lost(house, job_id, before)
    assert [process for process in {*left, *below} if process.is_alive] == []
    assert recorded_processes(house) == ()


@pytest.mark.slow
def test_ctrl_c_stops_at_the_next_step_leaves_no_process_and_a_job_that_resumes(night: tuple[House, str]):
    house, job_id = night
    driver = start_command(house, "job", "resume", job_id, **SLOW)
    wait_for_driver(driver, house, job_id)
    left = {*recorded_processes(house), *descendants(driver.pid)}
    os.kill(driver.pid, signal.SIGINT)
    _, talk = driver.communicate(timeout=120)

    assert driver.returncode == ExitCode.INTERRUPTED, talk
    assert f"rightstep job resume {job_id}" in talk
    assert "Traceback" not in talk
    assert [process for process in left if process.is_alive] == []
    stopped = job_of(house, job_id)
    assert stopped.state is JobState.RUNNING
    assert stopped.counts.leased == 0, "its leases were given back"
    assert stopped.counts.open > 0
    before = finished_takes(house, job_id)

    resumed = run_command(house, "job", "resume", job_id, **QUICK)
    assert resumed.returncode == ExitCode.DONE, resumed.stderr
    assert_nothing_is_lost(house, job_id, before)


@pytest.mark.slow
def test_a_killed_prefect_server_loses_nothing(night: tuple[House, str]):
    house, job_id = night
    driver = start_command(house, "job", "resume", job_id, **SLOW)
    wait_for_driver(driver, house, job_id)
    (server,) = [process for process in recorded_processes(house) if process.name == "prefect-server"]
    os.kill(server.pid, signal.SIGKILL)
    wait_until("the server is gone", lambda: not server.is_alive)
    _, talk = driver.communicate(timeout=240)

    assert driver.returncode in {ExitCode.DONE, ExitCode.BROKEN}, talk
    assert "Traceback" not in talk
    before = finished_takes(house, job_id)
    if driver.returncode == ExitCode.BROKEN:
        assert "Prefect server" in talk
        assert f"rightstep job resume {job_id}" in talk
        resumed = run_command(house, "job", "resume", job_id, **QUICK)
        assert resumed.returncode == ExitCode.DONE, resumed.stderr
    assert_nothing_is_lost(house, job_id, before)
    assert recorded_processes(house) == ()
