"""A night that was, for the pages to draw: valid by default, made from the shared factories."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image

from flows.reports.job_view import Figure, JobView, LookJudgement, ShipmentView
from policy.canonical import digest
from policy.plan import ExecutionPlan
from policy.tasks import FaultKind, TakeState
from policy.verdicts import all_of
from registry.records import (
    ArtefactRecord,
    Attestation,
    ChangedBatches,
    JobRecord,
    JobState,
    PlanHeader,
    ReplanningRecord,
    ShotCounts,
    ShotRecord,
    TakeRecord,
)
from tests.factories import make_plan_of

STARTED = datetime(2026, 1, 31, 19, 0, 4, tzinfo=UTC)
ENDED = STARTED + timedelta(seconds=62)


def make_png(colour: tuple[int, int, int] = (200, 80, 40), size: tuple[int, int] = (64, 64)) -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", size, colour).save(kept, "PNG")
    return kept.getvalue()


def make_shot_record(ordinal: int = 0, **changes: Any) -> ShotRecord:
    name = changes.get("name", f"shot-{ordinal:05d}")
    key = digest("test-shot", [ordinal, name])
    kept = ArtefactRecord(
        shot_key=key,
        sha256=digest("test-artefact", key),
        size=2048,
        media_type="image/png",
        provenance_sha256=None,
        stack_id="",
        job_id="job-1",
        figures=None,
        made_at=ENDED,
    )
    record = ShotRecord(
        job_id="job-1",
        ordinal=ordinal,
        name=name,
        shot_key=key,
        decision=0,
        batch=0,
        prompt="a fox",
        negative="",
        seed=ordinal,
        width=64,
        height=64,
        frames=1,
        priority=0,
        where=f"night.toml: shots[{ordinal}]",
        inputs=(),
        state=TakeState.DONE,
        take_id=f"take-{ordinal}",
        attempts=1,
        worker="here:4711",
        detail="",
        seconds=0.81,
        artefact=kept,
    )
    return replace(record, **changes)


def make_lost_shot(ordinal: int, detail: str, **changes: Any) -> ShotRecord:
    lost = {"state": TakeState.DEAD, "artefact": None, "detail": detail, "attempts": 3, "seconds": None}
    return make_shot_record(ordinal, **(lost | changes))


def make_failed_take(shot: ShotRecord, attempt: int, detail: str, **changes: Any) -> TakeRecord:
    take = TakeRecord(
        take_id=f"{shot.take_id}-{attempt}",
        job_id="job-1",
        ordinal=shot.ordinal,
        shot=shot.name,
        attempt=attempt,
        state=TakeState.FAILED,
        batch=0,
        run=attempt,
        worker=f"here:{4710 + attempt}",
        artefact_sha256=None,
        fault=FaultKind.SHOT,
        detail=detail,
        seconds=None,
        settled_at=STARTED + timedelta(seconds=10 * attempt),
    )
    return replace(take, **changes)


def count_shots(shots: Sequence[ShotRecord], failed_takes: int = 0) -> ShotCounts:
    states = [shot.state for shot in shots]
    return ShotCounts(
        queued=states.count(TakeState.QUEUED),
        leased=states.count(TakeState.LEASED),
        done=states.count(TakeState.DONE),
        reused=states.count(TakeState.REUSED),
        dead=states.count(TakeState.DEAD),
        cancelled=states.count(TakeState.CANCELLED),
        eaten=states.count(TakeState.EATEN),
        failed_takes=failed_takes,
    )


def make_job_record(shots: Sequence[ShotRecord], **changes: Any) -> JobRecord:
    record = JobRecord(
        job_id="job-1",
        job_key=digest("test-job", "night"),
        name="night",
        state=JobState.FINISHED,
        detail="",
        tier="batch",
        deadline=datetime(2026, 2, 1, 8, 0, tzinfo=UTC),
        owner="Ada",
        labels=(("show", "pilot"),),
        recipients=("client@example.org",),
        actor="ada",
        act="ship_output_commercial",
        plan_hash=digest("test-plan", "night"),
        policy_version="1",
        max_failed_shots=None,
        submitted_at=STARTED - timedelta(seconds=4),
        started_at=STARTED,
        ended_at=ENDED,
        counts=count_shots(shots),
    )
    return replace(record, **changes)


def make_header(plan: ExecutionPlan) -> PlanHeader:
    return PlanHeader(
        plan_hash=plan.plan_hash,
        policy_version=plan.policy_version,
        manifest=replace(plan.manifest, shots=()),
        decisions=plan.decisions,
        totals=plan.totals,
        warnings=plan.warnings,
        made_at=plan.made_at,
    )


def make_look(**changes: Any) -> LookJudgement:
    figures = (
        Figure(name="saturation", measured=0.53, low=0.46, high=0.6),
        Figure(name="clipping", measured=0.04, low=0.01, high=0.08),
        Figure(name="contrast", measured=0.27, low=0.22, high=0.32),
        Figure(name="luminance", measured=0.62, low=0.5, high=0.7),
    )
    return replace(LookJudgement(decision=0, kind="good", pictures=24, figures=figures), **changes)


def make_shipment_view(**changes: Any) -> ShipmentView:
    shipment = ShipmentView(
        shipment_id="ship-1",
        shipped_at=ENDED + timedelta(seconds=3),
        actor="ada",
        recipients=("client@example.org",),
        items=24,
        notices_sha256=digest("test-notices", 1),
    )
    return replace(shipment, **changes)


def make_job_view(shots: Sequence[ShotRecord] | None = None, **changes: Any) -> JobView:
    """A finished night of eight pictures; ``job`` and ``plan`` are made to fit unless they are given."""
    held = tuple(shots) if shots is not None else tuple(make_shot_record(number) for number in range(8))
    failed = changes.get("failed_takes", ())
    plan: ExecutionPlan = changes.pop("execution_plan", None) or make_plan_of(max(len(held), 1))
    job_changes = changes.pop("job", {})
    if not isinstance(job_changes, JobRecord):
        counts = {"counts": count_shots(held, len(failed)), "plan_hash": plan.plan_hash}
        changes["job"] = make_job_record(held, **(counts | job_changes))
    else:
        changes["job"] = job_changes
    stack = plan.decisions[0].offer.stack
    loaded = Attestation(
        stack_id=stack.stack_id,
        worker="here:4711",
        device="cpu-2",
        loaded=tuple((f"{pin.repo}/{file.path}", file.sha256) for pin in stack.pins for file in pin.files),
        timesteps=(999.0, 759.0),
        versions=(("diffusers", "0.42.1"), ("torch", "2.13.0")),
        batches=2,
    )
    facts: dict[str, Any] = {
        "plan": make_header(plan),
        "shots": held,
        "verdict": all_of(decision.offer.verdict for decision in plan.decisions),
        "made_at": ENDED + timedelta(seconds=5),
        "read_picture": lambda sha256: make_png((int(sha256[:2], 16), int(sha256[2:4], 16), 90)),
        "loaded": (loaded,),
        "looks": (make_look(pictures=len(held)),),
        "settled_at": tuple(
            STARTED + timedelta(seconds=3 + 7 * (number // 2)) for number in range(len(held))
        ),
        "device_seconds": 118.4,
        "load_seconds": 5.1,
        "workers": 2,
        "version": "0.1.0",
        "files": {shot.name: f"{shot.name}.png" for shot in held if shot.artefact},
    }
    return JobView(**(facts | changes))


def make_round(**changes: Any) -> ReplanningRecord:
    """A round that took ten steps from eight shots, in time."""
    changed = ChangedBatches(
        before=0,
        decision=1,
        batches=1,
        shots=8,
        steps_before=40,
        steps=30,
        reason="30 steps instead of 40, since the night is late: 2 h of work (p95) for 90 min.",
    )
    record = ReplanningRecord(
        job_id="job-1",
        number=1,
        at=datetime(2026, 1, 31, 22, 0, tzinfo=UTC),
        left_seconds=5400.0,
        p50=4000.0,
        p95=5000.0,
        at_risk=False,
        changes=(changed,),
    )
    return replace(record, **changes)
