"""A driver that is killed or stopped, and a Prefect server that dies under it: one command goes on."""

import os
import signal
import sqlite3
import subprocess
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


def wait_for_more(driver: subprocess.Popen[str], house: House, job_id: str, done: int) -> None:
    """Until a driver has made pictures of its own."""

    def has_made_more() -> bool:
        assert driver.poll() is None, f"the driver ended early: {driver.communicate()[1]}"
        return job_of(house, job_id).counts.done > done

    wait_until(f"more than {done} shots of {job_id}", has_made_more)


@pytest.mark.slow
def test_a_job_survives_a_killed_driver_a_stopped_one_and_a_killed_server(night: tuple[House, str]):
    """One job and one fault after another, since every start of a house costs half a minute of two cores."""
    house, job_id = night
    before = _kill_the_driver(house, job_id)
    before = _stop_the_driver(house, job_id, before)
    _kill_the_server(house, job_id, before)
    assert recorded_processes(house) == ()


def _kill_the_driver(house: House, job_id: str) -> dict[str, tuple[str, str | None]]:
    """It leaves a job with finished shots, and processes that the next start reaps."""
    driver = start_command(house, "job", "resume", job_id, **SLOW)
    wait_for_more(driver, house, job_id, 0)
    left = recorded_processes(house)
    below = descendants(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    before = finished_takes(house, job_id)
    assert 0 < len(before) < SHOTS
    assert {process.name for process in left} > {"prefect-server"}, "Prefect and Ray had been recorded"
    assert [process for process in {*left, *below} if process.is_alive] != []
    return before


def _stop_the_driver(
    house: House, job_id: str, before: dict[str, tuple[str, str | None]]
) -> dict[str, tuple[str, str | None]]:
    """Ctrl-C stops at the next step and leaves no process, this driver's or the killed one's."""
    orphans = recorded_processes(house)
    driver = start_command(house, "job", "resume", job_id, **SLOW)
    wait_for_more(driver, house, job_id, len(before))
    assert [process for process in orphans if process.is_alive] == []
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
    after = finished_takes(house, job_id)
    assert {shot: after[shot] for shot in before} == before
    return after


def _kill_the_server(house: House, job_id: str, before: dict[str, tuple[str, str | None]]) -> None:
    """Whether the driver gets by without Prefect or gives up, nothing is lost."""
    driver = start_command(house, "job", "resume", job_id, **SLOW)
    wait_for_more(driver, house, job_id, len(before))
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
