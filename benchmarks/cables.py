"""Two machines on one: two network namespaces with a cable between, and a Ray with a node in each."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workers.processes import end, own_process

ROOT = Path(__file__).resolve().parents[1]
OTHER = "rightstep-node"  # name of the second machine
HEAD, NODE = "10.77.40.1", "10.77.40.2"
PORT = 6379
ADDRESS = f"{HEAD}:{PORT}"
RAY = (sys.executable, "-m", "ray.scripts.scripts")
PATIENCE = 240.0
# With a name, processes and folders of its own, as another machine has them.
OF_ANOTHER_MACHINE = ("unshare", "--mount", "--pid", "--uts", "--fork", "--mount-proc", "sh", "-c")
JOIN = f"""
echo {OTHER} > /proc/sys/kernel/hostname
cpus=$1
shift
for folder in "$@"; do mount -t tmpfs tmpfs "$folder"; done
exec "{sys.executable}" -m ray.scripts.scripts start --block --address={ADDRESS} \\
    --node-ip-address={NODE} --num-cpus="$cpus"
"""
IP = shutil.which("ip") or "ip"


@dataclass(frozen=True)
class Cable:
    """Two machines that see each other and nothing else, and what commands on them are given."""

    head: str  # name of its namespace
    node: str
    sessions: Path  # Ray's, on the head
    environment: dict[str, str]

    def command(self, machine: str, *words: str | Path) -> list[str | Path]:
        return [IP, "netns", "exec", machine, *words]

    def run(self, machine: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(machine, *words),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def start_head(self, cpus: int) -> None:
        told = self.run(
            *(self.head, *RAY, "start", "--head", f"--port={PORT}", f"--num-cpus={cpus}"),
            *("--include-dashboard=false", f"--node-ip-address={HEAD}", f"--temp-dir={self.sessions}"),
        )
        assert told.returncode == 0, told.stdout + told.stderr

    def join_node(self, cpus: int, *without: Path) -> subprocess.Popen[bytes]:
        """Start Ray on the other machine, which comes up a few seconds later; ends when it is unplugged.

        It has every folder of this one but for Ray's own and those ``without`` which it is to be.
        """
        words = (JOIN, "sh", str(cpus), self.sessions, *without)
        return subprocess.Popen(
            self.command(self.node, *OF_ANOTHER_MACHINE, *words),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def unplug_node(self) -> None:
        """The node is gone at once, with every process on it."""
        end_all_on(self.node)


def is_possible() -> bool:
    """Whether this machine can be two: it takes root and iproute2."""
    return shutil.which("ip") is not None and os.getuid() == 0


@contextmanager
def lay_cable() -> Generator[Cable]:
    """Two namespaces, their ends of a cable, and a token for the Ray that is to span them."""
    mark = secrets.token_hex(2)
    names = (f"rs{mark}a", f"rs{mark}b")
    folder = Path(tempfile.mkdtemp(prefix="rs"))  # short: Ray puts sockets below it
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    try:
        for name in names:
            run_ip("netns", "add", name)
            run_ip("-n", name, "link", "set", "lo", "up")
        ends = (("name", names[0], "netns", names[0]), ("name", names[1], "netns", names[1]))
        run_ip("link", "add", *ends[0], "type", "veth", "peer", *ends[1])
        for name, own, other in ((names[0], HEAD, NODE), (names[1], NODE, HEAD)):
            run_ip("-n", name, "addr", "add", f"{own}/24", "dev", name)
            run_ip("-n", name, "link", "set", name, "up")
            run_ip("-n", name, "route", "add", "default", "via", other)  # Ray finds its own address by it
        yield Cable(names[0], names[1], folder / "sessions", environment)
    finally:
        for name in names:
            end_all_on(name)
            subprocess.run([IP, "netns", "delete", name], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def run_ip(*words: str) -> None:
    """A word to iproute2."""
    subprocess.run([IP, *words], check=True, capture_output=True, text=True)


def end_all_on(machine: str) -> None:
    """Kill every process of a machine."""
    told = subprocess.run([IP, "netns", "pids", machine], capture_output=True, text=True, check=False)
    left = (own_process("ray", int(pid)) for pid in told.stdout.split())
    end([process for process in left if process is not None], 0.0)
