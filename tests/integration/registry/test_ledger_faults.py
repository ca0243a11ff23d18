"""Real faults: a driver killed between two statements, a disk that fills up."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from policy.errors import LedgerFault
from registry import tables
from registry.database import open_database, upgrade_database
from registry.records import JobState, ShotCounts
from registry.unit_of_work import unit_of_work
from tests.integration.registry.ledger_play import counts, later, lease, plan_of, render_all, settle, submit
from tests.integration.registry.stores import Store

DIES_BEFORE_THE_COMMIT = """
import os, signal, sys
from registry.database import open_database
from registry.unit_of_work import unit_of_work
from policy.audit import AuditEvent
from tests.factories import NOW
from tests.integration.registry.ledger_play import must_lease, results_of

engine = open_database(sys.argv[1])
chunk = must_lease(engine, sys.argv[2], max_batches=2)
with unit_of_work(engine) as work:
    work.ledger.settle(chunk, results_of(chunk), NOW)
    work.audit.append(AuditEvent(tag="ledger:chunk:settled", actor="driver", subject="job", payload="{}"), NOW)
    os.kill(os.getpid(), signal.SIGKILL)
"""

DRIVES_UNTIL_KILLED = """
import sys
from registry.database import open_database
from tests.integration.registry.ledger_play import lease, settle

engine = open_database(sys.argv[1])
print("ready", flush=True)
while (chunk := lease(engine, sys.argv[2], ttl_seconds=30)) is not None:
    settle(engine, chunk)
"""


def start_driver(script: str, store: Store, job_id: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, store.url, job_id], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


def rows_in(store: Store, table: str) -> int:
    with store.engine.connect() as connection:
        return connection.execute(
            select(func.count()).select_from(tables.metadata.tables[table])
        ).scalar_one()


def test_a_driver_killed_before_its_commit_leaves_nothing_half_written(store: Store):
    job = submit(store.engine, plan_of(24))
    driver = start_driver(DIES_BEFORE_THE_COMMIT, store, job.job_id)
    assert driver.wait(timeout=120) == -signal.SIGKILL
    assert driver.stdout is not None
    driver.stdout.close()
    assert counts(store.engine, job.job_id) == ShotCounts(leased=16, queued=8)
    assert [rows_in(store, name) for name in ("artefacts", "batch_runs", "attestations", "audit_events")] == [
        0
    ] * 4
    chunk = lease(store.engine, job.job_id, holder="driver-2", max_batches=10, now=later(61))
    assert chunk is not None
    assert len(chunk.batches) == 3
    assert settle(store.engine, chunk, now=later(62)).done == 24


def test_drivers_killed_at_any_moment_lose_no_shot_and_make_none_twice(store: Store):
    job = submit(store.engine, plan_of(400))
    for delay in (0.05, 0.2, 0.1, 0.3):
        driver = start_driver(DRIVES_UNTIL_KILLED, store, job.job_id)
        assert driver.stdout is not None
        driver.stdout.readline()
        time.sleep(delay)  # a moment to be killed in, whichever it is
        driver.kill()
        driver.wait(timeout=30)
        driver.stdout.close()
        standing = counts(store.engine, job.job_id)
        assert standing.shots == 400
        assert standing.done == rows_in(store, "artefacts")
    with unit_of_work(store.engine) as work:
        work.ledger.expire_leases(later(3600))
        work.commit()
    ended = render_all(store.engine, job.job_id)
    assert (ended.state, ended.counts) == (JobState.FINISHED, ShotCounts(done=400))
    assert rows_in(store, "takes") == 400, "no shot was tried twice"


@pytest.fixture
def small_disk(tmp_path: Path, in_ci: bool) -> Iterator[Path]:
    """A disk of two megabytes: a real mount, since root writes through every file mode."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        if in_ci:
            pytest.fail(f"No small disk could be mounted: {mounted.stderr}")
        pytest.skip(f"No small disk could be mounted: {mounted.stderr}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_refuses_the_job_and_leaves_the_ledger_whole(small_disk: Path):
    url = f"sqlite:///{small_disk}/ledger.sqlite3"
    upgrade_database(url)
    engine = open_database(url)
    kept = submit(engine, plan_of(16))
    with pytest.raises(LedgerFault, match="disk that holds the ledger is full") as refusal:
        submit(engine, plan_of(6000), job_key="too large")
    assert "Free some space" in refusal.value.next_step
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    with unit_of_work(engine, read_only=True) as work:
        assert work.ledger.jobs() == (kept,)
    assert render_all(engine, kept.job_id).state is JobState.FINISHED
    engine.dispose()


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)


def drive(engine: Engine, job_id: str) -> None:
    while (chunk := lease(engine, job_id, max_batches=10)) is not None:
        settle(engine, chunk)


def test_a_disk_that_fills_up_while_settling_loses_no_shot(small_disk: Path):
    url = f"sqlite:///{small_disk}/ledger.sqlite3"
    upgrade_database(url)
    engine = open_database(url)
    job = submit(engine, plan_of(400))
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        fill(ballast)
    with pytest.raises(LedgerFault, match="full"):
        drive(engine, job.job_id)
    ballast.unlink()
    standing = counts(engine, job.job_id)
    assert standing.shots == 400
    with unit_of_work(engine) as work:
        work.ledger.expire_leases(later(3600))
        work.commit()
    assert render_all(engine, job.job_id).counts == ShotCounts(done=400)
    engine.dispose()
