"""Submitting: job, batches, shots and takes in one transaction.

A shot whose key already has a kept artefact starts as ``reused``; nothing is rendered for
it. A batch that is reused as a whole starts settled; a partly reused one keeps its
composition, because the bits of the rest depend on it.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from policy.canonical import decimal_text
from policy.codec import encode
from policy.errors import LedgerFault
from policy.limits import gate_of, rendering_order
from policy.manifest import Shot
from policy.plan import ExecutionPlan
from policy.stacks import AdapterPin, Stack
from policy.tasks import TakeState
from registry import ledger_reading, tables
from registry.bulk import insert_many, insert_unknown
from registry.records import (
    BatchState,
    JobRecord,
    JobState,
    LeasedBatch,
    LeasedChunk,
    LeasedShot,
    PlanHeader,
    ShotCounts,
)

UNFINISHED = tuple(state.value for state in JobState if not state.is_finished)

KNOWN_OUTPUTS = (
    select(tables.shots.c.ordinal, tables.artefacts.c.sha256)
    .join_from(tables.shots, tables.artefacts, tables.shots.c.shot_key == tables.artefacts.c.shot_key)
    .where(tables.shots.c.job_id == bindparam("job_id"), tables.artefacts.c.removed_at.is_(None))
    .order_by(tables.shots.c.ordinal, tables.artefacts.c.made_at, tables.artefacts.c.sha256)
)
ANOTHER_JOB = {
    "sqlite": sqlite.insert(tables.jobs)
    .on_conflict_do_nothing(index_elements=["job_key"], index_where=tables.UNFINISHED_JOB)
    .returning(tables.jobs.c.job_id),
    "postgresql": postgresql.insert(tables.jobs)
    .on_conflict_do_nothing(index_elements=["job_key"], index_where=tables.UNFINISHED_JOB)
    .returning(tables.jobs.c.job_id),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """Who submits, for whom, and when."""

    job_key: str
    actor: str
    owner: str
    labels: tuple[tuple[str, str], ...]
    recipients: tuple[str, ...]
    now: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstLease:
    """For whoever renders what is submitted at once: who, for how long, and how much at most."""

    holder: str
    ttl_seconds: float
    max_batches: int


def submit(
    connection: Connection,
    plan: ExecutionPlan,
    submission: Submission,
    kept: Callable[[str], bool],
    first: FirstLease | None = None,
) -> tuple[JobRecord, LeasedChunk | None]:
    """Write a job and everything under it, or return the unfinished job of the same key.

    With ``first`` it begins as ``ledger_leases.lease_chunk`` would begin it, written so from the start.
    """
    batch_of = _places_in_batches(plan)
    job_id = f"{submission.now:%Y%m%d}-{secrets.token_hex(4)}"
    row = _job_row(job_id, plan, submission)
    if first is not None:
        row |= {"state": JobState.RUNNING, "started_at": submission.now}
    if not _wrote_job(connection, row):
        return replace(_unfinished(connection, submission.job_key), attached=True), None
    for stack in {
        decision.offer.stack.stack_id: decision.offer.stack for decision in plan.decisions
    }.values():
        write_stack(connection, stack)
    insert_many(connection, tables.shots, _shot_rows(job_id, plan, batch_of))
    reused = _kept_artefacts(connection, job_id, kept)
    batches = list(_batch_rows(job_id, plan, reused))
    chunk = None if first is None else _lease(batches, plan, reused, first, submission.now)
    insert_many(connection, tables.batches, batches)
    insert_many(connection, tables.takes, _take_rows(job_id, plan, batch_of, reused, submission.now))
    leased = 0 if chunk is None else sum(len(one.shots) - len(one.reuse) for one in chunk.batches)
    counts = ShotCounts(queued=len(plan.shots) - len(reused) - leased, leased=leased, reused=len(reused))
    return ledger_reading.job_record({"started_at": None, "ended_at": None, **row}, counts), chunk


def _lease(
    rows: list[dict[str, Any]],
    plan: ExecutionPlan,
    reused: Mapping[int, str],
    first: FirstLease,
    now: datetime,
) -> LeasedChunk | None:
    """Mark the most urgent open batches, all of one stack, as leased; rows stand in the order of urgency."""
    lease, expires_at = secrets.token_hex(8), now + timedelta(seconds=first.ttl_seconds)
    no_lease = {"holder": None, "lease": None, "lease_expires_at": None}
    held = {"holder": first.holder, "lease": lease, "lease_expires_at": expires_at}
    picked: list[dict[str, Any]] = []
    for row in rows:
        is_ours = (
            row["state"] is BatchState.QUEUED
            and len(picked) < first.max_batches
            and (not picked or row["stack_id"] == picked[0]["stack_id"])
        )
        row.update({"state": BatchState.LEASED, "runs": 1, **held} if is_ours else no_lease)
        if is_ours:
            picked.append(row)
    if not picked:
        return None
    return LeasedChunk(
        job_id=picked[0]["job_id"],
        lease=lease,
        holder=first.holder,
        stack_id=picked[0]["stack_id"],
        expires_at=expires_at,
        batches=tuple(_leased_batch(row, plan, reused) for row in picked),
    )


def _leased_batch(row: Mapping[str, Any], plan: ExecutionPlan, reused: Mapping[int, str]) -> LeasedBatch:
    job_id, number = row["job_id"], row["number"]
    members = [(ordinal, plan.shots[ordinal]) for ordinal in plan.batches[number].shots]
    return LeasedBatch(
        task_id=f"{job_id}/{number}/1",
        number=number,
        run=1,
        decision=row["decision"],
        width=row["width"],
        height=row["height"],
        frames=row["frames"],
        shots=tuple(
            LeasedShot(
                take_id=ledger_reading.take_name(job_id, ordinal, 1),
                name=planned.shot.name,
                shot_key=planned.shot_key,
                prompt=planned.shot.prompt,
                negative=planned.shot.negative,
                seed=planned.shot.seed,
                inputs=planned.shot.inputs,
                is_settled=ordinal in reused,
            )
            for ordinal, planned in members
        ),
    )


def _places_in_batches(plan: ExecutionPlan) -> list[tuple[int, int]]:
    """(batch, position) of every shot; a plan that leaves a shot out or plans it twice is refused."""
    places: list[tuple[int, int] | None] = [None] * len(plan.shots)
    for number, batch in enumerate(plan.batches):
        for position, index in enumerate(batch.shots):
            if places[index] is not None:
                raise LedgerFault(f"Shot {plan.shots[index].shot.name!r} is in two batches.", "Plan again.")
            places[index] = (number, position)
    whole = [place for place in places if place is not None]
    if len(whole) != len(places) or not places:
        raise LedgerFault("The plan leaves shots without a batch.", "Plan again.")
    return whole


def _job_row(job_id: str, plan: ExecutionPlan, submission: Submission) -> dict[str, Any]:
    manifest = plan.manifest
    return {
        "job_id": job_id,
        "job_key": submission.job_key,
        "name": manifest.name,
        "state": JobState.QUEUED,
        "detail": "",
        "tier": manifest.service.tier.value,
        "deadline": manifest.service.deadline,
        "owner": submission.owner,
        "labels_json": json.dumps(submission.labels),
        "recipients_json": json.dumps(submission.recipients),
        "actor": submission.actor,
        "act": manifest.use.act.value,
        "plan_hash": plan.plan_hash,
        "policy_version": plan.policy_version,
        "header_json": json.dumps(encode(PlanHeader.of(plan)), sort_keys=True, ensure_ascii=False),
        "shot_count": len(plan.shots),
        "max_failed_shots": manifest.max_failed_shots,
        "priority": 0,
        "gate": gate_of(manifest.limits, len(plan.batches)),
        "budget_seconds": manifest.limits.budget_seconds,
        "budget_end": manifest.limits.budget_end.value,
        "submitted_at": submission.now,
    }


def _wrote_job(connection: Connection, row: dict[str, Any]) -> bool:
    """Insert unless an unfinished job has the key; a submitter who races us waits here for our outcome."""
    return connection.execute(ANOTHER_JOB[connection.dialect.name], row).first() is not None


def _unfinished(connection: Connection, job_key: str) -> JobRecord:
    query = select(tables.jobs.c.job_id).where(
        tables.jobs.c.job_key == job_key, tables.jobs.c.state.in_(UNFINISHED)
    )
    return ledger_reading.job(connection, connection.execute(query).scalar_one())


def write_stack(connection: Connection, stack: Stack) -> None:
    """Take a stack apart for recalls; a stack that is known already is left as it is."""
    row = {"stack_id": stack.stack_id, "name": stack.name, "pipeline": stack.pipeline, "dtype": stack.dtype}
    statement = insert_unknown(connection, tables.stacks)
    if connection.execute(statement.returning(tables.stacks.c.stack_id), row).first() is None:
        return
    parts = [
        {
            "stack_id": stack.stack_id,
            "position": position,
            "pin_id": pin.pin_id,
            "repo": pin.repo,
            "revision": pin.revision,
            "role": pin.role.value,
            "scale": decimal_text(pin.scale) if isinstance(pin, AdapterPin) else None,
        }
        for position, pin in enumerate(stack.pins)
    ]
    connection.execute(insert(tables.stack_parts), parts)
    files = [
        {"stack_id": stack.stack_id, "position": position, "path": file.path, "sha256": file.sha256}
        for position, pin in enumerate(stack.pins)
        for file in pin.files
    ]
    if files:
        connection.execute(insert(tables.stack_files), files)


def _shot_rows(job_id: str, plan: ExecutionPlan, places: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    for ordinal, (planned, (batch, position)) in enumerate(zip(plan.shots, places, strict=True)):
        shot = planned.shot
        yield {
            "job_id": job_id,
            "ordinal": ordinal,
            "name": shot.name,
            "shot_key": planned.shot_key,
            "decision": planned.decision,
            "batch": batch,
            "position": position,
            "prompt": shot.prompt,
            "negative": shot.negative,
            "seed": str(shot.seed),
            "width": shot.width,
            "height": shot.height,
            "frames": shot.frames,
            "priority": shot.priority,
            "place": shot.where,
            "asked_json": _asked(shot),
            "inputs_json": json.dumps([encode(given) for given in shot.inputs]) if shot.inputs else None,
        }


def _asked(shot: Shot) -> str | None:
    asked = {"steps": shot.steps, "guidance": shot.guidance, "method": shot.method}
    apart: dict[str, float] = {} if shot.weight == 1.0 else {"weight": shot.weight}
    if shot.fps is not None:
        apart["fps"] = shot.fps
    if not apart and all(value is None for value in asked.values()):
        return None
    return json.dumps(asked | apart)


def _kept_artefacts(connection: Connection, job_id: str, kept: Callable[[str], bool]) -> dict[int, str]:
    """Digest by ordinal for every shot of the job whose key has an artefact that is still there."""
    found: dict[int, str] = {}
    for ordinal, sha256 in connection.execute(KNOWN_OUTPUTS, {"job_id": job_id}):
        if ordinal not in found and kept(sha256):
            found[ordinal] = sha256
    return found


def _batch_rows(job_id: str, plan: ExecutionPlan, reused: dict[int, str]) -> Iterator[dict[str, Any]]:
    urgency = [max(plan.shots[index].shot.priority for index in batch.shots) for batch in plan.batches]
    for rank, number in enumerate(rendering_order(urgency, probes=plan.manifest.limits.probes)):
        batch = plan.batches[number]
        offer = plan.decisions[batch.decision].offer
        first = plan.shots[batch.shots[0]].shot
        is_made = all(index in reused for index in batch.shots)
        yield {
            "job_id": job_id,
            "number": number,
            "decision": batch.decision,
            "stack_id": offer.stack.stack_id,
            "cached_by": offer.preset.name if offer.preset.cache else "",
            "rank": rank,
            "width": first.width,
            "height": first.height,
            "frames": first.frames,
            "pictures": len(batch.shots),
            "state": BatchState.SETTLED if is_made else BatchState.QUEUED,
            "runs": 0,
        }


def _take_rows(
    job_id: str, plan: ExecutionPlan, places: list[tuple[int, int]], reused: dict[int, str], now: datetime
) -> Iterator[dict[str, Any]]:
    for ordinal in range(len(plan.shots)):
        sha256 = reused.get(ordinal)
        yield {
            "job_id": job_id,
            "ordinal": ordinal,
            "attempt": 1,
            "batch": places[ordinal][0],
            "state": TakeState.QUEUED if sha256 is None else TakeState.REUSED,
            "artefact_sha256": sha256,
            "detail": "",
            "settled_at": None if sha256 is None else now,
        }
