"""Where a job stops by itself, in the ledger: what is spent, whether its probes are made, and the stop.

Asked before every lease, in the transaction of the lease. A job without limits costs one row.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, exists, func, select, update

from policy.limits import BudgetEnd, Halt, Spent, halt
from policy.tasks import TakeState
from registry import tables
from registry.records import BatchState, JobState

OPEN = (BatchState.QUEUED.value, BatchState.LEASED.value)
LIMITS_OF_THE_JOB = select(
    tables.jobs.c.state, tables.jobs.c.gate, tables.jobs.c.budget_seconds, tables.jobs.c.budget_end
).where(tables.jobs.c.job_id == bindparam("job_id"))


def enforce(connection: Connection, job_id: str, now: datetime) -> Halt | None:
    """Stop a running job that has reached a limit; what was done to it, or None where it may go on."""
    state, gate, budget, end = connection.execute(LIMITS_OF_THE_JOB, {"job_id": job_id}).one()
    if state != JobState.RUNNING or (gate is None and budget is None):
        return None
    found = halt(
        Spent(
            probes_open=None if gate is None else open_below(connection, job_id, gate),
            seconds=0.0 if budget is None else spent_seconds(connection, job_id),
            budget_seconds=budget,
            budget_end=BudgetEnd(end),
        )
    )
    if found is None or (found.how is BudgetEnd.FINISH and not _has_queued(connection, job_id)):
        return None
    jobs = tables.jobs
    values = {"detail": found.detail}
    match found.how:
        case BudgetEnd.HOLD:
            values["state"] = JobState.HELD
        case BudgetEnd.FINISH:
            cancel_open(connection, job_id, (BatchState.QUEUED,), now)
        case BudgetEnd.STOP:
            cancel_open(connection, job_id, (BatchState.QUEUED, BatchState.LEASED), now)
            values["state"] = JobState.CANCELLED
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(values))
    if found.how is BudgetEnd.STOP:
        connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(ended_at=now))
    return found


def spent_seconds(connection: Connection, job_id: str) -> float:
    """Worker seconds of everything that was settled of a job, loads and failures included."""
    runs = tables.batch_runs
    query = select(func.coalesce(func.sum(runs.c.total_seconds), 0.0)).where(runs.c.job_id == job_id)
    return float(connection.execute(query).scalar_one())


def open_below(connection: Connection, job_id: str, gate: int) -> int:
    """Batches below a rank that are not settled."""
    batches = tables.batches
    query = (
        select(func.count())
        .select_from(batches)
        .where(batches.c.job_id == job_id, batches.c.state.in_(OPEN), batches.c.rank < gate)
    )
    return connection.execute(query).scalar_one()


def open_gate(connection: Connection, job_id: str) -> None:
    """Somebody lets a job go on: once its probes are made, nobody is asked about them again."""
    jobs = tables.jobs
    gate = connection.execute(select(jobs.c.gate).where(jobs.c.job_id == job_id)).scalar_one()
    if gate is not None and not open_below(connection, job_id, gate):
        connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(gate=None))


def cancel_open(connection: Connection, job_id: str, states: Sequence[BatchState], now: datetime) -> None:
    """Cancel what is still to be made in batches of these states, and the batches themselves."""
    takes, batches = tables.takes, tables.batches
    is_meant = exists().where(
        batches.c.job_id == takes.c.job_id,
        batches.c.number == takes.c.batch,
        batches.c.state.in_([state.value for state in states]),
    )
    connection.execute(
        update(takes)
        .where(takes.c.job_id == job_id, takes.c.state == TakeState.QUEUED, is_meant)
        .values(state=TakeState.CANCELLED, settled_at=now)
    )
    connection.execute(
        update(batches)
        .where(batches.c.job_id == job_id, batches.c.state.in_([state.value for state in states]))
        .values(state=BatchState.CANCELLED, holder=None, lease=None, lease_expires_at=None)
    )


def _has_queued(connection: Connection, job_id: str) -> bool:
    batches = tables.batches
    query = select(batches.c.number).where(batches.c.job_id == job_id, batches.c.state == BatchState.QUEUED)
    return connection.execute(query.limit(1)).first() is not None
