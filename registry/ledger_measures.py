"""What the ledger measured: figures for the output checks, costs for policy, attested loads, holds."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Integer, Select, and_, bindparam, func, or_, select, update

from policy.costs import CostKey, CostSample
from policy.errors import UnknownName
from policy.forecast import SettledBatch
from policy.tasks import TakeState
from registry import tables
from registry.bulk import insert_unknown
from registry.instants import Instant
from registry.ledger_blame import BLAMED
from registry.ledger_reading import BATCH_OF_A_TAKE, figures_of
from registry.records import Attestation, DecisionFigures, DeviceWork, HeldShot, ShotFigures, WorkerFaults

MADE = (TakeState.DONE.value, TakeState.REUSED.value)
SHOT_OF_A_TAKE = and_(
    tables.shots.c.job_id == tables.takes.c.job_id, tables.shots.c.ordinal == tables.takes.c.ordinal
)
ARTEFACT_OF_A_TAKE = and_(
    tables.artefacts.c.shot_key == tables.shots.c.shot_key,
    tables.artefacts.c.sha256 == tables.takes.c.artefact_sha256,
)
BEFORE_ANY = datetime(1970, 1, 1, tzinfo=UTC)
LAST_SETTLED = select(func.max(tables.batch_runs.c.settled_at, type_=Instant))
SETTLED_SINCE = select(func.count()).select_from(
    select(tables.batch_runs.c.settled_at)
    .where(tables.batch_runs.c.settled_at >= bindparam("moment", type_=Instant))
    .limit(bindparam("most", type_=Integer))
    .subquery("since")
)


def _loaded_for_the_job() -> Select[Any]:
    """Attestations of every made picture, each with the number of runs that it stands for."""
    takes_table, runs, attested = tables.takes, tables.batch_runs, tables.attestations
    made = (  # gathered first: else SQLite walks every take of the job once for each run
        select(takes_table.c.batch, takes_table.c.run)
        .where(takes_table.c.job_id == bindparam("job_id"), takes_table.c.state == TakeState.DONE)
        .distinct()
        .subquery("made")
    )
    own = (
        select(runs.c.attestation_id, runs.c.job_id, runs.c.number, runs.c.run)
        .select_from(made)
        .join(runs, and_(runs.c.number == made.c.batch, runs.c.run == made.c.run))
        .where(runs.c.job_id == bindparam("job_id"))
    )
    reused = (
        select(runs.c.attestation_id, runs.c.job_id, runs.c.number, runs.c.run)
        .select_from(takes_table)
        .join(tables.shots, SHOT_OF_A_TAKE)
        .join(tables.artefacts, ARTEFACT_OF_A_TAKE)
        .join(
            runs,
            and_(
                runs.c.job_id == tables.artefacts.c.job_id,
                runs.c.number == tables.artefacts.c.batch,
                runs.c.run == tables.artefacts.c.run,
            ),
        )
        .where(takes_table.c.job_id == bindparam("job_id"), takes_table.c.state == TakeState.REUSED)
    )
    used = own.union(reused).subquery()
    return (
        select(attested, func.count().label("batches"))
        .join_from(attested, used, used.c.attestation_id == attested.c.attestation_id)
        .group_by(*attested.c)
        .order_by(attested.c.stack_id, attested.c.worker, attested.c.attestation_id)
    )


LOADED_FOR_THE_JOB = _loaded_for_the_job()
HOLDS_OF_THE_JOB = (
    select(tables.quality_holds, tables.shots.c.name)
    .join_from(
        tables.quality_holds,
        tables.shots,
        and_(
            tables.shots.c.job_id == tables.quality_holds.c.job_id,
            tables.shots.c.ordinal == tables.quality_holds.c.ordinal,
        ),
    )
    .where(tables.quality_holds.c.job_id == bindparam("job_id"))
    .order_by(tables.quality_holds.c.ordinal, tables.quality_holds.c.code)
)


def figures(connection: Connection, job_id: str) -> tuple[DecisionFigures, ...]:
    """Figures of every made picture that was measured, grouped by decision, in the order of the plan."""
    artefacts_table, shots_table = tables.artefacts, tables.shots
    query = (
        select(
            shots_table.c.decision,
            shots_table.c.ordinal,
            shots_table.c.name,
            artefacts_table.c.stack_id,
            artefacts_table.c.saturation,
            artefacts_table.c.clipping,
            artefacts_table.c.contrast,
            artefacts_table.c.luminance,
            artefacts_table.c.motion,
            artefacts_table.c.loudness,
            artefacts_table.c.sound_clipping,
        )
        .select_from(tables.takes)
        .join(shots_table, SHOT_OF_A_TAKE)
        .join(artefacts_table, ARTEFACT_OF_A_TAKE)
        .where(tables.takes.c.job_id == job_id, tables.takes.c.state.in_(MADE))
        .order_by(shots_table.c.decision, shots_table.c.ordinal)
    )
    grouped: dict[tuple[int, str], list[ShotFigures]] = {}
    for row in connection.execute(query).mappings():
        measured = figures_of(row)
        if measured is not None:
            shot = ShotFigures(ordinal=row["ordinal"], shot=row["name"], figures=measured)
            grouped.setdefault((row["decision"], row["stack_id"]), []).append(shot)
    return tuple(
        DecisionFigures(decision=decision, stack_id=stack_id, pictures=tuple(pictures))
        for (decision, stack_id), pictures in grouped.items()
    )


def cost_samples(connection: Connection, limit: int) -> tuple[CostSample, ...]:
    """Measured batches, newest first; one that shared its forward passes with others tells no rows."""
    runs, batches_table, stacks_table = tables.batch_runs, tables.batches, tables.stacks
    query = (
        select(
            batches_table.c.stack_id,
            stacks_table.c.pipeline,
            batches_table.c.width,
            batches_table.c.height,
            batches_table.c.frames,
            batches_table.c.pictures,
            batches_table.c.cached_by,
            runs.c.device,
            runs.c.rows,
            runs.c.steps,
            runs.c.denoise_seconds,
            runs.c.load_seconds,
            runs.c.total_seconds,
        )
        .select_from(runs)
        .join(
            batches_table,
            and_(batches_table.c.job_id == runs.c.job_id, batches_table.c.number == runs.c.number),
        )
        .join(stacks_table, stacks_table.c.stack_id == batches_table.c.stack_id)
        .where(runs.c.is_late.is_(False), runs.c.denoise_seconds > 0, runs.c.rows > 0)
        .order_by(runs.c.settled_at.desc(), runs.c.number)
        .limit(limit)
    )
    return tuple(
        CostSample(
            key=CostKey(
                stack_id=row["stack_id"],
                pipeline=row["pipeline"],
                width=row["width"],
                height=row["height"],
                frames=row["frames"],
                device=row["device"],
                cached_by=row["cached_by"],
            ),
            pictures=row["pictures"],
            rows=row["rows"],
            steps=row["steps"],
            denoise_seconds=row["denoise_seconds"],
            total_seconds=max(row["denoise_seconds"], row["total_seconds"] - row["load_seconds"]),
        )
        for row in connection.execute(query).mappings()
    )


def last_settled(connection: Connection) -> datetime:
    """The newest moment of the index of settled batches."""
    return connection.execute(LAST_SETTLED).scalar() or BEFORE_ANY


def settled_since(connection: Connection, moment: datetime, at_most: int) -> int:
    """A walk along the end of an index, no further than asked."""
    return connection.execute(SETTLED_SINCE, {"moment": moment, "most": at_most}).scalar_one()


def settled_batches(connection: Connection, job_id: str) -> tuple[SettledBatch, ...]:
    """Every batch of a job that counted, in the order in which they were settled."""
    runs, batches_table, jobs_table = tables.batch_runs, tables.batches, tables.jobs
    query = (
        select(
            batches_table.c.decision,
            batches_table.c.pictures,
            runs.c.load_seconds,
            runs.c.total_seconds,
            runs.c.settled_at,
            jobs_table.c.started_at,
        )
        .select_from(runs)
        .join(
            batches_table,
            and_(batches_table.c.job_id == runs.c.job_id, batches_table.c.number == runs.c.number),
        )
        .join(jobs_table, jobs_table.c.job_id == runs.c.job_id)
        .where(runs.c.job_id == job_id, runs.c.is_late.is_(False), runs.c.denoise_seconds > 0)
        .order_by(runs.c.settled_at, runs.c.number)
    )
    return tuple(
        SettledBatch(
            decision=row["decision"],
            pictures=row["pictures"],
            seconds=max(0.0, row["total_seconds"] - row["load_seconds"]),
            load_seconds=row["load_seconds"],
            at=(row["settled_at"] - row["started_at"]).total_seconds(),
        )
        for row in connection.execute(query).mappings()
    )


def load_seconds(connection: Connection, job_id: str) -> float:
    """Seconds that workers spent making stacks resident for a job."""
    query = select(func.sum(tables.batch_runs.c.load_seconds)).where(tables.batch_runs.c.job_id == job_id)
    return float(connection.scalar(query) or 0.0)


def device_work(connection: Connection, job_id: str) -> tuple[DeviceWork, ...]:
    """What each device class really did for a job, by name; batches that came too late are counted too."""
    runs = tables.batch_runs
    query = (
        select(
            runs.c.device,
            func.count(),
            func.sum(runs.c.total_seconds - runs.c.load_seconds),
            func.sum(runs.c.load_seconds),
        )
        .where(runs.c.job_id == job_id, runs.c.device != "")
        .group_by(runs.c.device)
        .order_by(runs.c.device)
    )
    return tuple(
        DeviceWork(device=device, batches=count, seconds=float(seconds), load_seconds=float(loads))
        for device, count, seconds, loads in connection.execute(query)
    )


def attestations(connection: Connection, job_id: str) -> tuple[Attestation, ...]:
    """What was loaded for every made picture: by its own run or, where reused, by the run that made it."""
    rows = connection.execute(LOADED_FOR_THE_JOB, {"job_id": job_id}).mappings()
    return tuple(
        Attestation(
            stack_id=row["stack_id"],
            worker=row["worker"],
            device=row["device"],
            loaded=tuple((path, sha256) for path, sha256 in json.loads(row["loaded_json"])),
            timesteps=tuple(json.loads(row["timesteps_json"])),
            versions=tuple((name, version) for name, version in json.loads(row["versions_json"])),
            batches=row["batches"],
        )
        for row in rows
    )


def worker_faults(connection: Connection, job_id: str) -> tuple[WorkerFaults, ...]:
    """How many shots of each stack failed on each worker."""
    takes_table, batches_table = tables.takes, tables.batches
    failed = func.count(takes_table.c.ordinal.distinct())
    query = (
        select(takes_table.c.worker, batches_table.c.stack_id, failed)
        .select_from(takes_table)
        .join(batches_table, BATCH_OF_A_TAKE)
        .where(
            takes_table.c.job_id == job_id,
            takes_table.c.state.in_([TakeState.FAILED.value, TakeState.DEAD.value]),
            takes_table.c.fault.in_([kind.value for kind in BLAMED]),
        )
        .group_by(takes_table.c.worker, batches_table.c.stack_id)
        .order_by(failed.desc(), takes_table.c.worker)
    )
    return tuple(
        WorkerFaults(worker=worker or "", stack_id=stack_id, shots=shots)
        for worker, stack_id, shots in connection.execute(query)
    )


def hold_shots(
    connection: Connection, job_id: str, names: Sequence[str], code: str, detail: str, now: datetime
) -> None:
    """Hold these shots under a code; a name that the job does not have is UnknownName."""
    shots_table = tables.shots
    query = select(shots_table.c.name, shots_table.c.ordinal).where(
        shots_table.c.job_id == job_id, or_(shots_table.c.name.in_(names))
    )
    ordinals = dict(connection.execute(query).all())
    unknown = [name for name in names if name not in ordinals]
    if unknown:
        raise UnknownName(f"Job {job_id} has no shot {unknown[0]!r}.", f"See: rightstep job show {job_id}.")
    if ordinals:
        rows = [
            {"job_id": job_id, "ordinal": ordinal, "code": code, "detail": detail, "held_at": now}
            for ordinal in ordinals.values()
        ]
        connection.execute(insert_unknown(connection, tables.quality_holds), rows)


def holds(connection: Connection, job_id: str) -> tuple[HeldShot, ...]:
    """Every hold, in the order of the plan."""
    rows = connection.execute(HOLDS_OF_THE_JOB, {"job_id": job_id}).mappings()
    return tuple(
        HeldShot(
            ordinal=row["ordinal"],
            shot=row["name"],
            code=row["code"],
            detail=row["detail"],
            held_at=row["held_at"],
            released_by=row["released_by"],
            released_because=row["released_because"],
        )
        for row in rows
    )


def release_holds(connection: Connection, job_id: str, actor: str, because: str, now: datetime) -> int:
    """Release every open hold of a job."""
    held = tables.quality_holds
    return connection.execute(
        update(held)
        .where(held.c.job_id == job_id, held.c.released_by.is_(None))
        .values(released_by=actor, released_because=because, released_at=now)
    ).rowcount
