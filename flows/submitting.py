"""From a plan to a job in the ledger, through the licence gate."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from flows.bootstrap import House
from policy.audit import AuditEvent
from policy.canonical import canonical_json, digest, digest_text
from policy.errors import Refused
from policy.gates import licence_gate, require
from policy.limits import Limits
from policy.manifest import RenderManifest, Shot
from policy.plan import ExecutionPlan, PlanRefusal
from policy.verdicts import Reason, Verdict, from_reasons
from registry.ledger_submission import FirstLease, Submission
from registry.records import JobRecord, LeasedChunk
from registry.requests import RequestKey
from registry.unit_of_work import UnitOfWork, unit_of_work


def submit_plan(house: House, plan: ExecutionPlan, request: RequestKey | None = None) -> JobRecord:
    """Ask the gate, then write job, shots and takes in one transaction, with the request that asked for it.

    An unfinished job of the same order is returned as it stands (``attached``). A refusal
    writes one audit event and no job, and is raised as Refused.
    """
    require_permitted(house, plan)
    with unit_of_work(house.engine) as work:
        made = None if request is None else work.requests.job_of(request)
        if made is not None:
            return replace(work.ledger.job(made), attached=True)
        job, _ = submit_within(house, work, plan)
        if request is not None:
            work.requests.keep(request, job.job_id, house.clock())
        work.commit()
    return job


def submit_within(
    house: House, work: UnitOfWork, plan: ExecutionPlan, first: FirstLease | None = None
) -> tuple[JobRecord, LeasedChunk | None]:
    """Write a plan that the gate let through, with its audit event; the caller commits.

    With ``first`` as much of it is leased as the caller is about to render.
    """
    manifest = plan.manifest
    submission = Submission(
        job_key=job_key(manifest),
        actor=house.settings.actor,
        owner=manifest.owner or house.settings.actor,
        labels=manifest.labels,
        recipients=manifest.recipients,
        now=house.clock(),
    )
    job, chunk = work.ledger.submit_leased(plan, submission, kept=house.store.has, first=first)
    if not job.attached:
        facts = {"plan_hash": plan.plan_hash, "shots": len(plan.shots), "act": manifest.use.act}
        facts["context"] = manifest.use.context.name
        event = _event("job:plan:accepted", house.settings.actor, job.job_id, facts)
        work.audit.append(event, house.clock())
    return job, chunk


def require_permitted(house: House, plan: ExecutionPlan) -> None:
    """The gate before anything is written; a refusal is audited and raised as Refused."""
    verdict = licence_gate(plan)
    if not verdict.is_permit:
        record_refusal(house, plan.manifest, verdict)
    require(verdict)


def job_of_request(house: House, request: RequestKey) -> JobRecord | None:
    """The job that came of a request before, as it stands now.

    RequestKeyReused where its key stands for another one.
    """
    with unit_of_work(house.engine, read_only=True) as work:
        made = work.requests.job_of(request)
        return None if made is None else replace(work.ledger.job(made), attached=True)


def forget_request(house: House, request: RequestKey) -> None:
    """Let the key of a request stand for nothing again: the next one that is sent with it is a new one."""
    with unit_of_work(house.engine) as work:
        work.requests.forget(request)
        work.commit()


def refuse_order(house: House, manifest: RenderManifest, refusal: PlanRefusal) -> Refused:
    """Audit a refusal of the planner and hand back the error to raise."""
    record_refusal(house, manifest, from_reasons(refusal.reasons))
    return error_of(refusal)


def error_of(refusal: PlanRefusal) -> Refused:
    """A refusal as the error to raise, where nobody takes it as a value."""
    verdict = from_reasons(refusal.reasons)
    told = "; ".join(reason.detail for reason in verdict.against()[:3])
    return Refused(told, " ".join(refusal.remedies), verdict)


def record_refusal(house: House, manifest: RenderManifest, verdict: Verdict) -> None:
    """One audit event for a refused order; nothing else is written."""
    facts: dict[str, object] = {
        "manifest": manifest.name,
        "act": manifest.use.act,
        "context": manifest.use.context.name,
        "ruling": verdict.ruling,
        "reasons": [_told(reason) for reason in verdict.against()],
    }
    with unit_of_work(house.engine) as work:
        work.audit.append(
            _event("job:plan:refused", house.settings.actor, manifest.name, facts), house.clock()
        )
        work.commit()


def _told(reason: Reason) -> dict[str, str]:
    return {
        "code": reason.code,
        "component": reason.component,
        "licence": reason.licence,
        "clause": reason.clause,
        "detail": reason.detail,
    }


def _event(tag: str, actor: str, subject: str, facts: Mapping[str, object]) -> AuditEvent:
    return AuditEvent(tag=tag, actor=actor, subject=subject, payload=canonical_json(dict(facts)))


def job_key(manifest: RenderManifest) -> str:
    """What makes two orders the same order: everything asked for, and not when it was asked.

    A deadline given as HH:MM moves every day, and so does the day of the use.
    """
    head = digest(
        "job-head",
        {
            "name": manifest.name,
            "owner": manifest.owner,
            "tier": manifest.service.tier,
            "latency_target_s": manifest.service.latency_target_s,
            "quality_floor": manifest.service.quality_floor,
            "may_approximate": manifest.service.may_approximate,
            "may_degrade": manifest.service.may_degrade,
            "act": manifest.use.act,
            "context": manifest.use.context.name,
            "territories": manifest.use.territories,
            "evidence": manifest.use.evidence,
            "labels": manifest.labels,
            "recipients": manifest.recipients,
            "max_failed_shots": manifest.max_failed_shots,
            "waive_output_checks": manifest.waive_output_checks,
            **({} if manifest.limits == Limits() else {"limits": manifest.limits}),
        },
    )
    return digest_text("job-key", "\n".join([head, *_shot_lines(manifest.shots)]))


def _shot_lines(shots: tuple[Shot, ...]) -> Iterator[str]:
    for shot in shots:
        yield json.dumps(
            [
                shot.name,
                shot.prompt,
                shot.negative,
                shot.model,
                shot.seed,
                shot.width,
                shot.height,
                shot.frames,
                [[lora.repo, repr(lora.scale)] for lora in shot.loras],
                [[given.role, given.sha256] for given in shot.inputs],
                shot.steps,
                None if shot.guidance is None else repr(shot.guidance),
                shot.method,
                shot.priority,
                repr(shot.weight),
                *([] if shot.fps is None else [repr(float(shot.fps))]),
            ]
        )
