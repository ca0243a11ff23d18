"""``make chaos``: a job is rendered while its workers, driver, services and database break, a hundred times.

Every kill is drawn by a seed. Whatever ended the driver, ``rightstep job resume`` goes on; at the
end each shot is done exactly once, each output is what was recorded, and the audit log is unbroken.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from flows.auditing import audit_check
from flows.bootstrap import House, open_house
from flows.rendering import job_of
from flows.settings import Settings
from policy.tasks import TakeState
from registry.database import upgrade_database
from registry.verification import sha256_file
from tests.chaos.victims import Victim, draw, kill, mount_disk, unmount_disk
from tests.integration.flows.jobs.night import start_command, submit, takes_of, write_order
from tests.integration.registry.servers import Server, start_postgresql
from tests.integration.registry.stores import APP_ROLE
from workers.processes import reap

DATABASE = "rightstep_chaos"
WORKERS = 2
STEP_SECONDS = 0.25  # of the synthetic renderer: a batch takes a second
SHOTS_A_KILL = 100  # enough that the job outlives all kills
WAITS = (0.2, 3.0)  # seconds from the first new picture to the next kill
PATIENCE = 300.0
MOST_STARTS = 6  # of the driver in a row without a new picture, before it is given up


@dataclass(kw_only=True)
class Report:
    """What was done to a job, and what became of it."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter[str])
    starts: int = 0  # of the driver
    seconds: float = 0.0
    shots: int = 0
    faults: list[str] = field(default_factory=list[str])
    executed_per_shot: float = 0.0
    log: list[str] = field(default_factory=list[str])


class Chaos:
    """One job, and whoever kills around it."""

    def __init__(
        self, house: House, server: Server, job_id: str, *, seed: int, only: Sequence[Victim]
    ) -> None:
        self._house, self._server, self._job_id = house, server, job_id
        self._chance, self._only = random.Random(seed), list(only)
        self._driver: subprocess.Popen[str] | None = None
        self.report = Report(seed=seed)

    def run(self, kills: int) -> Report:
        """Kill so often, let the job end, and look at what is there."""
        began = time.monotonic()
        try:
            while sum(self.report.kills.values()) < kills and not self._is_over():
                self._kill_one(draw(self._chance, self._only))
            while self._await_progress() is not None:
                pass
        finally:
            if self._driver is not None:
                self._end(self._driver)
        self.report.seconds = time.monotonic() - began
        self._look()
        return self.report

    def _is_over(self) -> bool:
        return job_of(self._house, self._job_id).state.is_finished

    def _kill_one(self, victim: Victim) -> None:
        driver = self._await_progress()
        if driver is None:
            return
        time.sleep(self._chance.uniform(*WAITS))
        died = kill(
            victim,
            driver=driver,
            house=self._house,
            server=self._server,
            mine=self._own_connections(),
            chance=self._chance,
        )
        if not died:
            return
        self.report.kills[victim.value] += 1
        done = job_of(self._house, self._job_id).counts.done
        line = f"{sum(self.report.kills.values()):3}  {victim.value:20} {died:28} {done} done"
        self.report.log.append(line)
        print(line, file=sys.stderr, flush=True)

    def _await_progress(self) -> int | None:
        """A driver that makes pictures now, started where there is none; None once the job is over."""
        before, starts = job_of(self._house, self._job_id).counts.done, 0
        until = time.monotonic() + PATIENCE
        while not self._is_over():
            if self._driver is None or self._driver.poll() is not None:
                starts += 1
                self._start(starts)
            elif job_of(self._house, self._job_id).counts.done > before:
                return self._driver.pid
            if time.monotonic() > until:
                where = self._where()
                raise SystemExit(f"No picture was made in {PATIENCE:.0f} seconds. The driver:\n{where}")
            time.sleep(0.1)
        return None

    def _where(self) -> str:
        """What the driver was doing, thread by thread."""
        if self._driver is None:
            return "there is none"
        self._driver.send_signal(signal.SIGABRT)  # it was started with Python's fault handler
        return self._driver.communicate()[1][-8000:]

    def _end(self, driver: subprocess.Popen[str]) -> None:
        """End a driver that is still there, and what it or an earlier one started."""
        driver.kill()
        driver.communicate()
        home = self._house.settings.home
        for path in [*home.glob("run/private-prefect-*.json"), *home.glob("ray/private-ray-*.json")]:
            reap(path)

    def _start(self, starts: int) -> None:
        if self._driver is not None:
            _, talk = self._driver.communicate()
            if "Traceback" in talk:
                self.report.faults.append(f"A driver ended with a traceback: {talk[-2000:]}")
        if starts > MOST_STARTS:
            raise SystemExit(f"{MOST_STARTS} drivers in a row made no picture.")
        self.report.starts += 1
        self._driver = start_command(
            self._house, "job", "resume", self._job_id, synthetic_seconds_per_step=STEP_SECONDS,
            database_url=self._house.settings.app_url, renderer="synthetic", workers=WORKERS, actor="chaos",
        )  # fmt: skip

    def _own_connections(self) -> set[int]:
        with self._house.engine.connect() as connection:
            mine = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        return {int(mine)}

    def _look(self) -> None:
        report, house = self.report, self._house
        job, takes = job_of(house, self._job_id), takes_of(house, self._job_id)
        done = Counter(take.shot for take in takes if take.state is TakeState.DONE)
        report.shots = job.counts.shots
        if len(done) != job.counts.shots or set(done.values()) != {1}:
            twice = sorted(shot for shot, count in done.items() if count > 1)
            report.faults.append(
                f"{job.counts.shots - len(done)} shots are not done, and these twice: {twice}"
            )
        outputs = {take.artefact_sha256 for take in takes if take.state is TakeState.DONE}
        broken = [sha256 for sha256 in outputs if sha256 and not self._is_whole(sha256)]
        if broken or None in outputs:
            report.faults.append(f"{len(broken)} outputs are not what was recorded.")
        check = audit_check(house)
        if not check.ok:
            report.faults.append(f"The audit log is broken: {check}")
        executed = sum(take.state in {TakeState.DONE, TakeState.FAILED} for take in takes)
        report.executed_per_shot = executed / max(1, job.counts.shots)

    def _is_whole(self, sha256: str) -> bool:
        store = self._house.store
        return store.has(sha256) and sha256_file(store.path_of(sha256)) == sha256


