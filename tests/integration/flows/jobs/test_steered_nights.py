"""Words to a night that a driver renders in a process of its own, on real workers: each takes effect there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.draining import drain_worker, list_workers
from flows.rendering import job_of, shots_of
from flows.steering import add_workers, cancel_job, eat_shots, pause_job, put_shots_before, reopen_job
from policy.tasks import TakeState
from registry.records import JobState
from rightstep.cli.output import ExitCode
from tests.integration.flows.jobs.night import (
    PATIENCE,
    done_per_shot,
    pictures,
    start_command,
    submit,
    takes_of,
    wait_for_done,
    wait_for_driver,
    wait_until,
    write_order,
)

MakeHouse = Callable[..., House]
SLOW = {"synthetic_seconds_per_step": 0.05}
QUICK_STEPS = {"steps": 4, "method": "emoji-64-lcm"}


def next_shots(house: House, job_id: str) -> set[str]:
    """The shots of the batch that the next lease begins with."""
    query = "SELECT number FROM batches WHERE job_id = ? AND state = 'queued' ORDER BY rank LIMIT 1"
    with house.engine.connect() as connection:
        number = connection.exec_driver_sql(query, (job_id,)).scalar_one()
    return {shot.name for shot in shots_of(house, job_id) if shot.batch == number}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_night_is_paused_steered_and_made_whole(make_house: MakeHouse, tmp_path: Path):
    house = make_house(workers=1, **SLOW)  # what is handed out first settles first
    job = submit(house, write_order(tmp_path, 240, shots=QUICK_STEPS))
    driver = start_command(house, "job", "resume", job.job_id, workers=1, **SLOW)
    try:
        wait_for_driver(driver, house, job.job_id)
        pause_job(house, job.job_id, "The power is dear until ten.")
        _, talk = driver.communicate(timeout=PATIENCE)
        paused = job_of(house, job.job_id)
        assert driver.returncode == ExitCode.BROKEN, talk
        assert f"Job {job.job_id} paused" in talk
        assert (paused.state, paused.counts.leased) == (JobState.PAUSED, 0)
        assert 0 < paused.counts.done < 240

        waiting = [shot.name for shot in shots_of(house, job.job_id) if shot.state is TakeState.QUEUED]
        eat_shots(house, job.job_id, [waiting[0]], "The scene was cut.")
        put_shots_before(house, job.job_id, [waiting[-1]], 9)
        assert waiting[-1] in next_shots(house, job.job_id), "what was put first is handed out first"
        reopen_job(house, job.job_id)
        driver = start_command(house, "job", "resume", job.job_id, workers=1, **SLOW)
        _, talk = driver.communicate(timeout=PATIENCE)
    finally:
        driver.kill()
        driver.wait()
    ended = job_of(house, job.job_id)
    assert driver.returncode == ExitCode.DONE, talk
    assert (ended.state, ended.counts.done, ended.counts.eaten) == (JobState.FINISHED, 239, 1)
    assert set(done_per_shot(house, job.job_id).values()) == {1}
    of_rest = [take for take in takes_of(house, job.job_id) if take.shot in waiting[1:]]
    moments = sorted({take.settled_at for take in of_rest if take.settled_at is not None})
    urgent = next(take for take in of_rest if take.shot == waiting[-1])
    assert urgent.settled_at in moments[:2], "what was put first is in one of the two chunks begun first"
    assert len(moments) > 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_drained_worker_leaves_and_the_job_is_held_when_the_last_one_does(
    make_house: MakeHouse, tmp_path: Path
):
    house = make_house(**SLOW)
    job = submit(house, write_order(tmp_path, 4000, shots=QUICK_STEPS))
    driver = start_command(house, "job", "resume", job.job_id, **SLOW)
    try:
        wait_for_driver(driver, house, job.job_id)
        wait_until("both workers are told of", lambda: len(list_workers(house)) == 2)
        first, second = list_workers(house)
        assert {first.job_id, second.job_id} == {job.job_id}
        assert first.device.startswith("synthetic")
        drain_worker(house, first.worker, "The fan is loud.")
        wait_until("it is gone", lambda: [one.worker for one in list_workers(house)] == [second.worker])
        made = job_of(house, job.job_id).counts.done
        wait_for_done(house, job.job_id, made + 8)
        drain_worker(house, second.worker, "The other one too.")
        _, talk = driver.communicate(timeout=PATIENCE)
    finally:
        driver.kill()
        driver.wait()
    held = job_of(house, job.job_id)
    assert driver.returncode == ExitCode.BROKEN, talk
    assert (held.state, held.counts.leased) == (JobState.HELD, 0)
    assert "Every worker was drained." in held.detail
    assert held.counts.failed_takes == 0, "nobody is to blame"
    assert list_workers(house) == ()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_workers_that_are_added_to_a_night_that_runs_make_pictures_of_it(
    make_house: MakeHouse, tmp_path: Path
):
    house = make_house(workers=1, **SLOW)
    job = submit(house, write_order(tmp_path, 4000, shots=QUICK_STEPS))
    driver = start_command(house, "job", "resume", job.job_id, workers=1, **SLOW)
    try:
        wait_for_driver(driver, house, job.job_id)
        add_workers(house, job.job_id, 2)
        wait_until("all three are told of", lambda: len(list_workers(house)) == 3)
        names = {one.worker for one in list_workers(house)}
        wait_until(
            "each has made something",
            lambda: {take.worker for take in takes_of(house, job.job_id) if take.worker} == names,
        )
        _, talk = driver.communicate(timeout=PATIENCE)
    finally:
        driver.kill()
        driver.wait()
    ended = job_of(house, job.job_id)
    assert driver.returncode == ExitCode.DONE, talk
    assert (ended.state, ended.counts.done, ended.counts.failed_takes) == (JobState.FINISHED, 4000, 0)
    assert set(done_per_shot(house, job.job_id).values()) == {1}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cancelled_night_leaves_its_workers_at_the_next_step(make_house: MakeHouse, tmp_path: Path):
    slow = {"synthetic_seconds_per_step": 1.0}
    house = make_house(**slow)
    job = submit(house, write_order(tmp_path, 96, shots={"steps": 40, "method": "emoji-64-full"}))
    driver = start_command(house, "job", "resume", job.job_id, **slow)
    try:
        wait_until("a batch is begun", lambda: any(one.in_flight for one in list_workers(house)))
        cancel_job(house, job.job_id)
        _, talk = driver.communicate(timeout=PATIENCE)
    finally:
        driver.kill()
        driver.wait()
    assert f"Job {job.job_id} cancelled" in talk
    assert job_of(house, job.job_id).counts.cancelled == 96
    assert pictures(house) == [], "no batch was rendered to its end"
