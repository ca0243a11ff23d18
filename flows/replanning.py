"""A round of re-planning: look at a job under way, decide, write what changes and why, all in one."""

from typing import Any

from flows.announcing import announce_risk
from flows.bootstrap import House
from flows.crews import crew_of
from flows.news import put_news
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.costs import CostProfile
from policy.ladder import Ground
from policy.messages import Event
from policy.replanning import Change, Crew, Round, Standing, decision_of, replan
from policy.shot_keys import Versions, run_digest, shot_key
from policy.tiers import TIER_TABLE
from registry.ledger_replanning import DecisionStanding, NewSteps
from registry.records import JobState, PlanHeader, ReplanningRecord
from registry.unit_of_work import UnitOfWork, unit_of_work

AT_RISK = "sla:job:at_risk"


def replan_job(
    house: House, job_id: str, costs: tuple[CostProfile, ...], runtime: Versions
) -> ReplanningRecord | None:
    """One round; None where there is no deadline, nothing is open, or nothing changed.

    Queued batches change only at tier batch. That a deadline is at risk is told once, while
    it can still be kept by more workers or a later deadline, and again after a recovery.
    """
    with unit_of_work(house.engine) as work:
        record = replan_within(house, work, job_id, costs, runtime)
        if record is None:
            return None
        rounds, name = work.ledger.rounds(job_id), work.ledger.job(job_id).name
        work.commit()
    if record.at_risk and not any(one.at_risk for one in rounds[-2:-1]):
        announce_risk(house, record, name)
    return record


def replan_within(
    house: House,
    work: UnitOfWork,
    job_id: str,
    costs: tuple[CostProfile, ...],
    runtime: Versions,
    *,
    anyhow: bool = False,
) -> ReplanningRecord | None:
    """The same in a transaction of the caller's, who commits; ``anyhow``: on record, whatever it came to."""
    job = work.ledger.job(job_id)
    if job.deadline is None or job.state not in {JobState.QUEUED, JobState.RUNNING}:
        return None
    now = house.clock()
    header = work.ledger.header(job_id)
    fleet = crew_of(house, work, job_id)
    looked = replan(
        header.decisions,
        _standings(work.ledger.standings(job_id)),
        _ground(header, costs, fleet.devices),
        Crew(fleet=fleet, deadline=job.deadline, now=now),
    )
    if looked is None:
        return None
    rounds = work.ledger.rounds(job_id)
    was_at_risk = bool(rounds) and rounds[-1].at_risk
    changes = work.ledger.change_steps(
        job_id, [_new_steps(header, change, runtime) for change in looked.changes]
    )
    if not changes and looked.is_at_risk == was_at_risk and not anyhow:
        return None
    record = work.ledger.note_round(
        job_id, finish=(looked.after.p50, looked.after.p95), left=looked.left, changes=changes, now=now
    )
    _tell(house, work, record, looked, newly_at_risk=record.at_risk and not was_at_risk)
    return record


def _ground(header: PlanHeader, costs: tuple[CostProfile, ...], devices: tuple[str, ...]) -> Ground:
    service = header.manifest.service
    device, *others = devices
    return Ground(
        service=service, rule=TIER_TABLE[service.tier], costs=costs, device=device, others=tuple(others)
    )


def _standings(found: tuple[DecisionStanding, ...]) -> tuple[Standing, ...]:
    """As the decider takes them; a picture counts twice as much as one of the priority below."""
    ranks = {priority: rank for rank, priority in enumerate(sorted({one.shot.priority for one in found}))}
    return tuple(
        Standing(
            decision=one.decision,
            shot=one.shot,
            pictures=one.pictures,
            queued=one.untried,
            in_flight=one.open - one.untried,
            weight=one.shot.weight * 2.0 ** ranks[one.shot.priority],
            settled=one.settled,
        )
        for one in found
    )


def _new_steps(header: PlanHeader, change: Change, runtime: Versions) -> NewSteps:
    before = header.decisions[change.decision]
    run = run_digest(
        change.candidate,
        width=before.width,
        height=before.height,
        frames=before.frames,
        runtime=runtime,
        fps=before.fps,
    )
    return NewSteps(
        before=change.decision,
        after=change.after,
        batches=change.batches,
        decision=decision_of(before, change),
        key_of=lambda shot: shot_key(run, shot),
        reason=change.reason,
    )


def _tell(
    house: House, work: UnitOfWork, record: ReplanningRecord, looked: Round, *, newly_at_risk: bool
) -> None:
    """Audit events of a round, in its own transaction."""
    facts: dict[str, Any] = {
        "round": record.number,
        "seconds_left": round(looked.left, 3),
        "finish_p50": round(record.p50, 3),
        "finish_p95": round(record.p95, 3),
    }
    if record.changes:
        changes = [{"shots": one.shots, "steps": one.steps, "reason": one.reason} for one in record.changes]
        _append(house, work, "job:plan:changed", record.job_id, {**facts, "changes": changes})
    if newly_at_risk:
        _append(house, work, AT_RISK, record.job_id, {**facts, "margin": round(looked.margin, 3)})
        put_news(house, work, record.job_id, Event.AT_RISK)


def _append(house: House, work: UnitOfWork, tag: str, job_id: str, facts: dict[str, Any]) -> None:
    event = AuditEvent(tag=tag, actor=house.settings.actor, subject=job_id, payload=canonical_json(facts))
    work.audit.append(event, house.clock())
