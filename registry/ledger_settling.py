"""Settling: what became of a chunk, in one transaction.

A take becomes done only with an artefact, only from queued, and only by the holder of the
newest lease of its batch. Everything else that arrives with a picture is kept as a known
output and counted as late, so that nothing is lost and nothing is overwritten.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, insert, select, update

from policy.canonical import canonical_json, digest_text
from policy.errors import LedgerFault, UnknownName
from policy.tasks import ArtefactRef, BatchResult, FaultKind, TakeResult, TakeState
from registry import tables
from registry.bulk import insert_unknown, write_many
from registry.job_locks import alone, beside_others
from registry.ledger_blame import BLAMED, is_given_up
from registry.ledger_reading import take_name
from registry.records import BatchState, JobState, LeasedBatch, LeasedChunk, SettledChunk


@dataclass(frozen=True, kw_only=True, slots=True)
class _Standing:
    """A shot's standing take, as the database has it."""

    ordinal: int
    attempt: int
    batch: int
    state: TakeState
    shot_key: str


COUNTED = ("done", "failed", "dead", "requeued", "late", "storage_faults")


@dataclass(kw_only=True, slots=True)
class _Writes:
    """Rows to write, gathered while deciding."""

    settled: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    retries: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    artefacts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    runs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    attestations: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    batches: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tally: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))


def settle(
    connection: Connection, chunk: LeasedChunk, results: Sequence[BatchResult], now: datetime
) -> SettledChunk:
    """Read what stands, decide for every result, write everything at once."""
    job_state, max_failed = _locked_job(connection, chunk.job_id, results)
    planned = {batch.task_id: batch for batch in chunk.batches}
    unknown = [result.task_id for result in results if result.task_id not in planned]
    if unknown:
        raise LedgerFault(
            f"Task {unknown[0]!r} is not of this chunk.", "Settle a chunk with its own results."
        )
    numbers = [planned[result.task_id].number for result in results]
    current = _current_batches(connection, chunk, numbers)
    standing = _standing_takes(connection, chunk.job_id, numbers)
    blamed = _earlier_faults(connection, chunk.job_id, _failing_ordinals(results, standing))
    writes = _Writes()
    for result in results:
        batch = planned[result.task_id]
        _note_run(writes, chunk, batch, result, is_late=batch.number not in current, now=now)
        for take in result.takes:
            _decide(
                writes, take, result, _Place(chunk, batch, batch.number in current, now), standing, blamed
            )
    _close_batches(writes, chunk, [number for number in numbers if number in current], standing)
    second = _write(connection, writes)
    if writes.tally["dead"] and max_failed is not None:
        job_state = _hold_beyond(connection, chunk.job_id, max_failed, job_state)
    return SettledChunk(**writes.tally, second_digests=second, job_state=job_state)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a take result belongs."""

    chunk: LeasedChunk
    batch: LeasedBatch
    is_current: bool
    now: datetime


# Reading

# Built once: a chunk is settled every few hundred milliseconds, and building costs more than running.
IN_THESE_BATCHES: BindParameter[Any] = bindparam("numbers", expanding=True)
THE_JOB = select(tables.jobs.c.state, tables.jobs.c.max_failed_shots).where(
    tables.jobs.c.job_id == bindparam("job_id")
)
THE_JOB_LOCKED = alone(THE_JOB.with_for_update())
THE_JOB_SHARED = beside_others(  # no cancel comes between, and other drivers settle beside us
    THE_JOB.where(tables.jobs.c.gate.is_(None), tables.jobs.c.budget_seconds.is_(None)).with_for_update(
        read=True
    )
)
CURRENT_BATCHES = (
    select(tables.batches.c.number)
    .where(
        tables.batches.c.job_id == bindparam("job_id"),
        tables.batches.c.number.in_(IN_THESE_BATCHES),
        tables.batches.c.lease == bindparam("lease"),
        tables.batches.c.state.in_([BatchState.LEASED.value, BatchState.QUEUED.value]),
    )
    .order_by(tables.batches.c.number)
    .with_for_update()
)
STANDING_TAKES = (
    select(
        tables.takes.c.ordinal,
        tables.takes.c.attempt,
        tables.takes.c.batch,
        tables.takes.c.state,
        tables.shots.c.shot_key,
    )
    .join_from(
        tables.shots,
        tables.takes,
        tables.STANDS_FOR_SHOT,
    )
    .where(tables.shots.c.job_id == bindparam("job_id"), tables.shots.c.batch.in_(IN_THESE_BATCHES))
    .order_by(tables.shots.c.batch, tables.shots.c.position)  # so that its index is taken
)
KNOWN_DIGESTS = select(
    tables.artefacts.c.shot_key, tables.artefacts.c.sha256, tables.artefacts.c.removed_at
).where(tables.artefacts.c.shot_key.in_(bindparam("shot_keys", expanding=True)))
MADE_AGAIN = (
    update(tables.artefacts).where(tables.artefacts.c.sha256 == bindparam("b_sha256")).values(removed_at=None)
)
SETTLE_A_TAKE = update(tables.takes).where(
    tables.takes.c.job_id == bindparam("b_job_id"),
    tables.takes.c.ordinal == bindparam("b_ordinal"),
    tables.takes.c.attempt == bindparam("b_attempt"),
)
CLOSE_A_BATCH = (
    update(tables.batches)
    .where(tables.batches.c.job_id == bindparam("b_job_id"), tables.batches.c.number == bindparam("b_number"))
    .values(holder=None, lease=None, lease_expires_at=None, state=bindparam("state"))
)
ANOTHER_TAKE = insert(tables.takes)


def _locked_job(
    connection: Connection, job_id: str, results: Sequence[BatchResult]
) -> tuple[JobState, int | None]:
    """The job, held until the transaction ends: shared, unless this transaction may have to write its row.

    That is where something failed or a limit may be reached; two who share a row and both want to write it
    would wait for each other.
    """
    asked = {"job_id": job_id}
    row, dialect = None, connection.dialect.name
    if all(take.fault is None for result in results for take in result.takes):
        row = connection.execute(THE_JOB_SHARED[dialect], asked).one_or_none()
    if row is None:
        row = connection.execute(THE_JOB_LOCKED[dialect], asked).one_or_none()
    if row is None:
        raise UnknownName(f"There is no job {job_id!r}.", "See: rightstep job list.")
    return JobState(row.state), row.max_failed_shots


def _current_batches(connection: Connection, chunk: LeasedChunk, numbers: list[int]) -> set[int]:
    """Batches that still carry the chunk's token: leased, or run out and taken by nobody."""
    asked = {"job_id": chunk.job_id, "numbers": numbers, "lease": chunk.lease}
    return set(connection.execute(CURRENT_BATCHES, asked).scalars())


