"""A driver on a node of a Ray that others run: two machines, as two network namespaces with a cable between."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.processes import end, own_process

ROOT = Path(__file__).resolve().parents[3]
HEAD, NODE = "10.77.40.1", "10.77.40.2"
PORT = 6379
RAY = (sys.executable, "-m", "ray.scripts.scripts")
DRIVER = """
import sys
from pathlib import Path
from workers.cluster import join_ray, stop_ray
house = join_ray(sys.argv[1])
import ray
where = ray.remote(num_cpus=1)(ray.util.get_node_ip_address)
print(house.is_private, ray.util.get_node_ip_address(), ray.get(where.remote()))
stop_ray(Path(sys.argv[2]), house)
"""
# With processes and a folder for sessions of its own, as another machine has them: Ray looks there for its node.
JOIN_AND_DRIVE = f"""
mount -t tmpfs tmpfs "$1"
"{sys.executable}" -m ray.scripts.scripts start --address="$3" --node-ip-address={NODE} --num-cpus=0 >&2
"{sys.executable}" -c "$2" "$3" "$1"
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run_ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def cable(in_ci: bool) -> Iterator[tuple[str, str]]:
    """Two namespaces that see each other and nothing else."""
    if shutil.which("ip") is None or os.getuid() != 0:
        assert not in_ci, "iproute2 is in infra/ci/apt.txt, and CI is root"
        pytest.skip("two machines on one need root and iproute2")
    mark = secrets.token_hex(2)
    names = (f"rs{mark}a", f"rs{mark}b")
    try:
        for name in names:
            run_ip("netns", "add", name)
            run_ip("-n", name, "link", "set", "lo", "up")
        run_ip(
            "link",
            "add",
            names[0],
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            names[1],
            "netns",
            names[1],
        )
        for name, own, other in ((names[0], HEAD, NODE), (names[1], NODE, HEAD)):
            run_ip("-n", name, "addr", "add", f"{own}/24", "dev", name)
            run_ip("-n", name, "link", "set", name, "up")
            run_ip("-n", name, "route", "add", "default", "via", other)  # Ray finds its own address by it
        yield names
    finally:
        for name in names:
            told = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
            left = (own_process("ray", int(pid)) for pid in told.stdout.split())
            end([process for process in left if process is not None], 5.0)
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def test_a_driver_joins_from_another_machine_and_the_work_is_done_on_the_other(
    cable: tuple[str, str], tmp_path: Path
):
    sessions = Path(tempfile.mkdtemp(prefix="rs"))
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
    }

    def inside(name: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", name, *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    head, node = cable
    started = inside(
        *(head, *RAY, "start", "--head", f"--port={PORT}", "--num-cpus=1", "--include-dashboard=false"),
        *(f"--node-ip-address={HEAD}", f"--temp-dir={sessions}"),
    )
    assert started.returncode == 0, started.stdout + started.stderr
    told = inside(
        node,
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        JOIN_AND_DRIVE,
        "sh",
        sessions,
        DRIVER,
        f"{HEAD}:{PORT}",
    )
    assert told.stdout == f"False {NODE} {HEAD}\n", told.stderr
    shutil.rmtree(sessions, ignore_errors=True)
