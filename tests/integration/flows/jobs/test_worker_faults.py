"""Workers that die and disks that fill up, for real: shots are neither lost nor made twice."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.auditing import audit_check
from flows.bootstrap import House
from flows.rendering import job_of, render_job, resume_job
from policy.tasks import FaultKind
from registry.records import JobState
from tests.integration.flows.jobs.night import (
    assert_each_shot_done_once,
    finished_takes,
    render_with_a_kill,
    submit,
    takes_of,
    write_order,
)

MakeHouse = Callable[..., House]
SLOW = {"synthetic_seconds_per_step": 0.5}
FOUR_STEPS = {"steps": 4, "method": "emoji-64-lcm"}


@pytest.mark.slow
def test_a_killed_worker_costs_no_shot_and_no_shot_is_done_twice(make_house: MakeHouse, tmp_path: Path):
    house = make_house(**SLOW)
    job = submit(house, write_order(tmp_path, 96, shots=FOUR_STEPS))

    ended = render_with_a_kill(house, job.job_id)

    assert ended.state is JobState.FINISHED
    assert_each_shot_done_once(house, job.job_id)
    failed = [take for take in takes_of(house, job.job_id) if take.fault is not None]
    assert failed, "the worker was killed in the middle of its work"
    assert {take.fault for take in failed} == {FaultKind.WORKER}
    assert all("died" in take.detail for take in failed)


@pytest.fixture
def small_disk(make_house: MakeHouse, in_ci: bool) -> Iterator[House]:
    """A house whose artefacts lie on a disk of 256 KiB."""
    house = make_house()
    folder = house.settings.artefacts
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        reason = f"no tmpfs can be mounted here: {mounted.stderr.strip()}"
        pytest.fail(reason) if in_ci else pytest.skip(reason)
    yield house
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_holds_the_job_and_spares_the_ledger(small_disk: House, tmp_path: Path):
    house = small_disk
    job = submit(house, write_order(tmp_path, 96, shots=FOUR_STEPS))

    held = render_job(house, job.job_id)

    assert held.state is JobState.HELD
    assert "Make room, then resume the job." in held.detail
    assert held.counts.dead == 0, "a full disk is no shot's fault"
    before = finished_takes(house, job.job_id)
    assert 0 < len(before) < 96
    assert all(sha256 and house.store.has(sha256) for _, sha256 in before.values())
    assert audit_check(house).ok
    assert render_job(house, job.job_id).state is JobState.HELD, "it waits for a person"

    larger = ["mount", "-o", "remount,size=64m", str(house.settings.artefacts)]
    subprocess.run(larger, check=True)
    ended = resume_job(house, job.job_id)

    assert ended.state is JobState.FINISHED
    assert_each_shot_done_once(house, job.job_id)
    after = finished_takes(house, job.job_id)
    assert {shot: after[shot] for shot in before} == before
    assert job_of(house, job.job_id).counts.done == 96
