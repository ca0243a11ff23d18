"""What may break while a job is rendered: processes, connections, PostgreSQL itself, and the disk of the pictures."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import psycopg

from flows.bootstrap import House
from tests.integration.registry.servers import Server
from tests.integration.registry.stores import APP_ROLE
from workers.processes import OwnProcess, descendants, read_record

CONNECTIONS = "SELECT pid FROM pg_stat_activity WHERE usename = %s AND NOT pid = ANY(%s)"


class Victim(StrEnum):
    """Who dies."""

    WORKER = "worker"
    CONNECTION = "database connection"
    DRIVER = "driver"
    PREFECT = "Prefect server"
    RAY = "Ray head"
    POSTGRESQL = "PostgreSQL"  # all of it at once; it comes back a moment later and recovers
    DISK = "full disk"  # no picture can be kept for a moment
    READ_ONLY = "read-only disk"  # nor here, though there is room


# How often each is drawn: what costs a start of the house is drawn less often.
WEIGHTS: Mapping[Victim, int] = {
    Victim.WORKER: 34,
    Victim.CONNECTION: 22,
    Victim.DRIVER: 12,
    Victim.PREFECT: 10,
    Victim.RAY: 10,
    Victim.POSTGRESQL: 6,
    Victim.DISK: 4,
    Victim.READ_ONLY: 2,
}
RENDERS = "ray::RenderActo"  # what the kernel keeps of a worker's name while it renders, and between
PREFECT_SERVER, HEAD = ("prefect-server",), ("gcs_server", "raylet")
OUTAGE = (0.2, 3.0)  # seconds that PostgreSQL is away, the disk full or closed to writers
TRIES = 100  # until no file is open for writing
ROOMY = "1g"  # of the disk of the pictures, while it is not full


def draw(chance: random.Random, of: Sequence[Victim]) -> Victim:
    """Whose turn it is."""
    return chance.choices(of, weights=[WEIGHTS[one] for one in of])[0]


def kill(
    victim: Victim, *, driver: int, house: House, server: Server, mine: set[int], chance: random.Random
) -> str:
    """Kill one of a kind; what died, or "" where there is none just now.

    ``mine`` are connections of whoever looks on, which live.
    """
    match victim:
        case Victim.CONNECTION:
            return _cut(server, mine, chance)
        case Victim.POSTGRESQL:
            return _restart(server, chance)
        case Victim.DISK:
            return _fill(house.settings.artefacts, chance)
        case Victim.READ_ONLY:
            return _protect(house.settings.artefacts, chance)
        case Victim.DRIVER:
            found = [OwnProcess(name="driver", pid=driver, started=0)]
        case Victim.WORKER:
            found = [one for one in descendants(driver) if one.name.startswith(RENDERS)]
        case Victim.PREFECT:
            found = _recorded(house, PREFECT_SERVER)
        case Victim.RAY:
            found = _recorded(house, HEAD)
    if not found:
        return ""
    one = chance.choice(found)
    os.kill(one.pid, signal.SIGKILL)
    return f"{one.name} {one.pid}"


def mount_disk(folder: Path) -> bool:
    """Put a disk of its own under the pictures, so that it can fill up; False where none can be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={ROOMY}", "tmpfs", str(folder)]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def unmount_disk(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def _fill(folder: Path, chance: random.Random) -> str:
    """Shrink the disk to what lies on it, and make room again."""
    stands = os.statvfs(folder)
    used = (stands.f_blocks - stands.f_bfree) * stands.f_frsize
    _resize(folder, str(max(used, stands.f_frsize)))
    try:
        time.sleep(seconds := chance.uniform(*OUTAGE))
    finally:
        _resize(folder, ROOMY)
    return f"disk of {used >> 10} KiB, {seconds:.1f} s"


def _protect(folder: Path, chance: random.Random) -> str:
    """Let nobody write to the disk, and again everybody; "" where a writer was always in the middle of a file."""
    for _ in range(TRIES):
        if subprocess.run(
            ["mount", "-o", "remount,ro", str(folder)], capture_output=True, check=False
        ).returncode:
            time.sleep(0.02)
            continue
        try:
            time.sleep(seconds := chance.uniform(*OUTAGE))
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        return f"disk, {seconds:.1f} s"
    return ""


def _resize(folder: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def _restart(server: Server, chance: random.Random) -> str:
    server.crash()
    try:
        time.sleep(seconds := chance.uniform(*OUTAGE))
    finally:
        server.start()
    return f"server, {seconds:.1f} s"


def _recorded(house: House, names: tuple[str, ...]) -> list[OwnProcess]:
    home = house.settings.home
    paths = [*home.glob("run/private-prefect-*.json"), *home.glob("ray/private-ray-*.json")]
    records = [record for path in paths if (record := read_record(path)) is not None]
    return [
        one for record in records for one in record.processes if one.is_alive and one.name.startswith(names)
    ]


def _cut(server: Server, mine: set[int], chance: random.Random) -> str:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        found = [pid for (pid,) in connection.execute(CONNECTIONS, (APP_ROLE, sorted(mine)))]
        if not found:
            return ""
        pid = chance.choice(found)
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    return f"connection {pid}"
