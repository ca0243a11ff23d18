"""Processes that we started, recorded so that a later start can reap what a killed one left behind.

A process id alone proves nothing, since ids are reused; with its start time it names one
process. Nothing is ever ended that was not recorded here by this house.
"""

import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from policy.errors import FormatFault

POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnProcess:
    """One process: its id, and the clock tick at which the kernel started it."""

    name: str
    pid: int
    started: int

    @property
    def is_alive(self) -> bool:
        return _started(self.pid) == self.started


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessRecord:
    """Processes that belong to one owner; they are stale when the owner is gone."""

    owner: OwnProcess
    processes: tuple[OwnProcess, ...]
    facts: tuple[tuple[str, str], ...] = ()  # what a later command needs to reach them


def own_process(name: str, pid: int) -> OwnProcess | None:
    """The process behind an id now; None where there is none."""
    started = _started(pid)
    return None if started is None else OwnProcess(name=name, pid=pid, started=started)


def descendants(pid: int) -> tuple[OwnProcess, ...]:
    """Every living process below this one, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], list(children.get(pid, ()))
    while waiting:
        child = waiting.pop(0)
        waiting += children.get(child, ())
        if process := own_process(_name(child), child):
            found.append(process)
    return tuple(found)


def write_record(path: Path, record: ProcessRecord) -> None:
    """Keep a record beside others, readable by this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(
        json.dumps(
            {
                "owner": _row(record.owner),
                "processes": [_row(process) for process in record.processes],
                "facts": dict(record.facts),
            }
        )
    )
    draft.chmod(0o600)
    draft.replace(path)


def read_record(path: Path) -> ProcessRecord | None:
    """The record, or None where there is none."""
    try:
        content = json.loads(path.read_text())
        return ProcessRecord(
            owner=OwnProcess(**content["owner"]),
            processes=tuple(OwnProcess(**row) for row in content["processes"]),
            facts=tuple((str(key), str(value)) for key, value in content["facts"].items()),
        )
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as fault:
        raise FormatFault(f"{path} is not a record of processes: {fault}.", "Remove the file.") from fault


def reap(path: Path) -> tuple[OwnProcess, ...]:
    """End what a record's owner left running when it died, and return it. A living owner is left alone."""
    record = read_record(path)
    if record is None or record.owner.is_alive:
        return ()
    stale = tuple(process for process in record.processes if process.is_alive)
    end(stale)
    path.unlink(missing_ok=True)
    return stale


def end(processes: Iterable[OwnProcess], patience_seconds: float = 5.0) -> None:
    """Ask processes to end, then end them; returns when they are gone."""
    waiting = tuple(processes)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in waiting:
            _signal(process, number)
        waiting = _still_alive(waiting, patience_seconds)


def _still_alive(processes: Iterable[OwnProcess], patience_seconds: float) -> tuple[OwnProcess, ...]:
    """Wait for processes to go; those that have not gone in time."""
    deadline = time.monotonic() + patience_seconds
    while waiting := tuple(process for process in processes if process.is_alive):
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    return waiting


def _signal(process: OwnProcess, number: signal.Signals) -> None:
    try:
        if process.is_alive:
            os.kill(process.pid, number)
    except ProcessLookupError:
        return


def _row(process: OwnProcess) -> dict[str, str | int]:
    return {"name": process.name, "pid": process.pid, "started": process.started}


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _started(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] != "Z" else None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
