"""How soon does a night go on that lost a driver, a machine or a worker, and what does the loss cost?"""

import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cables import ADDRESS, OTHER, PATIENCE, ROOT, Cable, is_possible, lay_cable
from benchmarks.measurement import Figure, Measurement, at_least, at_most, plain
from benchmarks.night import night_manifest, one_by_one, plan_of, temporary_house
from flows.bootstrap import House, open_house
from flows.settings import Settings
from flows.submitting import submit_plan
from flows.workshop import Workshop, open_workshop
from policy.tasks import TakeState
from registry.unit_of_work import unit_of_work
from workers.processes import reap

LEASE, ROUNDS = 5.0, 3  # seconds; a lease is a minute unless it is set
ITEM = 0.1  # seconds that an item sleeps: two cores are enough for any number of workers
KILLS, CREW, LOSING_ITEM, LOSING_ITEMS = 10, 6, 0.25, 3000
HELD = "SELECT number FROM batches WHERE state = 'leased' AND holder LIKE ?"


def measure() -> Measurement:
    """Kill drivers, a machine and workers under jobs whose items only sleep."""
    # One home for all: a process has one token for every Ray that it starts.
    with temporary_house(**_settings(ITEM, 1)) as house:
        driver = [_driver_lost(house, number) for number in range(ROUNDS)]
        crew = open_house(Settings(home=house.settings.home, **_settings(LOSING_ITEM, CREW)))  # type: ignore[arg-type]
        executed, wrong = _workers_lost(crew)
        crew.engine.dispose()
    periods = [seconds / LEASE for seconds, _ in driver]
    figures = [
        at_most(
            "", "a driver's loss to all its shots leased again, worst", max(periods), 2.0, "lease periods"
        ),
        plain("the same, the median", statistics.median(periods) * LEASE, "s"),
        _none("P10", "shots lost or made twice when a driver is killed", sum(wrong for _, wrong in driver)),
    ]
    rounds = {"driver_lost_seconds": [seconds for seconds, _ in driver]}
    if is_possible():
        speed, lost = _two_machines()
        figures += [
            at_least("", "two machines / one machine, items a second", speed, 1.9),
            at_most("", "a machine's loss to its shots queued", lost / LEASE, 2.0, "lease periods"),
        ]
        rounds["machine_lost_seconds"] = [lost]
    figures += [
        at_most("P9", f"executed takes a shot over {KILLS} random kills of workers", executed, 1.02),
        plain("takes lost by a kill", (executed - 1) * LOSING_ITEMS / KILLS, "takes"),
        _none("P9", "shots lost or made twice when workers are killed", wrong),
    ]
    return Measurement(
        question="How soon does a night go on that lost a driver, a machine or a worker, and at what cost?",
        figures=tuple(figures),
        conditions=(
            f"Items that sleep, one a batch, on SQLite and Ray; leases of {LEASE:.0f} s. One of two drivers "
            f"on a job is killed with signal 9, {ROUNDS} rounds; nobody tells the other. Two machines are "
            "two network namespaces with a Ray node of one worker each; one is killed, and all on it. "
            f"{LOSING_ITEMS} items of {LOSING_ITEM} s on {CREW} workers, of which a random one is killed "
            f"{KILLS} times."
        ),
        remark=(
            "A take counts as executed when its worker was asked for it: a killed one loses the rest of its "
            "chunk, some 1.5 seconds of work, begun or not. What that comes to a shot follows from the "
            "length of the night."
        ),
        rounds=rounds,
    )


def _none(id_: str, name: str, count: int) -> Figure:
    return Figure(id=id_, name=name, value=count, unit="shots", target="= 0", met=count == 0)


# A driver


def _driver_lost(house: House, number: int) -> tuple[float, int]:
    """Seconds from its death until all that it held is in another's hands, and shots that went wrong."""
    home = house.settings.home
    job_id = _order(house, 400, number)
    with open_workshop(house, job_id, _say_nothing) as workshop:
        threads = _follow(workshop)
        other = subprocess.Popen([sys.executable, "-m", "benchmarks.fail_over", str(home), job_id], cwd=ROOT)
        theirs = f"%:{other.pid}:%"
        _await(lambda: len(_rows(home, HELD, theirs)) > 0)
        time.sleep(random.Random(number).uniform(0.5, 1.5))  # in the middle of its work
        other.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        held = {row[0] for row in _rows(home, HELD, theirs)}
        other.wait()
        _await(lambda: not held & _not_taken(home, theirs))
        seconds = time.monotonic() - killed
        for thread in threads:
            thread.join()
    for path in (home / "ray").glob("private-ray-*.json"):
        reap(path)
    return seconds, _wrong(house, job_id)


def _not_taken(home: Path, holder: str) -> set[int]:
    """Batches that the dead driver holds, or that nobody does."""
    query = "SELECT number FROM batches WHERE state = 'queued' OR (state = 'leased' AND holder LIKE ?)"
    return {row[0] for row in _rows(home, query, holder)}


