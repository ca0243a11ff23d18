"""Erasing the prompts of a job, and the legal hold that forbids it."""

from flows.bootstrap import House
from policy.errors import WrongUse
from policy.gates import require
from registry.prompt_keeping import Erasure, LegalHold
from registry.unit_of_work import unit_of_work


def erase_prompts(house: House, job_id: str, reason: str) -> Erasure:
    """Remove the prompts of a finished job for good; Refused under a legal hold. The log stays as it was."""
    _give_reason(reason)
    with unit_of_work(house.engine) as work:
        job = work.ledger.job(job_id)
        require(work.prompts.may_erase(job.job_id))
        erased = work.prompts.erase(job.job_id, actor=house.settings.actor, reason=reason, now=house.clock())
        work.commit()
    return erased


def hold_job(house: House, job_id: str, reason: str) -> LegalHold:
    """Forbid that anything of a job is erased."""
    _give_reason(reason)
    with unit_of_work(house.engine) as work:
        held = work.prompts.hold(job_id, actor=house.settings.actor, reason=reason, now=house.clock())
        work.commit()
    return held


def release_hold(house: House, hold_id: str, reason: str) -> LegalHold:
    """End one hold."""
    _give_reason(reason)
    with unit_of_work(house.engine) as work:
        freed = work.prompts.release(hold_id, actor=house.settings.actor, reason=reason, now=house.clock())
        work.commit()
    return freed


def holds_of(house: House, job_id: str) -> tuple[LegalHold, ...]:
    """Every hold of a job, released ones too."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.prompts.holds(work.ledger.job(job_id).job_id)


def _give_reason(reason: str) -> None:
    if not reason.strip():
        raise WrongUse("This goes on record with its reason.", "Give --reason.")
