"""Reading the ledger: jobs, their plan, shots and takes as frozen values."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select

from policy.codec import decode
from policy.errors import UnknownName
from policy.limits import BudgetEnd
from policy.manifest import Shot, ShotInput
from policy.menu import Offer
from policy.plan import ExecutionPlan, PlannedBatch, PlannedShot
from policy.tasks import FaultKind, PictureFigures, TakeState
from registry import tables
from registry.job_locks import alone
from registry.records import (
    ArtefactRecord,
    BatchState,
    JobRecord,
    JobState,
    PlanHeader,
    ShotCounts,
    ShotRecord,
    TakeRecord,
    WorkCounts,
)

# A take is leased when it is queued in a batch that is leased.
STATE_OF_A_TAKE = case(
    (
        and_(tables.takes.c.state == TakeState.QUEUED, tables.batches.c.state == BatchState.LEASED),
        TakeState.LEASED.value,
    ),
    else_=tables.takes.c.state,
)
BATCH_OF_A_TAKE = and_(
    tables.batches.c.job_id == tables.takes.c.job_id, tables.batches.c.number == tables.takes.c.batch
)


# The stored plan of a job is large and rarely asked for.
JOB_COLUMNS = tuple(column for column in tables.jobs.c if column is not tables.jobs.c.header_json)


# Built once: whoever waits for a picture has each of these asked, and building costs more than running.
THE_JOB = select(*JOB_COLUMNS).where(tables.jobs.c.job_id == bindparam("job_id"))
THE_JOB_LOCKED = alone(THE_JOB.with_for_update())
STATE_OF_THE_JOB = select(tables.jobs.c.state).where(tables.jobs.c.job_id == bindparam("job_id"))
STATE_LOCKED = alone(STATE_OF_THE_JOB.with_for_update())
DEADLINE_OF_THE_JOB = select(tables.jobs.c.deadline).where(tables.jobs.c.job_id == bindparam("job_id"))
HEADER_OF_THE_JOB = select(tables.jobs.c.header_json).where(tables.jobs.c.job_id == bindparam("job_id"))
TAKES_BY_STATE = (
    select(tables.takes.c.state, func.count())
    .where(tables.takes.c.job_id == bindparam("job_id"))
    .group_by(tables.takes.c.state)
)
# Batch by batch along an index: PostgreSQL without statistics would compare every take with every batch.
OPEN_IN_THE_BATCH = (
    select(func.count())
    .select_from(tables.takes)
    .where(
        tables.takes.c.job_id == tables.batches.c.job_id,
        tables.takes.c.state == TakeState.QUEUED,
        tables.takes.c.batch == tables.batches.c.number,
    )
    .correlate(tables.batches)
    .scalar_subquery()
)
LEASED_TAKES = select(func.coalesce(func.sum(OPEN_IN_THE_BATCH), 0)).where(
    tables.batches.c.job_id == bindparam("job_id"), tables.batches.c.state == BatchState.LEASED
)
SHOTS_OF_THE_JOB = (
    select(
        tables.shots,
        STATE_OF_A_TAKE.label("take_state"),
        tables.takes.c.attempt,
        tables.takes.c.worker,
        tables.takes.c.detail,
        tables.takes.c.seconds,
        tables.artefacts.c.sha256,
        tables.artefacts.c.size,
        tables.artefacts.c.media_type,
        tables.artefacts.c.provenance_sha256,
        tables.artefacts.c.stack_id,
        tables.artefacts.c.job_id.label("maker"),
        tables.artefacts.c.saturation,
        tables.artefacts.c.clipping,
        tables.artefacts.c.contrast,
        tables.artefacts.c.luminance,
        tables.artefacts.c.motion,
        tables.artefacts.c.sound_sha256,
        tables.artefacts.c.loudness,
        tables.artefacts.c.sound_clipping,
        tables.artefacts.c.made_at,
    )
    .select_from(tables.shots)
    .join(
        tables.takes,
        tables.STANDS_FOR_SHOT,
    )
    .join(tables.batches, BATCH_OF_A_TAKE)
    .outerjoin(
        tables.artefacts,
        and_(
            tables.artefacts.c.shot_key == tables.shots.c.shot_key,
            tables.artefacts.c.sha256 == tables.takes.c.artefact_sha256,
        ),
    )
    .where(tables.shots.c.job_id == bindparam("job_id"))
)
EVERY_SHOT = SHOTS_OF_THE_JOB.order_by(tables.shots.c.ordinal)


def take_name(job_id: str, ordinal: int, attempt: int) -> str:
    """The id of a take: job, place in the plan, attempt."""
    return f"{job_id}/{ordinal}/{attempt}"


def inputs_of(text: str | None) -> tuple[ShotInput, ...]:
    """The input files of a shot as they were stored."""
    return () if text is None else tuple(decode(ShotInput, item) for item in json.loads(text))


def job(connection: Connection, id_or_prefix: str, *, lock: bool = False) -> JobRecord:
    """The one job of this id or prefix; ``lock`` holds the row of an id until the transaction ends."""
    query = THE_JOB_LOCKED[connection.dialect.name] if lock else THE_JOB
    chosen = connection.execute(query, {"job_id": id_or_prefix}).mappings().all()
    if not chosen:
        beginning = tables.jobs.c.job_id.startswith(id_or_prefix, autoescape=True)
        chosen = connection.execute(select(*JOB_COLUMNS).where(beginning).limit(2)).mappings().all()
    if len(chosen) != 1 or not id_or_prefix:
        what = "Several jobs begin with" if chosen else "There is no job"
        raise UnknownName(f"{what} {id_or_prefix!r}.", "See: rightstep job list.")
    return job_record(chosen[0], counts(connection, chosen[0]["job_id"]))


def state(connection: Connection, job_id: str, *, lock: bool = False) -> JobState:
    """Where the job of an id stands, without a look at its shots."""
    query = STATE_LOCKED[connection.dialect.name] if lock else STATE_OF_THE_JOB
    found = connection.execute(query, {"job_id": job_id}).scalar_one_or_none()
    if found is None:
        raise UnknownName(f"There is no job {job_id!r}.", "See: rightstep job list.")
    return JobState(found)


def deadline(connection: Connection, job_id: str) -> datetime | None:
    """When the job of an id is due, without a look at its shots."""
    return connection.execute(DEADLINE_OF_THE_JOB, {"job_id": job_id}).scalar_one()


def jobs(
    connection: Connection, states: Sequence[JobState], limit: int, after: str | None
) -> tuple[JobRecord, ...]:
    """Jobs, newest first."""
    jobs_table = tables.jobs
    query = select(*JOB_COLUMNS).order_by(jobs_table.c.submitted_at.desc(), jobs_table.c.job_id).limit(limit)
    if states:
        query = query.where(jobs_table.c.state.in_([state.value for state in states]))
    if after is not None:
        last = job(connection, after)
        at = jobs_table.c.submitted_at
        same = and_(at == last.submitted_at, jobs_table.c.job_id > last.job_id)
        query = query.where(or_(at < last.submitted_at, same))
    rows = connection.execute(query).mappings().all()
    return tuple(job_record(row, counts(connection, row["job_id"])) for row in rows)


def standing_work(connection: Connection) -> WorkCounts:
    """One pass over the jobs, and one over the takes of those that are not over."""
    jobs_table, takes = tables.jobs, tables.takes
    by_state = select(jobs_table.c.state, func.count()).group_by(jobs_table.c.state)
    found = dict(connection.execute(by_state).all())
    unfinished = [state.value for state in JobState if not state.is_finished]
    open_jobs = select(jobs_table.c.job_id).where(jobs_table.c.state.in_(unfinished))
    open_shots = (
        select(func.count())
        .select_from(takes)
        .where(takes.c.job_id.in_(open_jobs), takes.c.state == TakeState.QUEUED)
    )
    return WorkCounts(
        jobs=tuple((state, found.get(state.value, 0)) for state in JobState),
        open_shots=connection.execute(open_shots).scalar_one(),
    )


def counts(connection: Connection, job_id: str) -> ShotCounts:
    """How many shots stand where: one pass over the index of the job's takes, one over its leased batches."""
    asked = {"job_id": job_id}
    by_state = dict(connection.execute(TAKES_BY_STATE, asked).all())
    leased = int(connection.execute(LEASED_TAKES, asked).scalar_one()) if TakeState.QUEUED in by_state else 0
    return ShotCounts(
        queued=by_state.get(TakeState.QUEUED, 0) - leased,
        leased=leased,
        done=by_state.get(TakeState.DONE, 0),
        reused=by_state.get(TakeState.REUSED, 0),
        dead=by_state.get(TakeState.DEAD, 0),
        cancelled=by_state.get(TakeState.CANCELLED, 0),
        eaten=by_state.get(TakeState.EATEN, 0),
        failed_takes=by_state.get(TakeState.FAILED, 0),
    )


