"""The standing house: a Prefect server, Ray and a process that serves the flows, until taken down.

What the settings say stands elsewhere is used, and neither started nor ended here. Each of ours
is recorded with id and start time, and ended by that record alone. Nothing of Prefect is imported
here: a command that brings the house up stays free of it.
"""

import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from flows.bootstrap import House
from flows.prefect_requests import ON_DEMAND, OVERNIGHT, PrefectApi, deployment_of
from flows.prefect_server import (
    STANDING,
    answers,
    await_server,
    launch_server,
    prefect_environment,
    standing_server,
)
from flows.rendering import list_jobs
from flows.settings import Settings
from policy.errors import ServiceFault
from registry.records import JobRecord
from workers.cluster import STANDING as STANDING_RAY
from workers.cluster import standing_address, start_standing_ray, stop_standing_ray
from workers.processes import (
    OwnProcess,
    ProcessRecord,
    descendants,
    end,
    own_process,
    read_record,
    write_record,
)

STANDING_FLOWS = "standing-flows.json"
POLL_SECONDS = 0.25
PATIENCE_SECONDS = 10.0  # a night under way gives its leases back before it ends
CONNECT_SECONDS = 2.0
WORKERS_ONLY = "HF_HUB_OFFLINE"  # set here for Ray's workers; whether flows may ask a hub is a setting


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceStatus:
    """A service of the standing house."""

    name: str
    is_up: bool
    address: str  # "" where it listens nowhere, or is not up
    pid: int | None
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HouseStatus:
    """The standing house, and the jobs that are not over."""

    services: tuple[ServiceStatus, ...]
    jobs: tuple[JobRecord, ...]


def bring_up(house: House) -> HouseStatus:
    """Start what is not up yet, and wait until orders would be taken.

    Where something does not come up, what this call started is ended again: ServiceFault.
    """
    settings, home = house.settings, house.settings.home
    seconds = settings.prefect_start_seconds
    with _one_at_a_time(home), ExitStack() as started:
        api = standing_server(settings)
        launched = None
        if api is None:
            if settings.prefect_elsewhere is not None:
                raise ServiceFault(
                    f"The Prefect server at {settings.prefect_api_url} does not answer.", "Start it first."
                )
            _end_recorded(home / "run" / STANDING)
            launched = launch_server(home, stands=True)
            started.callback(_end_recorded, home / "run" / STANDING)
        if settings.ray_address is None and standing_address(home / "ray") is None:
            started.callback(stop_standing_ray, home / "ray")
            start_standing_ray(home / "ray", settings.fleet.workers)
        if launched is not None:
            api = await_server(launched, seconds=seconds)
        if api is not None and (launched is not None or not flows_are_served(settings)):
            _end_recorded(home / "run" / STANDING_FLOWS)
            started.callback(_end_recorded, home / "run" / STANDING_FLOWS)
            _serve_flows(house, api)
        started.pop_all()
    return status(house)


def take_down(house: House) -> HouseStatus:
    """End the house in the reverse order; a job under way keeps what it has and can be resumed."""
    home = house.settings.home
    with _one_at_a_time(home):
        _end_recorded(home / "run" / STANDING_FLOWS)
        stop_standing_ray(home / "ray")
        _end_recorded(home / "run" / STANDING)
    return status(house)


def status(house: House) -> HouseStatus:
    """What is up now, and the jobs that are not over; changes nothing."""
    settings = house.settings
    return HouseStatus(
        services=(_prefect_status(settings), _ray_status(settings), _flows_status(settings)),
        jobs=tuple(job for job in list_jobs(house) if not job.state.is_finished),
    )


def flows_are_served(settings: Settings) -> bool:
    """Whether a server answers and a process runs what it plans."""
    api = standing_server(settings)
    if api is None:
        return False
    if settings.prefect_elsewhere is not None:  # whoever serves them may be on another machine
        return _takes_orders(api)
    return _owner(settings.home / "run" / STANDING_FLOWS) is not None


def _elsewhere(name: str, address: str, *, is_up: bool) -> ServiceStatus:
    detail = "answers; not ours to start" if is_up else "does not answer; not ours to start"
    return ServiceStatus(name=name, is_up=is_up, address=address if is_up else "", pid=None, detail=detail)


