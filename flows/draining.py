"""Workers that drivers have at work, and the words that send one of them away or let one back."""

from flows.bootstrap import House
from flows.holders import is_dead_holder
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.errors import WrongUse
from registry.ledger_workers import WorkerAtWork
from registry.unit_of_work import UnitOfWork, unit_of_work


def list_workers(house: House) -> tuple[WorkerAtWork, ...]:
    """Every worker of a driver that lives, as its driver told of it within the last second or so."""
    with unit_of_work(house.engine, read_only=True) as work:
        found = work.ledger.workers()
    return tuple(one for one in found if not is_dead_holder(one.holder))


def drain_worker(house: House, worker: str, reason: str) -> WorkerAtWork:
    """Send a worker away: it ends with the chunks that it has, and nobody takes its place.

    A job whose last worker leaves so is held, until somebody resumes it with others.
    """
    if not reason.strip():
        raise WrongUse("A worker is drained on record, with a reason.", "Give --reason.")
    actor = house.settings.actor
    with unit_of_work(house.engine) as work:
        if work.ledger.drain_worker(worker, actor=actor, reason=reason.strip()):
            _note(house, work, "worker:process:drained", worker, reason.strip())
        found = next(one for one in work.ledger.workers() if one.worker == worker)
        work.commit()
    return found


def readmit_worker(house: House, worker: str, reason: str) -> WorkerAtWork:
    """Let a barred worker back: its place gets a clean record, and a process where it had been closed."""
    if not reason.strip():
        raise WrongUse("A worker is readmitted on record, with a reason.", "Give --reason.")
    with unit_of_work(house.engine) as work:
        if work.ledger.readmit_worker(worker, actor=house.settings.actor):
            _note(house, work, "worker:process:readmitted", worker, reason.strip())
        found = next(one for one in work.ledger.workers() if one.worker == worker)
        work.commit()
    return found


def _note(house: House, work: UnitOfWork, tag: str, worker: str, reason: str) -> None:
    facts = canonical_json({"reason": reason})
    event = AuditEvent(tag=tag, actor=house.settings.actor, subject=worker, payload=facts)
    work.audit.append(event, house.clock())
