"""What a person says to a job under way, in the ledger: pause, requeue, eat, priority, deadline.

Each locks the job's row, so that no lease and no settling comes between, asks
``policy.steering`` whether it may be, and leaves the caller to commit it together with the
audit event that tells of it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, exists, func, insert, not_, select, update

from policy.codec import encode
from policy.errors import UnknownName, WrongMoment
from policy.limits import BudgetEnd, rendering_order
from policy.steering import Word, why_not_eaten, why_not_requeued
from policy.tasks import TakeState
from policy.wording import names, plural
from registry import ledger_reading, tables
from registry.bulk import write_many
from registry.instants import Instant
from registry.ledger_closing import lock_for, queue_again, refuse_twin, reopen, require, retry, set_state
from registry.records import BatchState, JobRecord, JobState

AT_ONCE = 500  # names in one question: both databases bound how many parameters a statement has


@dataclass(frozen=True, kw_only=True, slots=True)
class SteeredShots:
    """What a word about shots came to."""

    job: JobRecord
    shots: tuple[str, ...]  # those that it changed, in the order of the plan


@dataclass(frozen=True, slots=True)
class _Take:
    """The standing take of a shot."""

    ordinal: int
    name: str
    attempt: int
    batch: int
    state: TakeState


STANDING_TAKES = (
    select(
        tables.shots.c.ordinal,
        tables.shots.c.name,
        tables.takes.c.attempt,
        tables.takes.c.batch,
        tables.takes.c.state,
    )
    .join_from(
        tables.shots,
        tables.takes,
        tables.STANDS_FOR_SHOT,
    )
    .where(tables.shots.c.job_id == bindparam("job_id"))
    .order_by(tables.shots.c.ordinal)
)
CLOSE_A_TAKE = (
    update(tables.takes)
    .where(
        tables.takes.c.job_id == bindparam("b_job_id"),
        tables.takes.c.ordinal == bindparam("b_ordinal"),
        tables.takes.c.attempt == bindparam("b_attempt"),
    )
    .values(
        state=bindparam("b_state"),
        detail=bindparam("b_detail"),
        settled_at=bindparam("b_settled_at", type_=Instant),
    )
)
FAIL_A_TAKE = (
    update(tables.takes)
    .where(
        tables.takes.c.job_id == bindparam("b_job_id"),
        tables.takes.c.ordinal == bindparam("b_ordinal"),
        tables.takes.c.attempt == bindparam("b_attempt"),
    )
    .values(state=TakeState.FAILED)
)
MOVE_A_BATCH = (
    update(tables.batches)
    .where(tables.batches.c.job_id == bindparam("b_job_id"), tables.batches.c.number == bindparam("b_number"))
    .values(rank=bindparam("b_rank"))
)


def pause(connection: Connection, job_id: str, actor: str, reason: str) -> JobRecord:
    """Hand out no more of a job; what is leased may still settle. One that is paused stays as it is."""
    record = lock_for(connection, job_id, Word.PAUSE)
    if record.state is JobState.PAUSED:
        return record
    return set_state(connection, record, JobState.PAUSED, _told("Paused", actor, reason), None)


def requeue(connection: Connection, job_id: str, shots: Sequence[str]) -> SteeredShots:
    """Give shots that were given up or eaten another attempt; without names, all that were given up.

    A job that ended is open again; one that is held or paused stays so.
    """
    record = lock_for(connection, job_id, Word.REQUEUE)
    found = _named(connection, record.job_id, shots) if shots else _dead(connection, record.job_id)
    if not found:
        raise WrongMoment(
            f"No shot of job {record.job_id} is given up.", "Name the shots that were eaten, to make them."
        )
    for take in found:
        require(why_not_requeued(take.name, take.state))
    dead = [take for take in found if take.state is TakeState.DEAD]
    eaten = [take for take in found if take.state is TakeState.EATEN]
    if not dead and not eaten:
        return SteeredShots(job=record, shots=())
    if record.state.is_finished:
        refuse_twin(connection, record)
    if dead:
        retry(connection, record.job_id, [take.ordinal for take in dead] if shots else None)
    write_many(connection, CLOSE_A_TAKE, [_row(record, take, TakeState.QUEUED, "", None) for take in eaten])
    queue_again(connection, record.job_id, {take.batch for take in eaten})
    job = (
        reopen(connection, record)
        if record.state.is_finished
        else ledger_reading.job(connection, record.job_id)
    )
    return SteeredShots(job=job, shots=_names_of([*dead, *eaten]))


def eat(
    connection: Connection, job_id: str, shots: Sequence[str], actor: str, reason: str, now: datetime
) -> SteeredShots:
    """Close shots unmade: whatever is rendered of them meanwhile counts for nothing.

    A job that had failed for them alone is finished; one of which nothing is open any more is
    closed by whoever drives or judges it.
    """
    record = lock_for(connection, job_id, Word.EAT)
    found = _named(connection, record.job_id, shots)
    for take in found:
        require(why_not_eaten(take.name, take.state))
    wanted = [take for take in found if take.state is not TakeState.EATEN]
    if not wanted:
        return SteeredShots(job=record, shots=())
    detail = _told("Eaten", actor, reason)
    dead = [take for take in wanted if take.state is TakeState.DEAD]
    others = [take for take in wanted if take.state is not TakeState.DEAD]
    rows = [_row(record, take, TakeState.EATEN, detail, now) for take in others]
    write_many(connection, CLOSE_A_TAKE, rows)
    if dead:  # its failure stays on record: being eaten is another take
        keys = [_key(record, take) for take in dead]
        write_many(connection, FAIL_A_TAKE, keys)
        connection.execute(insert(tables.takes), [_eaten(record, take, detail, now) for take in dead])
    _settle_emptied(connection, record.job_id, {take.batch for take in wanted})
    job = ledger_reading.job(connection, record.job_id)
    if job.state is JobState.FAILED and not job.counts.dead:
        detail = f"{plural(job.counts.eaten, 'shot')} eaten."
        job = set_state(connection, job, JobState.FINISHED, detail, job.ended_at)
    return SteeredShots(job=job, shots=_names_of(wanted))


def put_before(connection: Connection, job_id: str, priority: int) -> JobRecord:
    """The place of a job among those of its tier that want the same fleet."""
    record = lock_for(connection, job_id, Word.PRIORITY)
    connection.execute(
        update(tables.jobs).where(tables.jobs.c.job_id == record.job_id).values(priority=priority)
    )
    return replace(record, priority=priority)


def put_shots_before(
    connection: Connection, job_id: str, shots: Sequence[str], priority: int
) -> SteeredShots:
    """Another priority for shots, and so another order of rendering for what is queued."""
    record = lock_for(connection, job_id, Word.PRIORITY)
    found = _named(connection, record.job_id, shots)
    shots_table = tables.shots
    ordinals = [take.ordinal for take in found]
    for start in range(0, len(ordinals), AT_ONCE):
        some = ordinals[start : start + AT_ONCE]
        connection.execute(
            update(shots_table)
            .where(shots_table.c.job_id == record.job_id, shots_table.c.ordinal.in_(some))
            .values(priority=priority)
        )
    _rank_again(connection, record.job_id)
    return SteeredShots(job=record, shots=_names_of(found))


def move_deadline(connection: Connection, job_id: str, deadline: datetime | None) -> JobRecord:
    """Another deadline, or none: of the job, and of the order as its plan keeps it."""
    record = lock_for(connection, job_id, Word.DEADLINE)
    header = ledger_reading.header(connection, record.job_id)
    service = replace(header.manifest.service, deadline=deadline)
    moved = replace(header, manifest=replace(header.manifest, service=service))
    text = json.dumps(encode(moved), sort_keys=True, ensure_ascii=False)
    jobs = tables.jobs
    connection.execute(
        update(jobs).where(jobs.c.job_id == record.job_id).values(deadline=deadline, header_json=text)
    )
    return replace(record, deadline=deadline)


def set_budget(
    connection: Connection, job_id: str, seconds: float | None, end: BudgetEnd | None
) -> JobRecord:
    """Another budget of worker seconds, or none, and what becomes of the job when it is spent."""
    record = lock_for(connection, job_id, Word.BUDGET)
    ending = end or record.budget_end
    jobs = tables.jobs
    connection.execute(
        update(jobs)
        .where(jobs.c.job_id == record.job_id)
        .values(budget_seconds=seconds, budget_end=ending.value)
    )
    return replace(record, budget_seconds=seconds, budget_end=ending)


def _told(what: str, actor: str, reason: str) -> str:
    return f"{what} by {actor}: {reason}" if reason else f"{what} by {actor}."


def _named(connection: Connection, job_id: str, shots: Sequence[str]) -> list[_Take]:
    """The standing takes of shots by name; UnknownName tells every name that is none."""
    wanted = list(dict.fromkeys(shots))
    found: list[_Take] = []
    for start in range(0, len(wanted), AT_ONCE):
        some = STANDING_TAKES.where(tables.shots.c.name.in_(wanted[start : start + AT_ONCE]))
        found += _takes(connection, job_id, some)
    missing = sorted(set(wanted) - {take.name for take in found})
    if missing:
        raise UnknownName(
            f"Job {job_id} has no shot {names(missing)}.", f"See: rightstep job show {job_id} --shots."
        )
    return sorted(found, key=lambda take: take.ordinal)


def _dead(connection: Connection, job_id: str) -> list[_Take]:
    return _takes(connection, job_id, STANDING_TAKES.where(tables.takes.c.state == TakeState.DEAD))


def _takes(connection: Connection, job_id: str, query: Any) -> list[_Take]:
    rows = connection.execute(query, {"job_id": job_id}).mappings()
    return [
        _Take(row["ordinal"], row["name"], row["attempt"], row["batch"], TakeState(row["state"]))
        for row in rows
    ]


def _names_of(takes: Sequence[_Take]) -> tuple[str, ...]:
    return tuple(take.name for take in sorted(takes, key=lambda take: take.ordinal))


def _key(record: JobRecord, take: _Take) -> dict[str, Any]:
    return {"b_job_id": record.job_id, "b_ordinal": take.ordinal, "b_attempt": take.attempt}


def _row(
    record: JobRecord, take: _Take, state: TakeState, detail: str, now: datetime | None
) -> dict[str, Any]:
    return {**_key(record, take), "b_state": state, "b_detail": detail, "b_settled_at": now}


def _eaten(record: JobRecord, take: _Take, detail: str, now: datetime) -> dict[str, Any]:
    return {
        "job_id": record.job_id,
        "ordinal": take.ordinal,
        "attempt": take.attempt + 1,
        "batch": take.batch,
        "state": TakeState.EATEN,
        "detail": detail,
        "settled_at": now,
    }


def _settle_emptied(connection: Connection, job_id: str, numbers: set[int]) -> None:
    """Queued batches of which nothing is left to make are settled; leased ones settle with their chunk."""
    batches, takes = tables.batches, tables.takes
    is_wanted = exists().where(
        takes.c.job_id == batches.c.job_id,
        takes.c.batch == batches.c.number,
        takes.c.state == TakeState.QUEUED,
    )
    connection.execute(
        update(batches)
        .where(
            batches.c.job_id == job_id,
            batches.c.number.in_(numbers),
            batches.c.state == BatchState.QUEUED,
            not_(is_wanted),
        )
        .values(state=BatchState.SETTLED)
    )


def _rank_again(connection: Connection, job_id: str) -> None:
    """The order of rendering: priority first, then the plan's; only batches that move are written."""
    shots, batches = tables.shots, tables.batches
    limits = ledger_reading.header(connection, job_id).manifest.limits
    most_urgent = select(shots.c.batch, func.max(shots.c.priority)).where(shots.c.job_id == job_id)
    urgency: dict[int, int] = dict(connection.execute(most_urgent.group_by(shots.c.batch)).all())
    now = select(batches.c.number, batches.c.rank).where(batches.c.job_id == job_id)
    ranks: dict[int, int] = dict(connection.execute(now).all())
    ordered = rendering_order([urgency.get(number, 0) for number in range(len(ranks))], probes=limits.probes)
    moved = [
        {"b_job_id": job_id, "b_number": number, "b_rank": rank}
        for rank, number in enumerate(ordered)
        if ranks[number] != rank
    ]
    write_many(connection, MOVE_A_BATCH, moved)