def _prefect_status(settings: Settings) -> ServiceStatus:
    if (elsewhere := settings.prefect_elsewhere) is not None:
        return _elsewhere("prefect", elsewhere.url, is_up=answers(elsewhere))
    owner = _owner(settings.home / "run" / STANDING)
    server = standing_server(settings)
    detail = "answers" if server else "does not answer" if owner else "not up; a job starts one of its own"
    return ServiceStatus(
        name="prefect",
        is_up=server is not None,
        address=server.url if server else "",
        pid=owner.pid if owner else None,
        detail=detail,
    )


def _ray_status(settings: Settings) -> ServiceStatus:
    if (elsewhere := settings.ray_address) is not None:
        return _elsewhere("ray", elsewhere, is_up=_is_open(elsewhere))
    address = standing_address(settings.home / "ray")
    owner = _owner(settings.home / "ray" / STANDING_RAY)
    detail = "up" if address else "lost a process" if owner else "not up; a job starts one of its own"
    return ServiceStatus(
        name="ray",
        is_up=address is not None,
        address=address or "",
        pid=owner.pid if owner else None,
        detail=detail,
    )


def _flows_status(settings: Settings) -> ServiceStatus:
    owner = _owner(settings.home / "run" / STANDING_FLOWS)
    is_up = flows_are_served(settings) if settings.prefect_elsewhere else owner is not None
    return ServiceStatus(
        name="flows",
        is_up=is_up,
        address="",
        pid=owner.pid if owner else None,
        detail="schedules fire" if is_up else "not up; no schedule fires",
    )


def _is_open(address: str) -> bool:
    """Whether something listens there."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _owner(path: Path) -> OwnProcess | None:
    """The living process of a record."""
    record = read_record(path)
    return record.owner if record is not None and record.owner.is_alive else None


def _serve_flows(house: House, api: PrefectApi) -> None:
    """Start the process that fires schedules, and wait until it has asked for work once."""
    home, seconds = house.settings.home, house.settings.prefect_start_seconds
    log = home / "logs" / "flows.log"
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PREFECT_") and name != WORKERS_ONLY
    }
    with log.open("ab") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "flows.serve"],
            cwd=home,
            env=environment | prefect_environment(home, api=api) | house.settings.for_children,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    process = own_process("flows", started.pid)
    if process is None:
        raise ServiceFault("The process that serves the flows ended at once.", f"Look at {log}.")
    write_record(home / "run" / STANDING_FLOWS, ProcessRecord(owner=process, processes=(process,)))
    deadline = time.monotonic() + seconds
    while not _takes_orders(api):
        if not process.is_alive:
            raise ServiceFault("The process that serves the flows ended at its start.", f"Look at {log}.")
        if time.monotonic() > deadline:
            raise ServiceFault(
                f"The flows were not served within {seconds:.0f} seconds.",
                f"Look at {log}; a slow machine needs a longer RIGHTSTEP_PREFECT_START_SECONDS.",
            )
        time.sleep(POLL_SECONDS)


def _takes_orders(api: PrefectApi) -> bool:
    """A deployment is ready once its process has polled; the overnight one is made anew at each start."""
    overnight, on_demand = deployment_of(api, OVERNIGHT), deployment_of(api, ON_DEMAND)
    return overnight is not None and overnight["status"] == "READY" and on_demand is not None


def _end_recorded(path: Path) -> None:
    """End what a record names and everything below it, then forget it."""
    record = read_record(path)
    if record is None:
        return
    below = descendants(record.owner.pid) if record.owner.is_alive else ()
    end(below, PATIENCE_SECONDS)  # first: whoever runs the flows ends them without mercy when it goes
    end(record.processes, PATIENCE_SECONDS)
    for process in record.processes:
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)  # no zombie where it was our own child
    path.unlink(missing_ok=True)


@contextmanager
def _one_at_a_time(home: Path) -> Generator[None]:
    """Two commands at once would start two houses: the second waits for the first."""
    with (home / "run" / "standing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
