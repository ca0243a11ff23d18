"""Short words for playing a driver against a real ledger."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from policy.plan import ExecutionPlan
from policy.tasks import BatchResult, FaultKind, TakeResult
from registry.records import JobRecord, LeasedChunk, LeasedShot, SettledChunk, ShotCounts
from registry.unit_of_work import UnitOfWork, unit_of_work
from tests.factories import (
    NOW,
    make_artefact,
    make_batch_result,
    make_execution_plan,
    make_fleet,
    make_manifest,
    make_shots,
    make_take_result,
)

Outcome = Callable[[LeasedShot], TakeResult]


def later(seconds: float) -> Any:
    return NOW + timedelta(seconds=seconds)


def plan_of(count: int, **changes: Any) -> ExecutionPlan:
    """A plan of ``count`` shots in batches of eight, as one worker would render it."""
    manifest = make_manifest(shots=make_shots(count), **changes)
    return make_execution_plan(manifest=manifest, fleet=make_fleet(workers=1))


def submit(engine: Engine, plan: ExecutionPlan | None = None, **changes: Any) -> JobRecord:
    with unit_of_work(engine) as work:
        job = put_order(work, plan or plan_of(16), **changes)
        work.commit()
    return job


def put_order(work: UnitOfWork, plan: ExecutionPlan, **changes: Any) -> JobRecord:
    """Submit inside a transaction of the caller."""
    facts: dict[str, Any] = {
        "job_key": "night",
        "actor": "alice",
        "owner": "studio",
        "labels": (("show", "foxes"),),
        "recipients": ("client",),
        "kept": lambda _sha256: True,
        "now": NOW,
    }
    return work.ledger.submit(plan, **(facts | changes))


def lease(engine: Engine, job_id: str, **changes: Any) -> LeasedChunk | None:
    facts: dict[str, Any] = {"holder": "driver-1", "ttl_seconds": 60, "max_batches": 1, "now": NOW}
    with unit_of_work(engine) as work:
        chunk = work.ledger.lease_chunk(job_id, **(facts | changes))
        work.commit()
    return chunk


def must_lease(engine: Engine, job_id: str, **changes: Any) -> LeasedChunk:
    chunk = lease(engine, job_id, **changes)
    assert chunk is not None, "nothing to lease"
    return chunk


def made(shot: LeasedShot) -> TakeResult:
    return make_take_result(shot.take_id, shot.shot_key, artefact=make_artefact(shot.shot_key))


def failed(kind: FaultKind) -> Outcome:
    def outcome(shot: LeasedShot) -> TakeResult:
        return replace(
            made(shot), artefact=None, provenance=None, figures=None, fault=kind, detail="It went wrong."
        )

    return outcome


def results_of(chunk: LeasedChunk, outcome: Outcome = made, **changes: Any) -> tuple[BatchResult, ...]:
    return tuple(
        replace(
            make_batch_result(
                task_id=batch.task_id,
                stack_id=chunk.stack_id,
                takes=tuple(outcome(shot) for shot in batch.shots if not shot.is_settled),
            ),
            **changes,
        )
        for batch in chunk.batches
    )


def settle(
    engine: Engine, chunk: LeasedChunk, results: Sequence[BatchResult] | None = None, now: Any = NOW
) -> SettledChunk:
    with unit_of_work(engine) as work:
        settled = work.ledger.settle(chunk, results_of(chunk) if results is None else results, now)
        work.commit()
    return settled


def render_all(engine: Engine, job_id: str) -> JobRecord:
    while (chunk := lease(engine, job_id, max_batches=100)) is not None:
        settle(engine, chunk)
    with unit_of_work(engine) as work:
        job = work.ledger.finish(job_id, NOW)
        work.commit()
    return job


def counts(engine: Engine, job_id: str) -> ShotCounts:
    with unit_of_work(engine, read_only=True) as work:
        return work.ledger.job(job_id).counts
