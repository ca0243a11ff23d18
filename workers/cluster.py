"""Ray for one machine: a private one inside this process, or the standing one of `rightstep up`.

Ray reads its environment when it is imported, so it is imported here in one function, after
the environment is set.
"""

import contextlib
import hashlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from policy.errors import ServiceFault
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
from workers.ray_environment import (
    LOOPBACK,
    is_loopback,
    joining_environment,
    ray_environment,
    require_closed,
    set_ray_environment,
)

OBJECT_STORE_BYTES = 200 * 2**20  # results are references; this only holds messages
LONGEST_FOLDER = 40  # Ray puts Unix sockets below it, and their paths end at 107 bytes
STANDING = "standing-ray.json"
CLIENT_SERVER = "ray.util.client.server"  # lets drivers in from afar: nobody drives this Ray but this machine
START_SECONDS = 90.0
STARTS = 3  # Ray gives its own processes half a minute to come up, which a busy machine may not keep
SLOW_START = "timed out during startup"
PATIENCE_SECONDS = 1.5  # Ray has nothing to save: results are durable before it hears of them


@dataclass(frozen=True, kw_only=True, slots=True)
class RayHouse:
    """A Ray that this process is connected to."""

    address: str
    session: Path  # its logs
    seconds: float  # what starting or connecting took
    is_private: bool  # ends with this process


def start_local_ray(folder: Path, cpus: int) -> RayHouse:
    """Start a private Ray inside this process: loopback, a token, no dashboard; ends with ``stop_ray``.

    ``folder`` holds the token and the records; stale processes of killed starts are reaped first.
    """
    started = time.monotonic()
    for path in folder.glob("private-ray-*.json"):
        reap(path)
    ray = _ray(ray_environment(folder))
    facts = _init_local(ray, folder, cpus, STARTS).address_info
    if not is_loopback(str(facts["node_ip_address"])):
        ray.shutdown()
        raise ServiceFault(
            f"Ray listens on {facts['node_ip_address']}, beyond this machine.", "Start it afresh."
        )
    owner = own_process("driver", os.getpid())
    if owner is not None:
        record = ProcessRecord(owner=owner, processes=_ray_processes(os.getpid()))
        write_record(folder / f"private-ray-{owner.pid}.json", record)
    return _house(facts, started, is_private=True)


def _init_local(ray: Any, folder: Path, cpus: int, starts: int) -> Any:
    """Start it, again where it is slow to come up; what stands half-way goes before anything is raised."""
    try:
        return ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            configure_logging=True,
            logging_level=logging.CRITICAL,
            _node_ip_address=LOOPBACK,
            _temp_dir=str(short_folder(folder)),
        )
    except (OSError, RuntimeError, TimeoutError, ValueError) as fault:
        raise ServiceFault(f"Ray did not start: {fault}", f"Look into {short_folder(folder)}.") from fault
    except BaseException as fault:  # nobody has recorded what stands
        end(_ray_processes(os.getpid()), PATIENCE_SECONDS)
        ray.shutdown()
        if SLOW_START not in str(fault):
            raise
        if starts == 1:
            raise ServiceFault(
                f"Ray did not come up in {STARTS} starts: {fault}", "Is the machine busy? Try again."
            ) from fault
    return _init_local(ray, folder, cpus, starts - 1)


def connect_ray(folder: Path) -> RayHouse:
    """Connect to the standing Ray of this folder; ServiceFault where none is up."""
    started = time.monotonic()
    address = standing_address(folder)
    if address is None:
        raise ServiceFault("No standing Ray is up.", "Start the house: rightstep up.")
    environment = ray_environment(folder)
    require_closed(address.rpartition(":")[0], environment)
    ray = _ray(environment)
    try:
        context = ray.init(
            address=address, log_to_driver=False, logging_level=logging.CRITICAL, _node_ip_address=LOOPBACK
        )
    except (OSError, RuntimeError, TimeoutError, ValueError) as fault:
        raise ServiceFault(
            f"The standing Ray at {address} does not answer: {fault}", "Run: rightstep down."
        ) from fault
    return _house(context.address_info, started, is_private=False)


def join_ray(address: str) -> RayHouse:
    """Connect to a Ray that others run; ServiceFault where it does not let us in.

    A driver is on a node of its Ray: whoever runs this has joined it with ``ray start --address``.
    """
    started = time.monotonic()
    ray = _ray(joining_environment(address))
    try:
        context = ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (OSError, RuntimeError, TimeoutError, ValueError) as fault:
        raise ServiceFault(
            f"The Ray at {address} does not let us in: {fault}",
            f"Join it on this machine with its token first: ray start --address={address} --num-cpus=0.",
        ) from fault
    return _house(context.address_info, started, is_private=False)


def stop_ray(folder: Path, house: RayHouse) -> None:
    """Disconnect; a private Ray ends and leaves neither process nor session folder."""
    import ray  # noqa: PLC0415 - it was imported, with its environment, when this house was made

    ray.shutdown()
    if house.is_private:
        path = folder / f"private-ray-{os.getpid()}.json"
        record = read_record(path)
        if record is not None:
            end(record.processes, PATIENCE_SECONDS)
            path.unlink(missing_ok=True)
        shutil.rmtree(house.session, ignore_errors=True)