def _standing_takes(connection: Connection, job_id: str, numbers: list[int]) -> dict[str, _Standing]:
    """The standing take of every shot in these batches, by take id."""
    return {
        take_name(job_id, ordinal, attempt): _Standing(
            ordinal=ordinal, attempt=attempt, batch=batch, state=TakeState(state), shot_key=shot_key
        )
        for ordinal, attempt, batch, state, shot_key in connection.execute(
            STANDING_TAKES, {"job_id": job_id, "numbers": numbers}
        )
    }


def _failing_ordinals(results: Sequence[BatchResult], standing: dict[str, _Standing]) -> list[int]:
    return [
        standing[take.take_id].ordinal
        for result in results
        for take in result.takes
        if take.fault in BLAMED and take.take_id in standing
    ]


def _earlier_faults(
    connection: Connection, job_id: str, ordinals: list[int]
) -> dict[int, list[tuple[str, FaultKind]]]:
    faults: dict[int, list[tuple[str, FaultKind]]] = {ordinal: [] for ordinal in ordinals}
    if ordinals:
        takes_table = tables.takes
        query = select(takes_table.c.ordinal, takes_table.c.worker, takes_table.c.fault).where(
            takes_table.c.job_id == job_id,
            takes_table.c.ordinal.in_(ordinals),
            takes_table.c.state == TakeState.FAILED,
        )
        for ordinal, worker, fault in connection.execute(query):
            faults[ordinal].append((worker or "", FaultKind(fault or FaultKind.WORKER)))
    return faults


