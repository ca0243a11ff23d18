"""Leases: who may render which batches, until when.

A lease is a token on the batch. It is taken from queued batches only, so two drivers never
hold the same batch: SQLite lets one writer in at a time, PostgreSQL skips the rows that
another driver has locked. A lease that ran out leaves its token in place until somebody
else leases the batch, so that a holder who was merely slow loses nothing.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Integer, and_, bindparam, func, or_, select, update

from policy.errors import UnknownName
from policy.tasks import TakeState
from registry import tables
from registry.instants import Instant
from registry.job_locks import beside_others
from registry.ledger_reading import inputs_of, take_name
from registry.records import BatchState, JobState, LeasedBatch, LeasedChunk, LeasedShot


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a driver asks for."""

    job_id: str
    holder: str
    ttl_seconds: float
    max_batches: int
    stack_id: str | None  # the stack that is resident already


# Built once: a chunk is leased every few hundred milliseconds, and building costs more than running.
QUEUED_OF_THE_JOB = and_(
    tables.batches.c.job_id == bindparam("job_id"), tables.batches.c.state == BatchState.QUEUED
)
NO_GATE = 2**31 - 1
BELOW_THE_GATE = tables.batches.c.rank < bindparam("gate", type_=Integer)
START_THE_JOB = beside_others(
    update(tables.jobs)
    .where(tables.jobs.c.job_id == bindparam("b_job_id"), tables.jobs.c.state == JobState.QUEUED)
    .values(
        state=JobState.RUNNING,
        started_at=func.coalesce(tables.jobs.c.started_at, bindparam("now", type_=Instant)),
    )
)
STATE_OF_THE_JOB = beside_others(
    select(tables.jobs.c.state, tables.jobs.c.gate)
    .where(tables.jobs.c.job_id == bindparam("job_id"))
    .with_for_update(read=True)  # shared: no cancel comes between
)
NEXT_STACK = (
    select(tables.batches.c.stack_id)
    .where(QUEUED_OF_THE_JOB, BELOW_THE_GATE)
    .order_by(tables.batches.c.rank)
    .limit(1)
    .with_for_update(skip_locked=True)
)
NEXT_BATCHES = (
    select(
        tables.batches.c.number,
        tables.batches.c.runs,
        tables.batches.c.decision,
        tables.batches.c.width,
        tables.batches.c.height,
        tables.batches.c.frames,
    )
    .where(QUEUED_OF_THE_JOB, BELOW_THE_GATE, tables.batches.c.stack_id == bindparam("stack_id"))
    .order_by(tables.batches.c.rank)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
RESIDENT_STACK = NEXT_STACK.where(tables.batches.c.stack_id == bindparam("stack_id"))
QUEUED_UP_TO = select(func.count()).select_from(
    select(tables.batches.c.number)
    .where(QUEUED_OF_THE_JOB)
    .limit(bindparam("most", type_=Integer))
    .subquery("queued")
)
RUN_OUT = select(tables.batches.c.job_id, tables.batches.c.number).where(
    tables.batches.c.lease_expires_at <= bindparam("now", type_=Instant)
)
EXPIRED = (
    RUN_OUT.where(tables.LEASED_BATCH)
    .order_by(tables.batches.c.lease_expires_at)
    .with_for_update(skip_locked=True)
)
EXPIRED_OF_THE_JOB = (
    RUN_OUT.where(tables.batches.c.job_id == bindparam("job_id"), tables.batches.c.state == BatchState.LEASED)
    .order_by(tables.batches.c.rank)
    .with_for_update(skip_locked=True)
)
THESE_BATCHES = and_(
    tables.batches.c.job_id == bindparam("b_job_id"),
    tables.batches.c.number.in_(bindparam("numbers", expanding=True)),
)
TAKE_THE_LEASE = (
    update(tables.batches)
    .where(THESE_BATCHES)
    .values(
        state=BatchState.LEASED,
        runs=tables.batches.c.runs + 1,
        holder=bindparam("b_holder"),
        lease=bindparam("b_lease"),
        lease_expires_at=bindparam("b_expires_at", type_=Instant),
    )
)
SLICE = 500  # batches of one statement: SQLite takes no endless list
STILL_HELD = (  # locked in one order, so that nobody deadlocks
    select(tables.batches.c.number)
    .where(
        THESE_BATCHES,
        tables.batches.c.lease.in_(bindparam("leases", expanding=True)),
        tables.batches.c.state.in_([BatchState.LEASED.value, BatchState.QUEUED.value]),
    )
    .order_by(tables.batches.c.number)
    .with_for_update()
)
HOLD_ON = (
    update(tables.batches)
    .where(THESE_BATCHES)
    .values(
        state=BatchState.LEASED,
        holder=bindparam("b_holder"),
        lease_expires_at=bindparam("b_expires_at", type_=Instant),
    )
)
MEMBERS = (
    select(
        tables.shots.c.batch,
        tables.shots.c.ordinal,
        tables.shots.c.name,
        tables.shots.c.shot_key,
        tables.shots.c.prompt,
        tables.shots.c.negative,
        tables.shots.c.seed,
        tables.shots.c.inputs_json,
        tables.takes.c.attempt,
        tables.takes.c.state,
    )
    .join_from(
        tables.shots,
        tables.takes,
        tables.STANDS_FOR_SHOT,
    )
    .where(
        tables.shots.c.job_id == bindparam("job_id"),
        tables.shots.c.batch.in_(bindparam("numbers", expanding=True)),
    )
    .order_by(tables.shots.c.batch, tables.shots.c.position)
)


def queued_batches(connection: Connection, job_id: str, at_most: int) -> int:
    """Batches that nobody has taken, counted no further than asked: the job may have a million."""
    return connection.execute(QUEUED_UP_TO, {"job_id": job_id, "most": at_most}).scalar_one()


def lease_chunk(connection: Connection, wish: Wish, now: datetime) -> LeasedChunk | None:
    """Lease up to ``max_batches`` queued batches of one stack, the most urgent first."""
    gate = _running_up_to(connection, wish.job_id, now)
    if gate is None:
        return None
    expire(connection, now, wish.job_id)
    stack_id = _next_stack(connection, wish, gate)
    if stack_id is None:
        return None
    asked = {"job_id": wish.job_id, "stack_id": stack_id, "most": wish.max_batches, "gate": gate}
    picked = connection.execute(NEXT_BATCHES, asked).mappings().all()
    lease, expires_at = secrets.token_hex(8), now + timedelta(seconds=wish.ttl_seconds)
    numbers = [row["number"] for row in picked]
    connection.execute(
        TAKE_THE_LEASE,
        {
            "b_job_id": wish.job_id,
            "numbers": numbers,
            "b_holder": wish.holder,
            "b_lease": lease,
            "b_expires_at": expires_at,
        },
    )
    members = _members(connection, wish.job_id, numbers)
    return LeasedChunk(
        job_id=wish.job_id,
        lease=lease,
        holder=wish.holder,
        stack_id=stack_id,
        expires_at=expires_at,
        batches=tuple(_leased_batch(wish.job_id, row, members[row["number"]]) for row in picked),
    )


def _running_up_to(connection: Connection, job_id: str, now: datetime) -> int | None:
    """Start a queued job; then hold its row until the transaction ends.

    The rank from which on nothing of it is handed out; None where it does not run.
    """
    dialect = connection.dialect.name
    connection.execute(START_THE_JOB[dialect], {"b_job_id": job_id, "now": now})
    found = connection.execute(STATE_OF_THE_JOB[dialect], {"job_id": job_id}).one_or_none()
    if found is None:
        raise UnknownName(f"There is no job {job_id!r}.", "See: rightstep job list.")
    if found.state != JobState.RUNNING:
        return None
    return NO_GATE if found.gate is None else found.gate


def _next_stack(connection: Connection, wish: Wish, gate: int) -> str | None:
    """The stack that is resident, while it has work; else that of the most urgent batch."""
    if wish.stack_id is not None:
        asked = {"job_id": wish.job_id, "stack_id": wish.stack_id, "gate": gate}
        found = connection.execute(RESIDENT_STACK, asked).scalar_one_or_none()
        if found is not None:
            return found
    return connection.execute(NEXT_STACK, {"job_id": wish.job_id, "gate": gate}).scalar_one_or_none()


def _members(connection: Connection, job_id: str, numbers: list[int]) -> dict[int, list[LeasedShot]]:
    members: dict[int, list[LeasedShot]] = {number: [] for number in numbers}
    rows = connection.execute(MEMBERS, {"job_id": job_id, "numbers": numbers})
    for batch, ordinal, name, key, prompt, negative, seed, inputs, attempt, state in rows:
        shot = LeasedShot(
            take_id=take_name(job_id, ordinal, attempt),
            name=name,
            shot_key=key,
            prompt=prompt,
            negative=negative,
            seed=int(seed),
            inputs=inputs_of(inputs),
            is_settled=state != TakeState.QUEUED,
        )
        members[batch].append(shot)
    return members


def _leased_batch(job_id: str, row: Any, members: list[LeasedShot]) -> LeasedBatch:
    run = row["runs"] + 1
    return LeasedBatch(
        task_id=f"{job_id}/{row['number']}/{run}",
        number=row["number"],
        run=run,
        decision=row["decision"],
        width=row["width"],
        height=row["height"],
        frames=row["frames"],
        shots=tuple(members),
    )


def ours(chunk: LeasedChunk) -> Any:
    """Batches that still carry the chunk's token and are not settled; perhaps expired, taken by nobody."""
    batches_table = tables.batches
    return and_(
        batches_table.c.job_id == chunk.job_id,
        batches_table.c.number.in_([batch.number for batch in chunk.batches]),
        batches_table.c.lease == chunk.lease,
        or_(batches_table.c.state == BatchState.LEASED, batches_table.c.state == BatchState.QUEUED),
    )


def _lock(connection: Connection, chunk: LeasedChunk) -> list[int]:
    """Numbers of the batches that are ours, their rows locked in one order so that nobody deadlocks."""
    query = select(tables.batches.c.number).where(ours(chunk)).order_by(tables.batches.c.number)
    return list(connection.execute(query.with_for_update()).scalars())


def renew(connection: Connection, chunks: Sequence[LeasedChunk], ttl_seconds: float, now: datetime) -> int:
    """Move the expiry of what is a driver's own of one job; takes back what ran out and nobody took.

    A driver of a thousand workers holds two thousand chunks: they are renewed by the slice, not one by one.
    """
    tokens = sorted((batch.number, chunk.lease) for chunk in chunks for batch in chunk.batches)
    renewed = 0
    for start in range(0, len(tokens), SLICE):
        numbers, leases = zip(*tokens[start : start + SLICE], strict=True)
        asked = {"b_job_id": chunks[0].job_id, "numbers": numbers, "leases": sorted(set(leases))}
        held = list(connection.execute(STILL_HELD, asked).scalars())
        renewed += len(held)
        if held:
            until = {"b_holder": chunks[0].holder, "b_expires_at": now + timedelta(seconds=ttl_seconds)}
            connection.execute(HOLD_ON, {"b_job_id": chunks[0].job_id, "numbers": held, **until})
    return renewed


def release(connection: Connection, chunk: LeasedChunk) -> int:
    """Queue what is ours again, without blame."""
    numbers = _lock(connection, chunk)
    connection.execute(
        update(tables.batches)
        .where(tables.batches.c.job_id == chunk.job_id, tables.batches.c.number.in_(numbers))
        .values(state=BatchState.QUEUED, holder=None, lease=None, lease_expires_at=None)
    )
    return len(numbers)


def expire(connection: Connection, now: datetime, job_id: str | None = None) -> int:
    """Queue batches whose lease ran out; a batch that is just being settled is left alone."""
    if job_id is None:  # each form is served by an index of its own
        stale = connection.execute(EXPIRED, {"now": now}).all()
    else:
        stale = connection.execute(EXPIRED_OF_THE_JOB, {"now": now, "job_id": job_id}).all()
    batches_table = tables.batches
    for stale_job, number in stale:
        connection.execute(
            update(batches_table)
            .where(batches_table.c.job_id == stale_job, batches_table.c.number == number)
            .values(state=BatchState.QUEUED, holder=None)
        )
    return len(stale)


def reclaim(connection: Connection, is_gone: Callable[[str], bool]) -> int:
    """Queue what holders that are gone had leased, without waiting for their leases to run out."""
    batches_table = tables.batches
    holders = connection.scalars(select(batches_table.c.holder).where(tables.LEASED_BATCH).distinct()).all()
    gone = [holder for holder in holders if holder is not None and is_gone(holder)]
    if not gone:
        return 0
    return connection.execute(
        update(batches_table)
        .where(tables.LEASED_BATCH, batches_table.c.holder.in_(gone))
        .values(state=BatchState.QUEUED, holder=None)
    ).rowcount
