"""Turns: drivers that want one fleet stand in a queue; one at a time has it.

A turn is renewed like a lease and runs out like one. That two drivers never have a fleet is
held by a unique index; who is next is decided by ``policy.turns`` over what stands here.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, delete, exists, func, insert, not_, select, update

from registry import tables
from registry.ledger_reading import counts
from registry.records import ServedSeconds, TurnKey, TurnRecord


def _is(key: TurnKey) -> Any:
    turns_table = tables.turns
    return and_(
        turns_table.c.fleet == key.fleet,
        turns_table.c.job_id == key.job_id,
        turns_table.c.holder == key.holder,
    )


def ask(
    connection: Connection, key: TurnKey, picture_seconds: tuple[float, float], expires_at: datetime
) -> None:
    """Queue a driver; one that is queued already is queued anew."""
    leave(connection, key)
    p50, p95 = picture_seconds
    connection.execute(
        insert(tables.turns).values(
            fleet=key.fleet,
            job_id=key.job_id,
            holder=key.holder,
            picture_p50=p50,
            picture_p95=p95,
            expires_at=expires_at,
        )
    )


def renew(connection: Connection, key: TurnKey, expires_at: datetime) -> bool:
    """Move the expiry."""
    renewed = connection.execute(update(tables.turns).where(_is(key)).values(expires_at=expires_at))
    return renewed.rowcount == 1


def begin(connection: Connection, key: TurnKey, now: datetime) -> bool:
    """Take the fleet unless somebody has it."""
    other = tables.turns.alias("other")
    is_taken = exists().where(other.c.fleet == key.fleet, other.c.began_at.is_not(None))
    begun = connection.execute(update(tables.turns).where(_is(key), not_(is_taken)).values(began_at=now))
    return begun.rowcount == 1


def leave(connection: Connection, key: TurnKey) -> None:
    """Forget the turn."""
    connection.execute(delete(tables.turns).where(_is(key)))


def drop(connection: Connection, fleet: str, now: datetime, is_gone: Callable[[str], bool]) -> int:
    """Forget turns that ran out, and those of drivers that are gone."""
    turns_table = tables.turns
    query = select(turns_table.c.holder).where(turns_table.c.fleet == fleet).distinct()
    gone = [holder for holder in connection.scalars(query) if is_gone(holder)]
    ran_out = (turns_table.c.expires_at <= now) | turns_table.c.holder.in_(gone)
    return connection.execute(delete(turns_table).where(turns_table.c.fleet == fleet, ran_out)).rowcount


def turns(connection: Connection, fleet: str, now: datetime, *, lock: bool) -> tuple[TurnRecord, ...]:
    """The queue of a fleet; with its rows locked, in one order, who decides by it decides alone."""
    turns_table, jobs_table = tables.turns, tables.jobs
    query = (
        select(
            turns_table,
            jobs_table.c.tier,
            jobs_table.c.owner,
            jobs_table.c.deadline,
            jobs_table.c.priority,
            jobs_table.c.submitted_at,
        )
        .join(jobs_table, jobs_table.c.job_id == turns_table.c.job_id)
        .where(turns_table.c.fleet == fleet, turns_table.c.expires_at > now)
        .order_by(turns_table.c.job_id, turns_table.c.holder)
    )
    if lock:
        query = query.with_for_update(of=turns_table)
    return tuple(
        TurnRecord(
            key=TurnKey(fleet=fleet, job_id=row["job_id"], holder=row["holder"]),
            tier=row["tier"],
            owner=row["owner"],
            deadline=row["deadline"],
            submitted_at=row["submitted_at"],
            queued=counts(connection, row["job_id"]).queued,
            picture_p50=row["picture_p50"],
            picture_p95=row["picture_p95"],
            has_fleet=row["began_at"] is not None,
            priority=row["priority"],
        )
        for row in connection.execute(query).mappings().all()
    )


def others_ask(connection: Connection, key: TurnKey, now: datetime) -> bool:
    """Whether another driver than this one stands in the queue."""
    turns_table = tables.turns
    query = select(turns_table.c.job_id).where(
        turns_table.c.fleet == key.fleet, turns_table.c.expires_at > now, not_(_is(key))
    )
    return connection.execute(query.limit(1)).first() is not None


def served(connection: Connection, host: str, since: datetime) -> tuple[ServedSeconds, ...]:
    """What was settled since then, loads included."""
    runs, jobs_table = tables.batch_runs, tables.jobs
    late = case((runs.c.settled_at > jobs_table.c.deadline, runs.c.total_seconds), else_=0.0)
    query = (
        select(jobs_table.c.tier, jobs_table.c.owner, func.sum(runs.c.total_seconds), func.sum(late))
        .join_from(runs, jobs_table, jobs_table.c.job_id == runs.c.job_id)
        .where(runs.c.settled_at > since, runs.c.holder.startswith(f"{host}:", autoescape=True))
        .group_by(jobs_table.c.tier, jobs_table.c.owner)
        .order_by(jobs_table.c.tier, jobs_table.c.owner)
    )
    return tuple(
        ServedSeconds(tier=tier, owner=owner, seconds=seconds, late=late_seconds)
        for tier, owner, seconds, late_seconds in connection.execute(query)
    )
