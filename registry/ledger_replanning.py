"""Re-planning in the ledger: where each decision stands, and new steps for batches that nobody has tried.

A batch may change while it is queued, was never leased, and none of its shots is made
already. It keeps its shots, their order and its stack; decision and shot keys change in
one transaction with the row that says why. Decisions are only ever appended, so that an
index means the same for the whole life of a job.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, func, insert, select, update

from policy.codec import decode, encode
from policy.manifest import Shot
from policy.plan import Decision
from policy.replanning import Settled
from policy.tasks import TakeState
from registry import ledger_reading, tables
from registry.job_locks import alone
from registry.records import BatchState, ChangedBatches, ReplanningRecord

MadeAlready = (
    exists()
    .where(
        tables.takes.c.job_id == tables.batches.c.job_id,
        tables.takes.c.batch == tables.batches.c.number,
        tables.takes.c.state != TakeState.QUEUED,
    )
    .correlate(tables.batches)
)
UNTRIED = and_(tables.batches.c.state == BatchState.QUEUED, tables.batches.c.runs == 0, ~MadeAlready)


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionStanding:
    """Where the batches of one decision stand."""

    decision: int
    shot: Shot  # one of them, as it was asked for
    pictures: int  # in the largest batch
    untried: int  # batches
    open: int  # batches that are not settled, tried or not
    settled: tuple[Settled, ...]  # runs, by device


@dataclass(frozen=True, kw_only=True, slots=True)
class NewSteps:
    """Untried batches of a decision, in the order of rendering, that another decision is to run."""

    before: int
    after: int  # untried batches that come before them
    batches: int
    decision: Decision
    key_of: Callable[[Shot], str]
    reason: str


def standings(connection: Connection, job_id: str) -> tuple[DecisionStanding, ...]:
    """Every decision that still has open batches, and those of which some settled."""
    batches = tables.batches
    is_open = batches.c.state.in_([BatchState.QUEUED.value, BatchState.LEASED.value])
    query = (
        select(
            batches.c.decision,
            func.min(batches.c.number).label("first"),
            func.max(batches.c.pictures).label("pictures"),
            func.count().filter(is_open).label("open"),
            func.count().filter(UNTRIED).label("untried"),
        )
        .where(batches.c.job_id == job_id)
        .group_by(batches.c.decision)
        .order_by(batches.c.decision)
    )
    rows = connection.execute(query).mappings().all()
    settled = _settled(connection, job_id)
    decisions = ledger_reading.header(connection, job_id).decisions
    shots = _first_shots(connection, job_id, [row["first"] for row in rows], decisions)
    return tuple(
        DecisionStanding(
            decision=row["decision"],
            shot=shots[row["first"]],
            pictures=row["pictures"],
            untried=row["untried"],
            open=row["open"],
            settled=tuple(settled.get(row["decision"], ())),
        )
        for row in rows
    )


def _settled(connection: Connection, job_id: str) -> dict[int, list[Settled]]:
    runs, batches = tables.batch_runs, tables.batches
    query = (
        select(
            batches.c.decision,
            runs.c.device,
            func.count(),
            func.sum(batches.c.pictures),
            func.sum(runs.c.total_seconds - runs.c.load_seconds),
        )
        .join_from(runs, batches, and_(batches.c.job_id == runs.c.job_id, batches.c.number == runs.c.number))
        .where(runs.c.job_id == job_id, runs.c.is_late.is_(False), runs.c.denoise_seconds > 0)
        .group_by(batches.c.decision, runs.c.device)
        .order_by(batches.c.decision, runs.c.device)
    )
    found: dict[int, list[Settled]] = {}
    for decision, device, count, pictures, seconds in connection.execute(query):
        settled = Settled(device=device, batches=count, pictures=int(pictures), seconds=float(seconds))
        found.setdefault(decision, []).append(settled)
    return found


def _first_shots(
    connection: Connection, job_id: str, numbers: Sequence[int], decisions: Sequence[Decision]
) -> dict[int, Shot]:
    shots = tables.shots
    query = select(shots).where(shots.c.job_id == job_id, shots.c.batch.in_(numbers), shots.c.position == 0)
    return {
        row["batch"]: ledger_reading.shot_of(row, decisions[row["decision"]].offer)
        for row in connection.execute(query).mappings()
    }


def change(connection: Connection, job_id: str, wanted: Sequence[NewSteps]) -> tuple[ChangedBatches, ...]:
    """Append decisions and hand untried batches to them; what was leased meanwhile stays as it is."""
    if not wanted:
        return ()
    jobs = tables.jobs
    lock = alone(select(jobs.c.job_id).where(jobs.c.job_id == job_id).with_for_update())
    connection.execute(lock[connection.dialect.name])
    header = ledger_reading.header(connection, job_id)
    decisions = list(header.decisions)
    untried = {number: _untried(connection, job_id, number) for number in {one.before for one in wanted}}
    changed: list[ChangedBatches] = []
    for one in wanted:
        numbers = untried[one.before][one.after : one.after + one.batches]
        if not numbers:
            continue
        made = _hand_over(connection, job_id, numbers, one, decisions[one.before], len(decisions))
        changed.append(
            ChangedBatches(
                before=one.before,
                decision=len(decisions),
                batches=len(numbers),
                shots=made,
                steps_before=decisions[one.before].steps,
                steps=one.decision.steps,
                reason=one.reason,
            )
        )
        decisions.append(one.decision)
    text = json.dumps(encode(replace(header, decisions=tuple(decisions))), sort_keys=True, ensure_ascii=False)
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(header_json=text))
    return tuple(changed)


def _untried(connection: Connection, job_id: str, decision: int) -> list[int]:
    batches = tables.batches
    query = (
        select(batches.c.number)
        .where(batches.c.job_id == job_id, batches.c.decision == decision, UNTRIED)
        .order_by(batches.c.rank)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(query).scalars())


def _hand_over(
    connection: Connection,
    job_id: str,
    numbers: Sequence[int],
    wanted: NewSteps,
    before: Decision,
    decision: int,
) -> int:
    shots, batches = tables.shots, tables.batches
    query = select(shots).where(shots.c.job_id == job_id, shots.c.batch.in_(numbers))
    rows = [
        {
            "b_job_id": job_id,
            "b_ordinal": row["ordinal"],
            "decision": decision,
            "shot_key": wanted.key_of(ledger_reading.shot_of(row, before.offer)),
        }
        for row in connection.execute(query).mappings()
    ]
    connection.execute(
        update(shots)
        .where(shots.c.job_id == bindparam("b_job_id"), shots.c.ordinal == bindparam("b_ordinal"))
        .values(decision=bindparam("decision"), shot_key=bindparam("shot_key")),
        rows,
    )
    connection.execute(
        update(batches)
        .where(batches.c.job_id == job_id, batches.c.number.in_(numbers))
        .values(decision=decision)
    )
    return len(rows)


def note(
    connection: Connection,
    job_id: str,
    finish: tuple[float, float],
    left: float,
    changes: Sequence[ChangedBatches],
    now: datetime,
) -> ReplanningRecord:
    """Keep what a round came to."""
    table = tables.replannings
    last = connection.scalar(select(func.max(table.c.number)).where(table.c.job_id == job_id)) or 0
    row: dict[str, Any] = {
        "job_id": job_id,
        "number": last + 1,
        "at": now,
        "left_seconds": left,
        "p50": finish[0],
        "p95": finish[1],
        "at_risk": finish[1] > left,
        "changes_json": json.dumps([encode(one) for one in changes], ensure_ascii=False),
    }
    connection.execute(insert(table), row)
    return _record(row)


def rounds(connection: Connection, job_id: str) -> tuple[ReplanningRecord, ...]:
    """Every round that was kept, in order."""
    table = tables.replannings
    query = select(table).where(table.c.job_id == job_id).order_by(table.c.number)
    return tuple(_record(row) for row in connection.execute(query).mappings())


def _record(row: Any) -> ReplanningRecord:
    return ReplanningRecord(
        job_id=row["job_id"],
        number=row["number"],
        at=row["at"],
        left_seconds=row["left_seconds"],
        p50=row["p50"],
        p95=row["p95"],
        at_risk=row["at_risk"],
        changes=tuple(decode(ChangedBatches, one) for one in json.loads(row["changes_json"])),
    )
