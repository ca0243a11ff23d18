"""Who may write beside whom on one job: on PostgreSQL in the order in which they came.

Drivers share the row of a job, and whoever cancels or steers it wants it alone. PostgreSQL lets a row
be shared again and again past somebody who waits for it alone: sixteen drivers who settle all the
time kept a cancellation waiting for seconds. Its advisory locks form a queue, so a statement takes
one of the job before it locks the row. SQLite lets one writer in anyway.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, Update, func, literal_column

from registry import tables

OF_JOBS: ColumnElement[int] = literal_column("7205514")  # any number that nobody else asks PostgreSQL for
Statement = Select[*tuple[Any, ...]] | Update


def beside_others(statement: Statement) -> dict[str, Any]:
    """The statement, by dialect: in PostgreSQL it waits for its turn and lets others share the job."""
    turn = func.pg_advisory_xact_lock_shared(OF_JOBS, func.hashtext(tables.jobs.c.job_id))
    return {"sqlite": statement, "postgresql": statement.where(turn.is_not(None))}


def alone(statement: Statement) -> dict[str, Any]:
    """The same, for whoever lets nobody in beside it."""
    turn = func.pg_advisory_xact_lock(OF_JOBS, func.hashtext(tables.jobs.c.job_id))
    return {"sqlite": statement, "postgresql": statement.where(turn.is_not(None))}
