"""Driving a job from this process: the services it needs, the flow, and a clean end."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from flows.announcing import announce_job
from flows.bootstrap import House
from flows.judging import judge_job
from flows.keeping import why_gone
from flows.prefect_requests import PrefectApi
from flows.prefect_server import (
    PrefectServer,
    answers,
    await_server,
    launch_server,
    standing_server,
    stop_server,
    use_server,
)
from flows.progress import OnProgress, report_stage, watched
from flows.signals import sigterm_as_ctrl_c
from flows.steering import reopen_job
from policy.errors import RightstepError, ServiceFault, UnknownName
from registry.records import ArtefactRecord, JobRecord, ReplanningRecord, ShotRecord
from registry.unit_of_work import unit_of_work

WATCH_SECONDS = 0.5
UNSAID = "CRITICAL"  # whatever Prefect would log as an error is raised here too, and told once


def render_job(
    house: House, job_id: str, on_progress: OnProgress | None = None, *, detach: bool = False
) -> JobRecord:
    """Render what is open of a job and wait for it; every service that is started here is ended here.

    Interrupted, it leaves a job that ``resume_job`` goes on with: what was made stays made.
    ``detach`` leaves the work to a process of its own and returns at once. Nothing is
    started for a job whose shots are all made already, nor for a held or paused one, which waits for
    ``resume_job``.
    """
    job = job_of(house, job_id)
    if job.state.is_at_rest:
        return job
    if not job.counts.open:
        judge_job(house, job.job_id)
        announce_job(house, job_of(house, job.job_id))
    elif detach:
        _detach(house, job.job_id)
    else:
        with sigterm_as_ctrl_c(), watched(house, job.job_id, on_progress), _prefect(house) as api:
            _run_flow(house, job.job_id, api)
    return job_of(house, job.job_id)


def resume_job(house: House, job_id: str, on_progress: OnProgress | None = None) -> JobRecord:
    """Go on with a stopped, held, paused or failed job; finished shots stay, dead ones get a new try."""
    return render_job(house, reopen_job(house, job_id).job_id, on_progress)


def job_of(house: House, job_id: str) -> JobRecord:
    """The job of this id, or of the only id that begins so."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.ledger.job(job_id)


def list_jobs(house: House, limit: int = 100, after: str | None = None) -> tuple[JobRecord, ...]:
    """Jobs, newest first; those that come after a job, or from the start."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.ledger.jobs(limit=limit, after=after)


def shots_of(house: House, job_id: str) -> tuple[ShotRecord, ...]:
    """Every shot of a job, in the order of its plan."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.ledger.shots(work.ledger.job(job_id).job_id)


def shots_after(house: House, job_id: str, ordinal: int, limit: int) -> tuple[ShotRecord, ...]:
    """At most so many shots of a job after a place in its plan; -1 is before the first."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.ledger.shots_after(work.ledger.job(job_id).job_id, ordinal, limit)


def shot_of(house: House, job_id: str, name: str) -> ShotRecord:
    """A shot of a job by its name."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.ledger.shot(work.ledger.job(job_id).job_id, name)


def artefact_of(house: House, job_id: str, name: str) -> tuple[ArtefactRecord, Path]:
    """What was made of a shot, and where its bytes lie; UnknownName where there is nothing to hand out."""
    shot = shot_of(house, job_id, name)
    if shot.artefact is None:
        raise UnknownName(
            f"Nothing is made of shot {name} yet: it is {shot.state.value}.", "Ask again when it is done."
        )
    try:
        return shot.artefact, house.store.path_of(shot.artefact.sha256)
    except UnknownName as error:
        raise why_gone(house, name, shot.artefact.sha256) from error


def rounds_of(house: House, job_id: str) -> tuple[ReplanningRecord, ...]:
    """Every round of re-planning that changed something or found the deadline at risk."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.ledger.rounds(work.ledger.job(job_id).job_id)


def watch_job(house: House, job_id: str, on_progress: OnProgress) -> JobRecord:
    """Follow a job that another process drives until it ends or is held."""
    job = job_of(house, job_id)
    with watched(house, job.job_id, on_progress):
        while not job.state.is_at_rest:
            time.sleep(WATCH_SECONDS)
            job = job_of(house, job.job_id)
    return job


def _detach(house: House, job_id: str) -> None:
    """Drive a job from a process of its own, which outlives this one."""
    log = house.settings.logs / f"job-{job_id}.log"
    with log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "flows.drive", job_id],
            env=os.environ | house.settings.for_children,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


@contextmanager
def _prefect(house: House) -> Generator[PrefectApi]:
    """The standing Prefect server, or of a private one that ends with the block."""
    home, elsewhere = house.settings.home, house.settings.prefect_elsewhere
    standing = standing_server(house.settings)
    if standing is not None:
        use_server(home, standing, log_level=UNSAID)
        yield standing
        return
    if elsewhere is not None:
        raise ServiceFault(
            f"The Prefect server at {elsewhere.url} does not answer.",
            "Start it, or unset RIGHTSTEP_PREFECT_API_URL for one of our own.",
        )
    report_stage("starting Prefect")
    server = launch_server(home)
    try:
        api = await_server(server, seconds=house.settings.prefect_start_seconds)
        use_server(home, api, log_level=UNSAID)
        yield api
    finally:
        _end(server)


def _end(server: PrefectServer) -> None:
    """End the server without the client's last words: what it still wants to send has nobody to hear it."""
    logging.getLogger("prefect").setLevel(logging.CRITICAL)
    stop_server(server)


def _run_flow(house: House, job_id: str, api: PrefectApi) -> None:
    """Call the flow in this process; Prefect is imported only now, after its server is known.

    A server that dies fails what still had to be told to it. The ledger is what counts: a
    job that is over there is over.
    """
    from flows.render_batch import render_batch

    try:
        render_batch(job_id)
    except RightstepError:
        raise
    except Exception as error:
        if answers(api):
            raise
        if not job_of(house, job_id).state.is_finished:
            raise ServiceFault(
                f"The Prefect server at {api.url} is gone; what was made is kept.",
                f"Go on with: rightstep job resume {job_id}.",
            ) from error
