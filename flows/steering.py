"""Steering a job under way: each word one transaction, with the audit event that tells who said it and why.

Nothing here talks to a driver. Whoever renders the job reads the ledger before each chunk, and
three times a second for a cancellation, so a word takes effect on a night that runs, and
just as well on one that nobody drives at the moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.announcing import announce_job
from flows.bootstrap import House
from flows.clock_times import resolve_deadline
from flows.crews import crew_of
from flows.judging import judge_job
from flows.news import telling
from flows.planning import known_costs
from flows.replanning import replan_within
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.errors import WrongUse
from policy.limits import BudgetEnd, Halt
from registry.ledger_steering import SteeredShots
from registry.records import JobRecord, ReplanningRecord
from registry.unit_of_work import UnitOfWork, unit_of_work
from workers.renderer import RendererKind, runtime_versions


@dataclass(frozen=True, kw_only=True, slots=True)
class AddedWorkers:
    """A job with more workers, and what that makes of its end."""

    job: JobRecord
    workers: int
    device: str  # class
    crew: int  # workers of the job, with these
    round: ReplanningRecord | None  # null without a deadline


@dataclass(frozen=True, kw_only=True, slots=True)
class MovedDeadline:
    """A job with another deadline, and how its night was planned anew for it."""

    job: JobRecord
    round: ReplanningRecord | None  # null where nothing had to change


def pause_job(house: House, job_id: str, reason: str = "") -> JobRecord:
    """Stop handing out work of a job; what is in flight ends, and is kept."""
    with unit_of_work(house.engine) as work:
        before = work.ledger.lock(job_id)
        job = work.ledger.pause(before.job_id, actor=house.settings.actor, reason=reason)
        if job.state is not before.state:
            _note(house, work, "job:run:paused", job.job_id, {"reason": reason, "open": job.counts.open})
        work.commit()
    announce_job(house, job)
    return job


def reopen_job(house: House, job_id: str) -> JobRecord:
    """Open a held, paused or failed job again, every dead shot with a new try.

    Somebody has to render it then. WrongMoment where it was cancelled, or where the same order
    is under way already.
    """
    with unit_of_work(house.engine) as work:
        before = work.ledger.lock(job_id)
        job = work.ledger.resume(before.job_id, retry_dead=True)
        if job.state is not before.state:
            _note(house, work, "job:run:resumed", job.job_id, {"was": before.state, "open": job.counts.open})
        work.commit()
    return job


def cancel_job(house: House, job_id: str, actor: str | None = None) -> JobRecord:
    """Cancel a job: its driver stops the workers at the next step; what was made stays."""
    who = actor or house.settings.actor
    with unit_of_work(house.engine) as work:
        before = work.ledger.lock(job_id)
        job = work.ledger.cancel(before.job_id, actor=who, now=house.clock())
        if job.state is not before.state:
            facts = {"made": job.counts.made, "cancelled": job.counts.cancelled}
            _note(house, work, "job:run:cancelled", job.job_id, facts, actor=who)
        work.commit()
    return job


def requeue_shots(house: House, job_id: str, shots: Sequence[str] = ()) -> SteeredShots:
    """Another attempt for shots that were given up or eaten, by name; without names, for all given up."""
    with unit_of_work(house.engine) as work:
        found = work.ledger.requeue(work.ledger.job(job_id).job_id, shots)
        if found.shots:
            _note(house, work, "job:shots:requeued", found.job.job_id, {"shots": found.shots})
        work.commit()
    return found


def eat_shots(house: House, job_id: str, shots: Sequence[str], reason: str) -> SteeredShots:
    """Close shots unmade, by name and with a reason; a job of which nothing is open then is closed too."""
    if not reason.strip():
        raise WrongUse("A shot is eaten on record, with its reason.", "Give --reason.")
    with unit_of_work(house.engine) as work:
        whole_id = work.ledger.job(job_id).job_id
        with telling(house, work, whole_id):
            found = work.ledger.eat(
                whole_id,
                shots,
                actor=house.settings.actor,
                reason=reason.strip(),
                now=house.clock(),
            )
        if found.shots:
            facts = {"shots": found.shots, "reason": reason.strip()}
            _note(house, work, "job:shots:eaten", found.job.job_id, facts)
        work.commit()
    if found.job.counts.open or found.job.state.is_finished:
        return found
    judge_job(house, found.job.job_id)
    with unit_of_work(house.engine, read_only=True) as work:
        job = work.ledger.job(found.job.job_id)
    announce_job(house, job)
    return SteeredShots(job=job, shots=found.shots)


def put_job_before(house: House, job_id: str, priority: int) -> JobRecord:
    """Put a job before (above 0) or after (below 0) the others of its tier that want the same fleet."""
    with unit_of_work(house.engine) as work:
        before = work.ledger.lock(job_id)
        job = work.ledger.put_before(before.job_id, priority)
        if job.priority != before.priority:
            facts = {"priority": priority, "was": before.priority}
            _note(house, work, "job:priority:changed", job.job_id, facts)
        work.commit()
    return job


def put_shots_before(house: House, job_id: str, shots: Sequence[str], priority: int) -> SteeredShots:
    """Give shots another priority; what is queued is rendered, and weighed, by it from now on."""
    costs = known_costs(house)
    with unit_of_work(house.engine) as work:
        found = work.ledger.put_shots_before(work.ledger.job(job_id).job_id, shots, priority)
        facts = {"priority": priority, "shots": found.shots}
        _note(house, work, "job:priority:changed", found.job.job_id, facts)
        replan_within(house, work, found.job.job_id, costs, _runtime(house))
        work.commit()
    return found


def move_deadline(house: House, job_id: str, when: str | None) -> MovedDeadline:
    """Another deadline, an ISO time or HH:MM in the zone of the order, or none; plans the night anew."""
    costs = known_costs(house)
    with unit_of_work(house.engine) as work:
        before = work.ledger.lock(job_id)
        now = house.clock()
        zone = work.ledger.header(before.job_id).manifest.timezone
        deadline = None if when is None else resolve_deadline(when, zone, now)
        if deadline is not None and deadline <= now:
            raise WrongUse(
                f"The deadline {deadline:%Y-%m-%d %H:%M %Z} has passed.", "Give one that is to come."
            )
        job = work.ledger.move_deadline(before.job_id, deadline)
        facts = {"deadline": _moment(job), "was": _moment(before)}
        _note(house, work, "job:deadline:moved", job.job_id, facts)
        found = replan_within(house, work, job.job_id, costs, _runtime(house))
        work.commit()
    return MovedDeadline(job=job, round=found)


def set_budget(house: House, job_id: str, seconds: float | None, end: BudgetEnd | None = None) -> JobRecord:
    """Another budget of worker seconds for a job, or none, and what becomes of the job when it is spent."""
    if seconds is not None and seconds <= 0:
        raise WrongUse("A budget is more than nothing.", "To stop a job, pause or cancel it.")
    with unit_of_work(house.engine) as work:
        before = work.ledger.lock(job_id)
        job = work.ledger.set_budget(before.job_id, seconds, end)
        if (job.budget_seconds, job.budget_end) != (before.budget_seconds, before.budget_end):
            facts = {"seconds": seconds, "then": job.budget_end, "was": before.budget_seconds}
            _note(house, work, "job:budget:changed", job.job_id, facts)
        work.commit()
    return job


def add_workers(house: House, job_id: str, workers: int, device: str | None = None) -> AddedWorkers:
    """More workers for an unfinished job; where it runs, its driver starts them at its next beat.

    ``device`` is a class of the fleet, its first where none is named. With a deadline the
    end is foretold anew, and the round is on record.
    """
    kinds = [group.device for group in house.settings.fleet.groups]
    kind = kinds[0] if device is None else device
    if workers < 1:
        raise WrongUse("A job gets one worker more, or several.", "To send one away, drain it.")
    if kind not in kinds:
        raise WrongUse(f"The fleet has no {kind}.", f"It has {', '.join(kinds)}.")
    costs = known_costs(house)
    with unit_of_work(house.engine) as work:
        job = work.ledger.add_workers(job_id, device=kind, workers=workers)
        _note(house, work, "job:workers:added", job.job_id, {"workers": workers, "device": kind})
        found = replan_within(house, work, job.job_id, costs, _runtime(house), anyhow=True)
        crew = crew_of(house, work, job.job_id).workers
        work.commit()
    return AddedWorkers(job=job, workers=workers, device=kind, crew=crew, round=found)


def note_halt(house: House, work: UnitOfWork, job_id: str, found: Halt) -> None:
    """Put on record, in the transaction of the caller's, that a job stopped by itself."""
    facts = {"code": found.code, "then": found.how, "detail": found.detail}
    _note(house, work, "job:limit:reached", job_id, facts)


def _runtime(house: House) -> tuple[tuple[str, str], ...]:
    return runtime_versions(RendererKind(house.settings.renderer))


def _moment(job: JobRecord) -> str | None:
    return None if job.deadline is None else job.deadline.isoformat()


def _note(
    house: House,
    work: UnitOfWork,
    tag: str,
    job_id: str,
    facts: Mapping[str, object],
    actor: str | None = None,
) -> None:
    event = AuditEvent(
        tag=tag, actor=actor or house.settings.actor, subject=job_id, payload=canonical_json(dict(facts))
    )
    work.audit.append(event, house.clock())