# Deciding


def _decide(
    writes: _Writes,
    take: TakeResult,
    result: BatchResult,
    place: _Place,
    standing: dict[str, _Standing],
    blamed: dict[int, list[tuple[str, FaultKind]]],
) -> None:
    """What one take result changes: done, failed with another attempt, dead, or nothing."""
    take_now = standing.get(take.take_id)
    if take_now is not None and take_now.shot_key != take.shot_key:
        raise LedgerFault(
            f"Take {take.take_id} came back with another shot's key.",
            "Report this: the worker mixed shots up.",
        )
    is_made = take.artefact is not None and take.fault is None
    if take.artefact is not None and is_made:
        writes.artefacts.append(_artefact_row(take, take.artefact, result, place))
    if take_now is None or not place.is_current or take_now.state is not TakeState.QUEUED:
        writes.tally["late"] += is_made
        return
    if is_made:
        _settle_take(writes, take, take_now, TakeState.DONE, result, place)
        writes.tally["done"] += 1
        return
    if take.fault is None or take.fault is FaultKind.CANCELLED:
        writes.tally["requeued"] += 1  # nothing was made and nobody is to blame: lost is never done
        return
    writes.tally["storage_faults"] += take.fault is FaultKind.STORAGE
    faults = [*blamed.get(take_now.ordinal, ()), (result.worker, take.fault)]
    is_dead = is_given_up(faults)
    _settle_take(writes, take, take_now, TakeState.DEAD if is_dead else TakeState.FAILED, result, place)
    writes.tally["dead" if is_dead else "failed"] += 1
    if not is_dead:
        writes.retries.append(
            {
                "job_id": place.chunk.job_id,
                "ordinal": take_now.ordinal,
                "attempt": take_now.attempt + 1,
                "batch": take_now.batch,
                "state": TakeState.QUEUED,
                "detail": "",
            }
        )


def _settle_take(
    writes: _Writes,
    take: TakeResult,
    standing: _Standing,
    state: TakeState,
    result: BatchResult,
    place: _Place,
) -> None:
    is_done = state is TakeState.DONE
    writes.settled.append(
        {
            "b_job_id": place.chunk.job_id,
            "b_ordinal": standing.ordinal,
            "b_attempt": standing.attempt,
            "state": state,
            "run": place.batch.run,
            "worker": result.worker,
            "artefact_sha256": take.artefact.sha256 if is_done and take.artefact is not None else None,
            "fault": None if take.fault is None else take.fault.value,
            "detail": take.detail,
            "seconds": take.seconds,
            "settled_at": place.now,
        }
    )


def _artefact_row(
    take: TakeResult, artefact: ArtefactRef, result: BatchResult, place: _Place
) -> dict[str, Any]:
    figures = take.figures
    return {
        "shot_key": take.shot_key,
        "sha256": artefact.sha256,
        "size": artefact.size,
        "media_type": artefact.media_type,
        "provenance_sha256": None if take.provenance is None else take.provenance.sha256,
        "stack_id": result.stack_id,
        "job_id": place.chunk.job_id,
        "ordinal": int(take.take_id.split("/")[1]),
        "batch": place.batch.number,
        "run": place.batch.run,
        "saturation": None if figures is None else figures.saturation,
        "clipping": None if figures is None else figures.clipping,
        "contrast": None if figures is None else figures.contrast,
        "luminance": None if figures is None else figures.luminance,
        "motion": None if figures is None else figures.motion,
        "sound_sha256": None if take.sound is None else take.sound.sha256,
        "loudness": None if figures is None else figures.loudness,
        "sound_clipping": None if figures is None else figures.sound_clipping,
        "made_at": place.now,
    }


def _note_run(
    writes: _Writes,
    chunk: LeasedChunk,
    batch: LeasedBatch,
    result: BatchResult,
    *,
    is_late: bool,
    now: datetime,
) -> None:
    attestation_id, attested = _attestation(
        result.stack_id, result.worker, result.device, result.loaded, result.timesteps, result.versions
    )
    writes.attestations[attestation_id] = attested
    writes.runs.append(
        {
            "job_id": chunk.job_id,
            "number": batch.number,
            "lease": chunk.lease,
            "run": batch.run,
            "holder": chunk.holder,
            "worker": result.worker,
            "device": result.device,
            "attestation_id": attestation_id,
            "rows": result.rows,
            "steps": result.steps,
            "load_seconds": result.load_seconds,
            "denoise_seconds": result.denoise_seconds,
            "total_seconds": result.total_seconds,
            "is_late": is_late,
            "settled_at": now,
        }
    )


