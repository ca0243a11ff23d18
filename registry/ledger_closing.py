"""Holding, resuming, cancelling and finishing a job: each one transaction, each a typed state."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, literal, select, update

from policy.errors import WrongMoment
from policy.tasks import TakeState
from registry import ledger_reading, tables
from registry.bulk import write_many
from registry.instants import Instant
from registry.records import BatchState, JobRecord, JobState

SET_THE_JOB = (
    update(tables.jobs)
    .where(tables.jobs.c.job_id == bindparam("b_job_id"))
    .values(
        state=bindparam("b_state"),
        detail=bindparam("b_detail"),
        ended_at=bindparam("b_ended_at", type_=Instant),
    )
)


def _lock(connection: Connection, job_id: str) -> JobRecord:
    """The job, its row locked until the transaction ends."""
    return ledger_reading.job(connection, job_id, lock=True)


def _set(
    connection: Connection, record: JobRecord, state: JobState, detail: str, ended_at: datetime | None
) -> JobRecord:
    """The job in another state; its shots stand as the record says."""
    row = {"b_job_id": record.job_id, "b_state": state, "b_detail": detail, "b_ended_at": ended_at}
    write_many(connection, SET_THE_JOB, [row])
    return replace(record, state=state, detail=detail, ended_at=ended_at)


def hold(connection: Connection, job_id: str, reason: str) -> JobRecord:
    """Hold an unfinished job; a finished one cannot be held."""
    record = _lock(connection, job_id)
    if record.state.is_finished:
        raise WrongMoment(
            f"Job {record.job_id} is {record.state.value} and cannot be held.", "Render it again."
        )
    return _set(connection, record, JobState.HELD, reason, None)


def resume(connection: Connection, job_id: str, *, retry_dead: bool) -> JobRecord:
    """Open a held or failed job again; one that runs or is finished is returned as it is."""
    record = _lock(connection, job_id)
    if record.state is JobState.CANCELLED:
        raise WrongMoment(
            f"Job {record.job_id} was cancelled.", "Render its manifest again: finished shots are reused."
        )
    if record.state not in {JobState.HELD, JobState.FAILED}:
        return record
    if record.state is JobState.FAILED:
        _refuse_twin(connection, record)
    if retry_dead:
        _retry_dead(connection, record.job_id)
    state = JobState.QUEUED if record.started_at is None else JobState.RUNNING
    return _set(connection, ledger_reading.job(connection, record.job_id), state, "", None)


def _refuse_twin(connection: Connection, record: JobRecord) -> None:
    """One order has one unfinished job: a second one would render its shots twice."""
    jobs_table = tables.jobs
    unfinished = [state.value for state in JobState if not state.is_finished]
    twin = connection.execute(
        select(jobs_table.c.job_id).where(
            jobs_table.c.job_key == record.job_key, jobs_table.c.state.in_(unfinished)
        )
    ).scalar_one_or_none()
    if twin is not None:
        raise WrongMoment(f"Job {twin} renders the same order already.", f"See: rightstep job watch {twin}.")


def _retry_dead(connection: Connection, job_id: str) -> None:
    """Count every dead take as failed and queue another attempt in the same batch."""
    takes_table, batches_table = tables.takes, tables.batches
    dead = (
        select(
            takes_table.c.job_id,
            takes_table.c.ordinal,
            (takes_table.c.attempt + 1).label("attempt"),
            takes_table.c.batch,
            literal(TakeState.QUEUED.value).label("state"),
            literal("").label("detail"),
        )
        .where(takes_table.c.job_id == job_id, takes_table.c.state == TakeState.DEAD)
        .order_by(takes_table.c.ordinal)
    )
    attempts = [dict(row) for row in connection.execute(dead).mappings()]
    if not attempts:
        return
    connection.execute(
        update(takes_table)
        .where(takes_table.c.job_id == job_id, takes_table.c.state == TakeState.DEAD)
        .values(state=TakeState.FAILED)
    )
    connection.execute(insert(takes_table), attempts)
    connection.execute(
        update(batches_table)
        .where(
            batches_table.c.job_id == job_id,
            batches_table.c.state == BatchState.SETTLED,
            batches_table.c.number.in_({row["batch"] for row in attempts}),
        )
        .values(state=BatchState.QUEUED)
    )


def cancel(connection: Connection, job_id: str, actor: str, now: datetime) -> JobRecord:
    """Cancel every open take; a job that is cancelled already is returned as it is."""
    record = _lock(connection, job_id)
    if record.state is JobState.CANCELLED:
        return record
    if record.state.is_finished:
        raise WrongMoment(
            f"Job {record.job_id} is {record.state.value}: nothing is left to cancel.",
            "See: rightstep job show.",
        )
    takes_table, batches_table = tables.takes, tables.batches
    connection.execute(
        update(takes_table)
        .where(takes_table.c.job_id == record.job_id, takes_table.c.state == TakeState.QUEUED)
        .values(state=TakeState.CANCELLED, settled_at=now)
    )
    connection.execute(
        update(batches_table)
        .where(
            batches_table.c.job_id == record.job_id,
            batches_table.c.state.in_([BatchState.QUEUED.value, BatchState.LEASED.value]),
        )
        .values(state=BatchState.CANCELLED, holder=None, lease=None, lease_expires_at=None)
    )
    record = ledger_reading.job(connection, record.job_id)
    return _set(connection, record, JobState.CANCELLED, f"Cancelled by {actor}.", now)


def close(connection: Connection, job_id: str, now: datetime) -> JobRecord:
    """Close a job whose shots are all terminal; one that is closed already, or not yet, is as it stands."""
    record = _lock(connection, job_id)
    standing = record.counts
    if record.state.is_finished or standing.open:
        return record
    if standing.dead:
        detail = f"{standing.dead} of {standing.shots} shots could not be made."
        return _set(connection, record, JobState.FAILED, detail, now)
    return _set(connection, record, JobState.FINISHED, "", now)


def finish(connection: Connection, job_id: str, now: datetime) -> JobRecord:
    """Close a job whose shots are all terminal; shots that are open refuse it."""
    record = close(connection, job_id, now)
    if not record.state.is_finished:
        raise WrongMoment(
            f"Job {record.job_id} still has {record.counts.open} shots to render.",
            f"Go on with: rightstep job resume {record.job_id}.",
        )
    return record