def main() -> int:
    """Run it; 0 where nothing was lost, doubled or broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--shots", type=int, help=f"of the job; {SHOTS_A_KILL} a kill by default")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", choices=[one.value for one in Victim], nargs="*", help="what to break")
    parser.add_argument("--report", type=Path, default=Path("out/chaos.json"))
    told = parser.parse_args()
    os.environ["PYTHONFAULTHANDLER"] = "1"  # of drivers: where they stood when they were given up
    folder = Path(tempfile.mkdtemp(prefix="rightstep-chaos-"))
    try:
        with start_postgresql() as server:
            report = _chaos(folder, server, told)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told.report.parent.mkdir(parents=True, exist_ok=True)
    told.report.write_text(json.dumps(vars(report), indent=2) + "\n")
    print(f"{sum(report.kills.values())} kills, {dict(report.kills)}; {report.starts} starts of the driver")
    print(
        f"{report.shots} shots, {report.executed_per_shot:.3f} executed takes a shot, {report.seconds:.0f} s"
    )
    for fault in report.faults:
        print(f"FAULT  {fault}")
    print(f"report: {told.report}")
    return 1 if report.faults else 0


def _chaos(folder: Path, server: Server, told: argparse.Namespace) -> Report:
    server.run(f"CREATE ROLE {APP_ROLE} LOGIN")
    server.run(f"CREATE DATABASE {DATABASE}")
    url = server.url(DATABASE, APP_ROLE)
    upgrade_database(server.url(DATABASE), url)
    settings = Settings(
        home=folder / "home", database_url=url, renderer="synthetic", workers=WORKERS, actor="chaos"
    )  # fmt: skip
    house = open_house(settings)
    whom = [Victim(one) for one in told.only or Victim]
    if not mount_disk(settings.artefacts):
        print("No disk can be mounted here: it will not fill up.", file=sys.stderr)
        whom = [one for one in whom if one not in {Victim.DISK, Victim.READ_ONLY}]
    try:
        shots = told.shots or told.kills * SHOTS_A_KILL
        order = write_order(folder, shots, name="chaos", shots={"steps": 4, "method": "emoji-64-lcm"})
        return Chaos(house, server, submit(house, order).job_id, seed=told.seed, only=whom).run(told.kills)
    finally:
        house.engine.dispose()
        unmount_disk(settings.artefacts)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except psycopg.Error as fault:
        sys.exit(f"PostgreSQL failed: {fault}")