@lru_cache(maxsize=64)  # a worker attests the same for every batch of a stack
def _attestation(
    stack_id: str,
    worker: str,
    device: str,
    loaded: tuple[tuple[str, str], ...],
    timesteps: tuple[float, ...],
    versions: tuple[tuple[str, str], ...],
) -> tuple[str, dict[str, Any]]:
    facts = {
        "stack_id": stack_id,
        "worker": worker,
        "device": device,
        "loaded_json": json.dumps(loaded),
        "timesteps_json": json.dumps(timesteps),
        "versions_json": json.dumps(versions),
    }
    attestation_id = digest_text("attestation", canonical_json(facts))
    return attestation_id, {"attestation_id": attestation_id, **facts}


def _close_batches(
    writes: _Writes, chunk: LeasedChunk, numbers: list[int], standing: dict[str, _Standing]
) -> None:
    """A batch is settled when every take in it is terminal; else it is queued again, its lease spent."""
    terminal = {row["b_ordinal"] for row in writes.settled} - {row["ordinal"] for row in writes.retries}
    open_batches = {
        take.batch
        for take in standing.values()
        if take.state is TakeState.QUEUED and take.ordinal not in terminal
    }
    for number in numbers:
        state = BatchState.QUEUED if number in open_batches else BatchState.SETTLED
        writes.batches.append({"b_job_id": chunk.job_id, "b_number": number, "state": state})


# Writing


def _write(connection: Connection, writes: _Writes) -> tuple[str, ...]:
    """Write what was decided; returns the shot keys that got a second digest.

    What was removed once and is made again is there again, for whoever orders it next.
    """
    write_many(connection, SETTLE_A_TAKE, writes.settled)
    write_many(connection, ANOTHER_TAKE, writes.retries)
    write_many(
        connection, insert_unknown(connection, tables.attestations), list(writes.attestations.values())
    )
    write_many(connection, insert_unknown(connection, tables.batch_runs), writes.runs)
    second = _second_digests(connection, writes.artefacts) if writes.artefacts else ()
    write_many(connection, insert_unknown(connection, tables.artefacts), writes.artefacts)
    write_many(connection, CLOSE_A_BATCH, writes.batches)
    return second


def _second_digests(connection: Connection, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    known: dict[str, set[str]] = {}
    asked = {"shot_keys": [row["shot_key"] for row in rows]}
    removed: set[str] = set()
    for shot_key, sha256, removed_at in connection.execute(KNOWN_DIGESTS, asked):
        known.setdefault(shot_key, set()).add(sha256)
        if removed_at is not None:
            removed.add(sha256)
    again = sorted(removed & {row["sha256"] for row in rows})
    write_many(connection, MADE_AGAIN, [{"b_sha256": sha256} for sha256 in again])
    second: set[str] = set()
    for row in rows:
        digests = known.setdefault(row["shot_key"], set())
        if digests and row["sha256"] not in digests:
            second.add(row["shot_key"])
        digests.add(row["sha256"])
    return tuple(sorted(second))


def _hold_beyond(connection: Connection, job_id: str, max_failed: int, state: JobState) -> JobState:
    """Hold a running job whose dead shots exceed what its manifest allows."""
    takes_table = tables.takes
    dead = connection.execute(
        select(func.count()).where(takes_table.c.job_id == job_id, takes_table.c.state == TakeState.DEAD)
    ).scalar_one()
    if dead <= max_failed or state is not JobState.RUNNING:
        return state
    connection.execute(
        update(tables.jobs)
        .where(tables.jobs.c.job_id == job_id)
        .values(
            state=JobState.HELD,
            detail=f"{dead} shots are given up, more than the {max_failed} that the manifest allows.",
        )
    )
    return JobState.HELD
