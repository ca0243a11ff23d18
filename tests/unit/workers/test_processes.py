import os
import subprocess
import sys

import pytest

from policy.errors import FormatFault
from workers.processes import (
    OwnProcess,
    ProcessRecord,
    descendants,
    end,
    own_process,
    read_record,
    reap,
    write_record,
)

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
PARENT = (
    sys.executable,
    "-c",
    f"import subprocess, time; subprocess.Popen({SLEEP!r}); print('up', flush=True); time.sleep(60)",
)


@pytest.fixture
def sleeper():
    process = subprocess.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


def recorded(process: subprocess.Popen) -> OwnProcess:
    found = own_process("sleeper", process.pid)
    assert found is not None
    return found


def test_a_process_is_named_by_its_id_and_its_start(sleeper):
    process = recorded(sleeper)
    assert process.is_alive
    assert not OwnProcess(name="another", pid=process.pid, started=process.started + 1).is_alive, (
        "a reused id"
    )
    sleeper.kill()
    sleeper.wait()
    assert not process.is_alive
    assert own_process("gone", sleeper.pid) is None


def test_what_a_dead_owner_left_behind_is_reaped(tmp_path, sleeper):
    owner = subprocess.Popen(SLEEP)
    path = tmp_path / "record.json"
    write_record(path, ProcessRecord(owner=recorded(owner), processes=(recorded(sleeper),)))
    owner.kill()
    owner.wait()
    assert [process.pid for process in reap(path)] == [sleeper.pid]
    assert sleeper.wait(timeout=10) != 0
    assert not path.exists()


def test_what_a_living_owner_runs_is_left_alone(tmp_path, sleeper):
    path = tmp_path / "record.json"
    me = own_process("me", os.getpid())
    assert me is not None
    write_record(path, ProcessRecord(owner=me, processes=(recorded(sleeper),)))
    assert reap(path) == ()
    assert sleeper.poll() is None
    assert path.exists()


def test_a_reused_id_is_never_ended(tmp_path, sleeper):
    gone = OwnProcess(name="gone", pid=sleeper.pid, started=recorded(sleeper).started - 1)
    path = tmp_path / "record.json"
    write_record(path, ProcessRecord(owner=gone, processes=(gone,)))
    assert reap(path) == ()
    end([gone])
    assert sleeper.poll() is None


def test_descendants_are_found_through_generations():
    parent = subprocess.Popen(PARENT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    below = descendants(parent.pid)
    try:
        assert len(below) == 1
        assert parent.pid in {process.pid for process in descendants(os.getpid())}
    finally:
        end(below)
        parent.kill()
        parent.stdout.close()
        parent.wait()
    assert not any(process.is_alive for process in below)


def test_a_record_reads_back_and_is_private(tmp_path, sleeper):
    path = tmp_path / "run" / "record.json"
    record = ProcessRecord(
        owner=recorded(sleeper), processes=(recorded(sleeper),), facts=(("address", "here:1"),)
    )
    write_record(path, record)
    assert read_record(path) == record
    assert path.stat().st_mode & 0o077 == 0


def test_no_record_is_not_a_broken_record(tmp_path):
    assert read_record(tmp_path / "none.json") is None
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(FormatFault):
        read_record(tmp_path / "broken.json")
