"""Holding, resuming, cancelling and finishing a job: each one transaction, each a typed state."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, insert, literal, select, update

from policy.errors import WrongMoment
from policy.steering import NotNow, Standing, Word, why_not
from policy.tasks import TakeState
from policy.wording import plural
from registry import ledger_reading, tables
from registry.bulk import write_many
from registry.instants import Instant
from registry.ledger_limits import cancel_open, open_gate
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


def lock(connection: Connection, job_id: str) -> JobRecord:
    """The job, its row locked until the transaction ends."""
    return ledger_reading.job(connection, job_id, lock=True)


def lock_for(connection: Connection, job_id: str, word: Word) -> JobRecord:
    """The same, where a person may say this to it as it stands; else WrongMoment."""
    record = lock(connection, job_id)
    standing = Standing(
        job_id=record.job_id,
        state=record.state.value,
        detail=record.detail,
        is_over=record.state.is_finished,
        is_cancelled=record.state is JobState.CANCELLED,
        is_held=record.state is JobState.HELD,
    )
    require(why_not(word, standing))
    return record


def require(refused: NotNow | None) -> None:
    """Raise a refusal as WrongMoment."""
    if refused is not None:
        raise WrongMoment(refused.message, refused.next_step)


def set_state(
    connection: Connection, record: JobRecord, state: JobState, detail: str, ended_at: datetime | None
) -> JobRecord:
    """The job in another state; its shots stand as the record says."""
    row = {"b_job_id": record.job_id, "b_state": state, "b_detail": detail, "b_ended_at": ended_at}
    write_many(connection, SET_THE_JOB, [row])
    return replace(record, state=state, detail=detail, ended_at=ended_at)


def hold(connection: Connection, job_id: str, reason: str) -> JobRecord:
    """Hold an unfinished job; a finished one cannot be held."""
    record = lock(connection, job_id)
    if record.state.is_finished:
        raise WrongMoment(
            f"Job {record.job_id} is {record.state.value} and cannot be held.", "Render it again."
        )
    return set_state(connection, record, JobState.HELD, reason, None)


def resume(connection: Connection, job_id: str, *, retry_dead: bool) -> JobRecord:
    """Open a held, paused or failed job again; one that runs or is finished is returned as it is."""
    record = lock_for(connection, job_id, Word.RESUME)
    if record.state not in {JobState.HELD, JobState.PAUSED, JobState.FAILED}:
        return record
    if record.state is JobState.FAILED:
        refuse_twin(connection, record)
    if retry_dead:
        retry(connection, record.job_id)
    open_gate(connection, record.job_id)
    return reopen(connection, record)


def reopen(connection: Connection, record: JobRecord) -> JobRecord:
    """The job as somebody may render it again."""
    state = JobState.QUEUED if record.started_at is None else JobState.RUNNING
    return set_state(connection, ledger_reading.job(connection, record.job_id), state, "", None)


def refuse_twin(connection: Connection, record: JobRecord) -> None:
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


def retry(connection: Connection, job_id: str, only: Sequence[int] | None = None) -> None:
    """Count dead takes as failed and queue another attempt in the same batch; ``only`` of these ordinals."""
    takes_table = tables.takes
    given_up = and_(takes_table.c.job_id == job_id, takes_table.c.state == TakeState.DEAD)
    if only is not None:
        given_up = and_(given_up, takes_table.c.ordinal.in_(only))
    dead = (
        select(
            takes_table.c.job_id,
            takes_table.c.ordinal,
            (takes_table.c.attempt + 1).label("attempt"),
            takes_table.c.batch,
            literal(TakeState.QUEUED.value).label("state"),
            literal("").label("detail"),
        )
        .where(given_up)
        .order_by(takes_table.c.ordinal)
    )
    attempts = [dict(row) for row in connection.execute(dead).mappings()]
    if not attempts:
        return
    connection.execute(update(takes_table).where(given_up).values(state=TakeState.FAILED))
    connection.execute(insert(takes_table), attempts)
    queue_again(connection, job_id, {row["batch"] for row in attempts})


def queue_again(connection: Connection, job_id: str, numbers: Collection[int]) -> None:
    """Open settled batches of which something is to be made after all."""
    batches_table = tables.batches
    connection.execute(
        update(batches_table)
        .where(
            batches_table.c.job_id == job_id,
            batches_table.c.state == BatchState.SETTLED,
            batches_table.c.number.in_(numbers),
        )
        .values(state=BatchState.QUEUED)
    )


def cancel(connection: Connection, job_id: str, actor: str, now: datetime) -> JobRecord:
    """Cancel every open take; a job that is cancelled already is returned as it is."""
    record = lock_for(connection, job_id, Word.CANCEL)
    if record.state is JobState.CANCELLED:
        return record
    cancel_open(connection, record.job_id, (BatchState.QUEUED, BatchState.LEASED), now)
    record = ledger_reading.job(connection, record.job_id)
    return set_state(connection, record, JobState.CANCELLED, f"Cancelled by {actor}.", now)


def close(connection: Connection, job_id: str, now: datetime) -> JobRecord:
    """Close a job whose shots are all terminal; one that is closed already, or not yet, is as it stands."""
    record = lock(connection, job_id)
    standing = record.counts
    if record.state.is_finished or standing.open:
        return record
    if standing.cancelled:  # by its budget: what was in flight has ended
        return set_state(connection, record, JobState.CANCELLED, record.detail, now)
    if standing.dead:
        detail = f"{standing.dead} of {standing.shots} shots could not be made."
        return set_state(connection, record, JobState.FAILED, detail, now)
    detail = f"{plural(standing.eaten, 'shot')} eaten." if standing.eaten else ""
    return set_state(connection, record, JobState.FINISHED, detail, now)


def finish(connection: Connection, job_id: str, now: datetime) -> JobRecord:
    """Close a job whose shots are all terminal; shots that are open refuse it."""
    record = close(connection, job_id, now)
    if not record.state.is_finished:
        raise WrongMoment(
            f"Job {record.job_id} still has {record.counts.open} shots to render.",
            f"Go on with: rightstep job resume {record.job_id}.",
        )
    return record
