"""Ray as the house runs it: closed, quiet, and gone when it should be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from policy.errors import ServiceFault
from workers.cluster import (
    connect_ray,
    short_folder,
    standing_address,
    start_standing_ray,
    stop_standing_ray,
)
from workers.processes import OwnProcess, ProcessRecord, own_process, read_record, write_record

ROOT = Path(__file__).resolve().parents[3]


def run_python(code: str, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own; a variable that is changed to nothing is not set there."""
    environment = {name: value for name, value in (os.environ | changed).items() if value}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


PRIVATE = """
import os, sys
from pathlib import Path
from workers.cluster import start_local_ray, stop_ray
from workers.processes import descendants, read_record
folder = Path(sys.argv[1])
house = start_local_ray(folder, cpus=1)
record = read_record(folder / f"private-ray-{os.getpid()}.json")
import ray
assert ray.get(ray.remote(lambda: os.environ["RAY_AUTH_MODE"]).remote()) == "token"
print(house.address, len(record.processes), house.session)
if sys.argv[2] == "die":
    os.kill(os.getpid(), 9)
stop_ray(folder, house)
print(len([process for process in record.processes if process.is_alive]), house.session.exists(), len(descendants(os.getpid())))
"""

STANDING = """
import sys
from pathlib import Path
from workers.cluster import connect_ray, stop_ray
folder = Path(sys.argv[1])
house = connect_ray(folder)
import ray
print(house.is_private, ray.get(ray.remote(lambda: 6 * 7).remote()))
stop_ray(folder, house)
"""

JOINED = """
import sys
from pathlib import Path
from policy.errors import ServiceFault
from workers.cluster import join_ray, stop_ray
try:
    house = join_ray(sys.argv[1])
except ServiceFault as fault:
    print(fault.message)
    raise SystemExit
import ray
print(house.is_private, ray.get(ray.remote(lambda: 6 * 7).remote()))
stop_ray(Path(sys.argv[2]), house)
house = join_ray(sys.argv[1])
print(ray.get(ray.remote(lambda: 5).remote()), list(Path(sys.argv[2]).glob("*")))
stop_ray(Path(sys.argv[2]), house)
"""

STRANGER = """
import os, sys
os.environ["RAY_AUTH_MODE"] = "disabled" if sys.argv[2] == "none" else "token"
if sys.argv[2] == "wrong":
    os.environ["RAY_AUTH_TOKEN"] = "0" * 64
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
os.environ["RAY_NUM_REDIS_GET_RETRIES"] = "1"
import ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False)
    print("let in", ray.get(ray.remote(lambda: 1).remote(), timeout=20))
except Exception as fault:
    print("kept out", type(fault).__name__)
"""


@pytest.mark.slow
def test_a_private_ray_is_closed_leaves_nothing_and_reaps_what_a_killed_one_left(tmp_path):
    folder = tmp_path / "a house with a name so long that no socket path below it would fit" / "ray"
    killed = run_python(PRIVATE, str(folder), "die")
    assert killed.returncode == -9
    (path,) = folder.glob("private-ray-*.json")
    left = read_record(path)
    assert left is not None
    outcome = run_python(PRIVATE, str(folder), "stop")
    assert outcome.returncode == 0, outcome.stderr
    assert not any(process.is_alive for process in left.processes)
    first, second = outcome.stdout.splitlines()
    assert first.startswith("127.0.0.1:")
    assert int(first.split()[1]) >= 2, "gcs_server and raylet at least"
    assert second == "0 False 0", "no process, no session folder, no child"
    assert outcome.stderr == ""
    assert list(folder.glob("private-ray-*.json")) == []


@pytest.mark.slow
def test_a_ray_that_is_started_in_an_empty_home_is_closed_by_us_and_not_by_a_default(tmp_path):
    """Nothing is set and nothing lies in the home: Ray itself would take no token, or make one there."""
    home, folder = tmp_path / "empty", tmp_path / "ray"
    home.mkdir()
    nothing = {"RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": ""}
    outcome = run_python(PRIVATE, str(folder), "stop", HOME=str(home), **nothing)
    assert outcome.returncode == 0, outcome.stderr
    assert list(home.rglob("*token*")) == []
    (token,) = folder.glob("*token*")
    assert token.stat().st_mode & 0o077 == 0
    assert len(token.read_text()) == 64


@pytest.mark.slow
def test_a_standing_ray_outlives_its_starter_and_lets_in_only_who_has_the_token(tmp_path):
    folder = tmp_path / "ray"
    try:
        address = start_standing_ray(folder, cpus=1)
        assert address.startswith("127.0.0.1:")
        assert standing_address(folder) == address
        assert start_standing_ray(folder, cpus=1) == address, "one that is up is kept"
        friend = run_python(STANDING, str(folder))
        assert friend.stdout == "False 42\n", friend.stderr
        token = str(folder / "given")
        Path(token).write_text(os.environ["RAY_AUTH_TOKEN"] + "\n")
        elsewhere = str(tmp_path / "another")
        guest = run_python(JOINED, address, elsewhere, RAY_AUTH_TOKEN="", RAY_AUTH_TOKEN_PATH=token)
        assert guest.stdout == "False 42\n5 []\n", guest.stderr
        forgot = run_python(JOINED, address, elsewhere, RAY_AUTH_TOKEN="", RAY_AUTH_TOKEN_PATH="")
        assert forgot.stdout == f"There is no token for the Ray at {address}.\n", forgot.stderr
        for kind in ("none", "wrong"):
            stranger = run_python(STRANGER, address, kind)
            assert stranger.stdout.startswith("kept out"), kind
            assert "InvalidAuthToken" in stranger.stderr
        assert standing_address(folder) == address, "a driver that leaves takes nothing with it"
        record = read_record(folder / "standing-ray.json")
    finally:
        stop_standing_ray(folder)
    assert record is not None
    assert not any(process.is_alive for process in record.processes)
    assert standing_address(folder) is None
    assert stop_standing_ray(folder) is False


def test_a_standing_ray_beyond_this_machine_needs_a_token(tmp_path, monkeypatch):
    from workers import ray_environment

    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    token = ray_environment.token_file(tmp_path)
    token.write_text("")
    with pytest.raises(ServiceFault, match="without a token"):
        start_standing_ray(tmp_path, cpus=1, host="0.0.0.0")


def test_connecting_where_nothing_is_up_says_how_to_start(tmp_path):
    with pytest.raises(ServiceFault, match="rightstep up"):
        connect_ray(tmp_path)


def test_a_standing_ray_of_which_one_process_died_is_not_up(tmp_path):
    me = own_process("me", os.getpid())
    assert me is not None
    gone = OwnProcess(name="raylet", pid=me.pid, started=me.started + 1)
    record = ProcessRecord(owner=me, processes=(me, gone), facts=(("address", "127.0.0.1:1"),))
    write_record(tmp_path / "standing-ray.json", record)
    assert standing_address(tmp_path) is None


def test_session_folders_fit_the_sockets_that_ray_puts_into_them(tmp_path):
    long = tmp_path / ("x" * 60)
    assert len(str(short_folder(long))) <= 40
    assert short_folder(long) == short_folder(long)
    assert short_folder(long) != short_folder(tmp_path / ("y" * 60))
