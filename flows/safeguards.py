"""What keeps others out, and what must be right before anything is signed: checks of the doctor.

Every check reads, none repairs.
"""

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from flows.bootstrap import House
from flows.doctor_findings import Finding, FindingState, finding, judged
from flows.prefect_server import is_let_in, standing_server
from policy.wording import plural
from registry.database import server_time
from registry.unit_of_work import unit_of_work
from workers.processes import read_record
from workers.ray_environment import TOKEN_FILE, joining_environment

PRIVATE = 0o077  # bits that a private file has not
CLOCKS_APART = timedelta(seconds=5)
BACKWARDS = timedelta(minutes=1)
RAY_ASKS = b"RAY_AUTH_MODE=token"


def private_files_are_private(house: House) -> Iterator[Finding]:
    """Keys and secrets that lie in the home, and the key of content credentials."""
    settings = house.settings
    wished = [
        *settings.keys.glob("*.pem"),
        *(settings.home / name / TOKEN_FILE for name in ("ray", "prefect")),
    ]
    if settings.credentials_key is not None:
        wished.append(settings.credentials_key)
    files = [path for path in wished if path.is_file()]
    open_ones = [str(path) for path in files if path.stat().st_mode & PRIVATE]
    told = (
        f"others may read {', '.join(open_ones)}"
        if open_ones
        else f"{plural(len(files), 'file')}, all private"
    )
    yield judged("key files", told, f"Run: chmod 600 {' '.join(open_ones)}", is_good=not open_ones)


def ray_asks_for_its_token(house: House) -> Iterator[Finding]:
    """Whoever reaches a Ray without a token runs code as us."""
    address = house.settings.ray_address
    if address is not None:
        joining_environment(address)  # ServiceFault, with what to set, where there is no token
        yield finding("ray token", FindingState.OK, f"given for {address}", "")
        return
    running = [
        process
        for path in (house.settings.home / "ray").glob("*.json")
        if (record := read_record(path)) is not None
        for process in record.processes
        if process.is_alive
    ]
    careless = [f"{one.name} {one.pid}" for one in running if RAY_ASKS not in _environment(one.pid)]
    told = f"not asked for by {', '.join(careless)}" if careless else "asked for"
    if not running:
        told = "no Ray of ours runs; one that starts asks for it"
    yield judged("ray token", told, "Run: rightstep down, then rightstep up.", is_good=not careless)


def prefect_asks_for_its_secret(house: House) -> Iterator[Finding]:
    """Whoever reaches Prefect without a secret orders pictures in our name."""
    api = standing_server(house.settings)
    if api is None:
        yield finding("prefect secret", FindingState.OK, "no server stands; one of ours asks for it", "")
    elif not is_let_in(api):
        step = "Set RIGHTSTEP_PREFECT_AUTH to its PREFECT_SERVER_API_AUTH_STRING."
        yield finding("prefect secret", FindingState.PROBLEM, f"{api.url} does not take ours", step)
    elif is_let_in(replace(api, auth="")):
        step = "Give that server PREFECT_SERVER_API_AUTH_STRING, and RIGHTSTEP_PREFECT_AUTH here."
        yield finding("prefect secret", FindingState.WARNING, f"{api.url} lets anybody in", step)
    else:
        yield finding("prefect secret", FindingState.OK, "asked for", "")


def the_cards_are_there(house: House) -> Iterator[Finding]:
    """A GPU for each worker that wants one; those of a Ray elsewhere are not seen from here."""
    wanted = sum(group.workers * group.gpus for group in house.settings.groups)
    if not wanted or house.settings.ray_address is not None:
        where = "none asked for" if not wanted else f"{wanted:g} asked of the Ray elsewhere"
        yield finding("gpu", FindingState.OK, where, "")
        return
    cards = len([path for path in Path("/dev").glob("nvidia*") if path.name[6:].isdigit()])
    step = "Install the driver, hand the cards to the container, or set fewer workers in RIGHTSTEP_DEVICES."
    yield judged("gpu", f"{cards} for {wanted:g} that are asked for", step, is_good=cards >= wanted)


def the_clock_is_right(house: House) -> Iterator[Finding]:
    """Deadlines, leases and signatures go by it: it agrees with the database's, and never went back."""
    now = house.clock()
    with unit_of_work(house.engine, read_only=True) as work:
        newest = work.audit.latest(1)
    step = "Set the clock, and keep it by NTP, before anything is rendered or signed."
    if newest and (ahead := datetime.fromisoformat(newest[0].ts) - now) > BACKWARDS:
        told = f"went back: the newest event is {ahead.total_seconds():.0f} seconds ahead of it"
        yield finding("clock", FindingState.PROBLEM, told, step)
        return
    theirs = server_time(house.engine)
    if theirs is None:
        yield finding("clock", FindingState.OK, "after every event", "")
        return
    apart = abs(theirs - now)
    state = FindingState.OK if apart <= CLOCKS_APART else FindingState.WARNING
    told = f"{apart.total_seconds():.1f} seconds from the database's"
    yield finding("clock", state, told, "" if state is FindingState.OK else step)


def the_port_is_ours(house: House) -> Iterator[Finding]:
    """What `rightstep serve` listens at is free, or its own."""
    port = house.settings.serve_port
    if not port or not _is_taken(house.settings.serve_host, port):
        yield finding("serve port", FindingState.OK, f"{port} is free" if port else "a free one is taken", "")
    elif _is_held(house.settings.run_folder / "serve.lock"):
        yield finding("serve port", FindingState.OK, f"{port}, by rightstep serve", "")
    else:
        step = "End what listens there, or set RIGHTSTEP_SERVE_PORT."
        yield finding("serve port", FindingState.WARNING, f"{port} is taken by something else", step)


def _environment(pid: int) -> list[bytes]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return [RAY_ASKS]  # it ended meanwhile


def _is_taken(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def _is_held(lock: Path) -> bool:
    """Whether a living process holds a lock."""
    with suppress(FileNotFoundError):
        handle = os.open(lock, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
    return False


SAFEGUARDS: tuple[Callable[[House], Iterator[Finding]], ...] = (
    private_files_are_private,
    ray_asks_for_its_token,
    prefect_asks_for_its_secret,
    the_cards_are_there,
    the_clock_is_right,
    the_port_is_ours,
)