def start_standing_ray(folder: Path, cpus: int, host: str = LOOPBACK) -> str:
    """Start a Ray that outlives this process and return its address; one that is up is kept."""
    environment = os.environ | ray_environment(folder)
    require_closed(host, environment)
    address = standing_address(folder)
    if address is not None:
        return address
    for _ in range(STARTS):
        stop_standing_ray(folder)
        address = _start_standing(folder, cpus, host, environment)
        if address is not None:
            return address
    raise ServiceFault("The standing Ray did not come up.", f"Look into {folder / 'standing-ray.log'}.")


def _start_standing(folder: Path, cpus: int, host: str, environment: dict[str, str]) -> str | None:
    """One start; None where it did not come up, and nothing of it is left."""
    temporary = short_folder(folder)
    log = folder / "standing-ray.log"
    came_up = False
    with log.open("wb") as sink, contextlib.suppress(subprocess.TimeoutExpired):
        outcome = subprocess.run(
            [*_start_command(host, cpus), f"--temp-dir={temporary}"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            timeout=START_SECONDS,
            check=False,
        )
        came_up = outcome.returncode == 0
    processes = _session_processes(temporary)
    end(process for process in processes if process.name == CLIENT_SERVER)
    processes = tuple(process for process in processes if process.is_alive)
    raylet = next((process for process in processes if process.name == "raylet"), None)
    if not came_up or raylet is None:
        end(processes, PATIENCE_SECONDS)
        return None
    address = (temporary / "ray_current_cluster").read_text().strip()
    facts = (("address", address), ("temporary", str(temporary)))
    write_record(folder / STANDING, ProcessRecord(owner=raylet, processes=processes, facts=facts))
    return address


def standing_address(folder: Path) -> str | None:
    """Address of the standing Ray; None where one of its processes is gone."""
    record = read_record(folder / STANDING)
    is_up = record is not None and all(process.is_alive for process in (record.owner, *record.processes))
    return dict(record.facts)["address"] if record is not None and is_up else None


def stop_standing_ray(folder: Path) -> bool:
    """End the standing Ray and every worker below it; False where none was recorded."""
    record = read_record(folder / STANDING)
    if record is None:
        return False
    temporary = Path(dict(record.facts)["temporary"])
    below = descendants(record.owner.pid) if record.owner.is_alive else ()
    end((*record.processes, *below), PATIENCE_SECONDS)
    (folder / STANDING).unlink(missing_ok=True)
    shutil.rmtree(temporary, ignore_errors=True)
    return True


def short_folder(folder: Path) -> Path:
    """A folder for Ray's sessions whose socket paths fit; below the given one where that is short enough."""
    wished = folder / "sessions"
    if len(os.fsencode(wished)) <= LONGEST_FOLDER:
        chosen = wished
    else:
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:10]
        chosen = Path(tempfile.gettempdir()) / f"rightstep-ray-{name}"
    chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
    if chosen.stat().st_uid != os.getuid():
        raise ServiceFault(f"{chosen} belongs to another user.", "Set TMPDIR to a folder of your own.")
    return chosen


def _ray(environment: Mapping[str, str]) -> ModuleType:
    set_ray_environment(environment)
    import ray  # noqa: PLC0415 - only now: Ray reads its environment when it is imported

    return ray


def _house(facts: dict[str, object], started: float, *, is_private: bool) -> RayHouse:
    return RayHouse(
        address=str(facts["gcs_address"]),
        session=Path(str(facts["session_dir"])),
        seconds=time.monotonic() - started,
        is_private=is_private,
    )


def _ray_processes(pid: int) -> tuple[OwnProcess, ...]:
    """Ray's own processes below this one: what else the driver started is not ours to reap."""
    return tuple(
        process
        for process in descendants(pid)
        if "/ray/" in (command := _command(process.pid)) or command.startswith("ray::")
    )


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _session_processes(temporary: Path) -> tuple[OwnProcess, ...]:
    """Processes of the standing Ray: their commands name its session folder, or its address."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    marks = [f"{temporary}/session"]
    with contextlib.suppress(OSError):  # no address where Ray ended before it had one
        address = (temporary / "ray_current_cluster").read_text().strip()
        marks.append(f"{CLIENT_SERVER} --address={address} ")
    mine = [pid for pid in pids if any(mark in _command(pid) for mark in marks)]
    return tuple(process for pid in mine if (process := own_process(_title(pid), pid)) is not None)


def _title(pid: int) -> str:
    """The short name of a process of Ray: gcs_server, raylet, dashboard.py."""
    words = _command(pid).split()
    if CLIENT_SERVER in words:
        return CLIENT_SERVER
    return next((Path(word).name for word in words if "/ray/" in word), "ray")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _start_command(host: str, cpus: int) -> list[str]:
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head"),
        f"--node-ip-address={host}",
        "--port=0",
        f"--num-cpus={cpus}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        "--include-dashboard=false",
        f"--ray-client-server-port={_free_port()}",  # Ray insists on one; it is ended at once
        "--no-monitor",  # there is nothing to scale
        "--include-log-monitor=false",  # logs stay in the session folder
        "--disable-usage-stats",
    ]
