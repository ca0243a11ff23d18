"""A night for tests: orders as files, jobs in the ledger, and what became of them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.bootstrap import House
from flows.manifest_files import load_manifest
from flows.planning import Overrides, plan_manifest
from flows.rendering import job_of, render_job, shots_of
from flows.submitting import submit_plan
from policy.plan import ExecutionPlan
from policy.tasks import TakeState
from registry.records import JobRecord, TakeRecord
from registry.unit_of_work import unit_of_work

BASE = "rightstep/emoji-64"
ROOT = Path(__file__).resolve().parents[4]
PATIENCE = 240.0  # seconds until a test gives up waiting: a safety net, never a measure


def write_order(folder: Path, count: int, *, name: str = "night", **fields: Any) -> Path:
    """An order of ``count`` foxes as a JSON Lines file; ``fields`` of the order, and ``shots`` for every shot."""
    shared = {"model": BASE, "prompt": "a flat fox", **fields.pop("shots", {})}
    path = folder / f"{name}.jsonl"
    head = {"manifest": {"name": name, "territories": ["WORLD"], **fields}, "defaults": shared}
    shots = [{"name": f"shot-{number:04d}", "seed": number} for number in range(count)]
    path.write_text("\n".join(json.dumps(line) for line in [head, *shots]) + "\n")
    return path


def plan_order(house: House, path: Path, **overrides: Any) -> ExecutionPlan:
    outcome = plan_manifest(house, load_manifest(path, now=house.clock()), Overrides(**overrides))
    assert isinstance(outcome, ExecutionPlan), outcome
    return outcome


def submit(house: House, path: Path, **overrides: Any) -> JobRecord:
    return submit_plan(house, plan_order(house, path, **overrides))


def takes_of(house: House, job_id: str) -> tuple[TakeRecord, ...]:
    with unit_of_work(house.engine, read_only=True) as work:
        return work.ledger.takes(job_id)


def pictures(house: House) -> list[Path]:
    """Every picture in the store."""
    return sorted(house.settings.artefacts.glob("*/*.png"))


def done_per_shot(house: House, job_id: str) -> Counter[str]:
    """How often each shot was done: once, whatever died on the way."""
    return Counter(take.shot for take in takes_of(house, job_id) if take.state is TakeState.DONE)


def assert_each_shot_done_once(house: House, job_id: str) -> None:
    """No shot lost, none done twice, and every picture really there."""
    done = done_per_shot(house, job_id)
    shots = shots_of(house, job_id)
    assert set(done) == {shot.name for shot in shots}
    assert set(done.values()) == {1}
    assert all(shot.artefact is not None and house.store.has(shot.artefact.sha256) for shot in shots)


def finished_takes(house: House, job_id: str) -> dict[str, tuple[str, str | None]]:
    """Every finished shot with the take that made it and what it made."""
    return {
        take.shot: (take.take_id, take.artefact_sha256)
        for take in takes_of(house, job_id)
        if take.state is TakeState.DONE
    }


def wait_until(what: str, is_so: Callable[[], object]) -> None:
    """Look again and again; a test that never sees it fails with what it waited for."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


def wait_for_done(house: House, job_id: str, count: int) -> None:
    wait_until(f"{count} shots of {job_id} done", lambda: job_of(house, job_id).counts.done >= count)


def start_command(house: House, *arguments: str, **settings: Any) -> subprocess.Popen[str]:
    """``rightstep ARGUMENTS`` in a process of its own, on the house of the test."""
    patient = {"prefect_start_seconds": PATIENCE, **settings}
    given = {f"RIGHTSTEP_{name.upper()}": str(value) for name, value in patient.items()}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.Popen(
        [sys.executable, "-m", "rightstep", *arguments],
        cwd=ROOT,
        env={**clean, "RIGHTSTEP_HOME": str(house.settings.home), **given},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def render_with_a_kill(house: House, job_id: str) -> JobRecord:
    """Render a job, and kill -9 a worker once the first of its shots is done."""

    def kill_a_worker() -> None:
        wait_for_done(house, job_id, 1)
        worker = next(take.worker for take in takes_of(house, job_id) if take.worker)
        os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    ended = render_job(house, job_id)
    killer.join()
    return ended


def wait_for_driver(driver: subprocess.Popen[str], house: House, job_id: str) -> None:
    """Until a command in another process has made its first pictures."""

    def has_begun() -> bool:
        assert driver.poll() is None, f"the driver ended early: {driver.communicate()[1]}"
        return job_of(house, job_id).counts.done > 0

    wait_until(f"the first shots of {job_id}", has_begun)


def run_command(house: House, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    process = start_command(house, *arguments, **settings)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