def job_record(row: Any, shot_counts: ShotCounts) -> JobRecord:
    """A job from its row."""
    return JobRecord(
        job_id=row["job_id"],
        job_key=row["job_key"],
        name=row["name"],
        state=JobState(row["state"]),
        detail=row["detail"],
        tier=row["tier"],
        deadline=row["deadline"],
        owner=row["owner"],
        labels=tuple((key, value) for key, value in json.loads(row["labels_json"])),
        recipients=tuple(json.loads(row["recipients_json"])),
        actor=row["actor"],
        act=row["act"],
        plan_hash=row["plan_hash"],
        policy_version=row["policy_version"],
        max_failed_shots=row["max_failed_shots"],
        submitted_at=row["submitted_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        counts=shot_counts,
        priority=row["priority"],
        budget_seconds=row["budget_seconds"],
        budget_end=BudgetEnd(row["budget_end"]),
    )


def header(connection: Connection, job_id: str) -> PlanHeader:
    """The stored plan without shots and batches."""
    text = connection.execute(HEADER_OF_THE_JOB, {"job_id": job_id}).scalar_one_or_none()
    if text is None:
        raise UnknownName(f"There is no job {job_id!r}.", "See: rightstep job list.")
    return decode(PlanHeader, json.loads(text))


def plan(connection: Connection, job_id: str) -> ExecutionPlan:
    """Put the plan together again from its header and its rows."""
    stored = header(connection, job_id)
    shots_table = tables.shots
    query = select(shots_table).where(shots_table.c.job_id == job_id).order_by(shots_table.c.ordinal)
    planned: list[PlannedShot] = []
    members: dict[int, list[tuple[int, int]]] = {}
    for row in connection.execute(query).mappings():
        offer = stored.decisions[row["decision"]].offer
        shot = shot_of(row, offer)
        planned.append(PlannedShot(shot=shot, decision=row["decision"], shot_key=row["shot_key"]))
        members.setdefault(row["batch"], []).append((row["position"], row["ordinal"]))
    batches = tuple(
        PlannedBatch(
            decision=planned[places[0][1]].decision, shots=tuple(ordinal for _, ordinal in sorted(places))
        )
        for _, places in sorted(members.items())
    )
    return ExecutionPlan(
        plan_hash=stored.plan_hash,
        policy_version=stored.policy_version,
        manifest=replace(stored.manifest, shots=tuple(item.shot for item in planned)),
        decisions=stored.decisions,
        shots=tuple(planned),
        batches=batches,
        totals=stored.totals,
        warnings=stored.warnings,
        made_at=stored.made_at,
    )


def shot_of(row: Any, offer: Offer) -> Shot:
    """The shot as it was asked for, from its row and the offer that its decision runs."""
    asked: dict[str, Any] = json.loads(row["asked_json"]) if row["asked_json"] else {}
    return Shot(
        name=row["name"],
        prompt=row["prompt"],
        model=offer.model,
        negative=row["negative"],
        seed=int(row["seed"]),
        width=row["width"],
        height=row["height"],
        frames=row["frames"],
        loras=offer.loras,
        inputs=inputs_of(row["inputs_json"]),
        priority=row["priority"],
        where=row["place"],
        **asked,
    )


def shots(connection: Connection, job_id: str) -> tuple[ShotRecord, ...]:
    """Every shot with its standing take and its artefact."""
    return tuple(_shot_record(row) for row in connection.execute(EVERY_SHOT, {"job_id": job_id}).mappings())


def shots_after(connection: Connection, job_id: str, ordinal: int, limit: int) -> tuple[ShotRecord, ...]:
    """A part of the shots, in the order of the plan."""
    place = tables.shots.c.ordinal
    query = SHOTS_OF_THE_JOB.where(place > ordinal).order_by(place).limit(limit)
    return tuple(_shot_record(row) for row in connection.execute(query, {"job_id": job_id}).mappings())


def shot(connection: Connection, job_id: str, name: str) -> ShotRecord:
    """One shot."""
    query = SHOTS_OF_THE_JOB.where(tables.shots.c.name == name)
    row = connection.execute(query, {"job_id": job_id}).mappings().one_or_none()
    if row is None:
        raise UnknownName(f"Job {job_id} has no shot {name!r}.", f"See: rightstep job show {job_id} --shots.")
    return _shot_record(row)


def _shot_record(row: Any) -> ShotRecord:
    return ShotRecord(
        job_id=row["job_id"],
        ordinal=row["ordinal"],
        name=row["name"],
        shot_key=row["shot_key"],
        decision=row["decision"],
        batch=row["batch"],
        prompt=row["prompt"],
        negative=row["negative"],
        seed=int(row["seed"]),
        width=row["width"],
        height=row["height"],
        frames=row["frames"],
        priority=row["priority"],
        where=row["place"],
        inputs=inputs_of(row["inputs_json"]),
        state=TakeState(row["take_state"]),
        take_id=take_name(row["job_id"], row["ordinal"], row["attempt"]),
        attempts=row["attempt"],
        worker=row["worker"],
        detail=row["detail"],
        seconds=row["seconds"],
        artefact=None if row["sha256"] is None else _artefact_record(row),
    )


def _artefact_record(row: Any) -> ArtefactRecord:
    return ArtefactRecord(
        shot_key=row["shot_key"],
        sha256=row["sha256"],
        size=row["size"],
        media_type=row["media_type"],
        provenance_sha256=row["provenance_sha256"],
        stack_id=row["stack_id"],
        job_id=row["maker"],
        figures=figures_of(row),
        sound_sha256=row["sound_sha256"],
        made_at=row["made_at"],
    )


def figures_of(row: Any) -> PictureFigures | None:
    """The measured figures of an artefact row; None where nothing was measured."""
    if row["saturation"] is None:
        return None
    return PictureFigures(
        saturation=row["saturation"],
        clipping=row["clipping"],
        contrast=row["contrast"],
        luminance=row["luminance"],
        motion=row["motion"],
        loudness=row["loudness"],
        sound_clipping=row["sound_clipping"],
    )


def finish_times(connection: Connection, job_id: str) -> tuple[datetime, ...]:
    """When takes were done, in order."""
    takes_table = tables.takes
    query = (
        select(takes_table.c.settled_at)
        .where(takes_table.c.job_id == job_id, takes_table.c.state == TakeState.DONE)
        .order_by(takes_table.c.settled_at)
    )
    return tuple(moment for moment in connection.scalars(query) if moment is not None)


def takes(connection: Connection, job_id: str, *, with_fault: bool = False) -> tuple[TakeRecord, ...]:
    """Every attempt, in order; or only those that ended with a fault."""
    takes_table = tables.takes
    query = (
        select(takes_table, STATE_OF_A_TAKE.label("take_state"), tables.shots.c.name)
        .select_from(takes_table)
        .join(tables.batches, BATCH_OF_A_TAKE)
        .join(
            tables.shots,
            and_(
                tables.shots.c.job_id == takes_table.c.job_id,
                tables.shots.c.ordinal == takes_table.c.ordinal,
            ),
        )
        .where(takes_table.c.job_id == job_id)
        .order_by(takes_table.c.ordinal, takes_table.c.attempt)
    )
    if with_fault:
        query = query.where(takes_table.c.fault.is_not(None))
    return tuple(
        TakeRecord(
            take_id=take_name(row["job_id"], row["ordinal"], row["attempt"]),
            job_id=row["job_id"],
            ordinal=row["ordinal"],
            shot=row["name"],
            attempt=row["attempt"],
            state=TakeState(row["take_state"]),
            batch=row["batch"],
            run=row["run"],
            worker=row["worker"],
            artefact_sha256=row["artefact_sha256"],
            fault=None if row["fault"] is None else FaultKind(row["fault"]),
            detail=row["detail"],
            seconds=row["seconds"],
            settled_at=row["settled_at"],
        )
        for row in connection.execute(query).mappings()
    )