def _follow(workshop: Workshop) -> list[threading.Thread]:
    """Threads that render as the flow does: what another driver holds is waited for."""

    def work() -> None:
        while True:
            if (chunk := workshop.lease()) is not None:
                workshop.render(chunk.lease)
            elif workshop.others_are_at_work():
                time.sleep(0.5)
            else:
                return

    threads = [threading.Thread(target=work) for _ in range(workshop.crew)]
    for thread in threads:
        thread.start()
    return threads


# Two machines


def _two_machines() -> tuple[float, float]:
    """Items a second on two machines for those on one, and seconds from a loss to its shots queued again."""
    with lay_cable() as cable, tempfile.TemporaryDirectory(prefix="rsb-") as folder:
        cable.start_head(cpus=1)
        alone = _ended(_night(cable, Path(folder) / "one", workers=1, items=200))
        with _node(cable):
            both = _ended(_night(cable, Path(folder) / "two", workers=2, items=400))
            home = Path(folder) / "lost"
            night = _night(cable, home, workers=2, items=400)
            query = "SELECT number FROM batch_runs WHERE worker LIKE ?"
            _await(lambda: night.poll() is not None or len(_rows(home, query, f"{OTHER}:%")) > 0)
            cable.unplug_node()
            unplugged = time.time()
            lost = _ended(night)
        if lost["shots"] != 400 or not lost["failed_at"]:
            raise RuntimeError(f"The night that lost a machine: {lost}")
        return both["steady"] / alone["steady"], max(lost["failed_at"]) - unplugged


@contextmanager
def _node(cable: Cable) -> Generator[None]:
    node = cable.join_node(cpus=1)
    try:
        yield
    finally:
        cable.unplug_node()
        node.wait(timeout=PATIENCE)


def _night(cable: Cable, home: Path, *, workers: int, items: int) -> subprocess.Popen[str]:
    facts = {"--ray": ADDRESS, "--workers": workers, "--items": items, "--seconds": ITEM, "--lease": LEASE}
    words = [str(word) for pair in (*facts.items(), ("--start-seconds", 60)) for word in pair]
    command = cable.command(cable.head, sys.executable, "-m", "benchmarks.node_night", home, *words)
    return subprocess.Popen(command, cwd=ROOT, env=cable.environment, stdout=subprocess.PIPE, text=True)


def _ended(night: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = night.communicate(timeout=PATIENCE)
    found: dict[str, Any] = json.loads(out)
    return found


# Workers


def _workers_lost(house: House) -> tuple[float, int]:
    """Executed takes a shot over random kills, and shots that went wrong."""
    chance = random.Random(9)
    job_id = _order(house, LOSING_ITEMS, ROUNDS)
    with open_workshop(house, job_id, _say_nothing) as workshop:
        threads = _follow(workshop)
        for _ in range(KILLS):
            time.sleep(chance.uniform(3.0, 9.0))
            pids = [one.pid for one in workshop.pool.workers() if one.pid is not None and one.in_flight]
            if not any(thread.is_alive() for thread in threads) or not pids:
                raise RuntimeError("The job ended before every worker was killed that should be.")
            os.kill(chance.choice(pids), signal.SIGKILL)
        for thread in threads:
            thread.join()
    with unit_of_work(house.engine, read_only=True) as work:
        takes = work.ledger.takes(job_id)
    executed = sum(take.state in {TakeState.DONE, TakeState.FAILED} for take in takes)
    return executed / LOSING_ITEMS, _wrong(house, job_id)


def _settings(item: float, workers: int) -> dict[str, object]:
    return {
        "renderer": "synthetic",
        "synthetic_seconds_per_step": item,
        "workers": workers,
        "lease_seconds": LEASE,
        "actor": "benchmark",
    }


def _order(house: House, items: int, number: int) -> str:
    manifest = night_manifest(items, first_seed=number * 10_000)
    return submit_plan(house, one_by_one(plan_of(house, manifest, steps=1, method="emoji-64-full"))).job_id


def _wrong(house: House, job_id: str) -> int:
    """Shots that are not done, and takes that are done beyond the first of a shot."""
    with unit_of_work(house.engine, read_only=True) as work:
        takes = work.ledger.takes(job_id)
        shots = work.ledger.job(job_id).counts.shots
    done = [take.shot for take in takes if take.state is TakeState.DONE]
    return shots - len(set(done)) + len(done) - len(set(done))


def _rows(home: Path, query: str, word: str) -> list[tuple[Any, ...]]:
    """What a ledger answers, read from outside; nothing while there is none."""
    try:
        with closing(sqlite3.connect(f"file:{home}/ledger.sqlite3?mode=ro", uri=True)) as ledger:
            return ledger.execute(query, (word,)).fetchall()
    except sqlite3.OperationalError:
        return []


def _await(is_so: Any) -> None:
    until = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError("It never happened.")
        time.sleep(0.02)


def _say_nothing(_stage: str) -> None:
    """Nobody listens."""


def _drive(home: Path, job_id: str) -> None:
    """The other driver of a job, in a process of its own, until it is killed."""
    house = open_house(Settings(home=home, **_settings(ITEM, 1)))  # type: ignore[arg-type]  # by keyword
    with open_workshop(house, job_id, _say_nothing) as workshop:
        for thread in _follow(workshop):
            thread.join()


if __name__ == "__main__":
    _drive(Path(sys.argv[1]), sys.argv[2])
