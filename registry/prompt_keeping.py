"""Prompts and what is kept of them: salts, erasure, and the legal hold that forbids it.

Prompts are in the ledger alone. The chain and everything that leaves the house hold salted digests, so
that erasing a job's prompts together with its salt changes no hash.
"""

import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.codec import encode
from policy.errors import UnknownName, WrongUse
from policy.verdicts import Reason, Ruling, Verdict, from_reasons
from registry import ledger_reading, tables
from registry.audit_log import AuditLog
from registry.bulk import insert_unknown
from registry.trust_tables import legal_holds, prompt_keeping

SALT_OF_THE_JOB = select(prompt_keeping.c.salt).where(prompt_keeping.c.job_id == bindparam("job_id"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Erasure:
    """Prompts that were erased."""

    job_id: str
    shots: int  # how many shots lost their prompt
    erased_by: str
    erased_at: datetime
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LegalHold:
    """Somebody's word that nothing of a job may be erased."""

    hold_id: str
    job_id: str
    reason: str
    held_by: str
    held_at: datetime
    released_by: str | None
    released_at: datetime | None
    released_because: str | None


class PromptKeeping:
    """Salts, erasures and holds of one database, inside one transaction."""

    __slots__ = ("_audit", "_connection")

    def __init__(self, connection: Connection, audit: AuditLog) -> None:
        self._connection = connection
        self._audit = audit

    def salt_of(self, job_id: str) -> str:
        """The salt of a job, made the first time; "" once its prompts are erased."""
        row = {"job_id": job_id, "salt": secrets.token_hex(32)}
        made = insert_unknown(self._connection, prompt_keeping).returning(prompt_keeping.c.salt)
        if (found := self._connection.execute(made, row).first()) is None:
            found = self._connection.execute(SALT_OF_THE_JOB, {"job_id": job_id}).one()
        return found[0] or ""

    def may_erase(self, job_id: str) -> Verdict:
        """Whether the prompts of a job may go: not while it may still render, not under a legal hold."""
        job = ledger_reading.job(self._connection, job_id)
        reasons = [
            _reason(
                "legal_hold", f"{hold.held_by} holds it since {hold.held_at.date()}: {hold.reason}", job_id
            )
            for hold in self.holds(job.job_id)
            if hold.released_at is None
        ]
        if not job.state.is_finished:
            told = f"The job is {job.state.value}: it may still need its prompts. Cancel it first."
            reasons.append(_reason("job_unfinished", told, job_id))
        permit = Reason(code="may_be_erased", ruling=Ruling.PERMIT, detail="Nothing holds the prompts.")
        return from_reasons(reasons or [permit])

    def erase(self, job_id: str, *, actor: str, reason: str, now: datetime) -> Erasure:
        """Remove prompts and salt for good, and say so in the log; ask ``may_erase`` first."""
        job = ledger_reading.job(self._connection, job_id)
        self.salt_of(job.job_id)
        is_salted = prompt_keeping.c.salt.is_not(None)
        erased = self._connection.execute(
            update(prompt_keeping)
            .where(prompt_keeping.c.job_id == job.job_id, is_salted)
            .values(salt=None, erased_at=now, erased_by=actor, erased_because=reason)
        )
        if erased.rowcount == 0:
            raise WrongUse(f"The prompts of {job.job_id} are erased already.", "Nothing is left to do.")
        shots = tables.shots
        count = self._connection.execute(
            select(func.count()).select_from(shots).where(shots.c.job_id == job.job_id)
        ).scalar_one()
        self._connection.execute(
            update(shots).where(shots.c.job_id == job.job_id).values(prompt="", negative="")
        )
        header = replace(ledger_reading.header(self._connection, job.job_id), warnings=())  # they quote words
        text = json.dumps(encode(header), sort_keys=True, ensure_ascii=False)
        self._connection.execute(
            update(tables.jobs).where(tables.jobs.c.job_id == job.job_id).values(header_json=text)
        )
        self._tell("job:prompts:erased", actor, job.job_id, {"shots": count, "reason": reason}, now)
        return Erasure(job_id=job.job_id, shots=count, erased_by=actor, erased_at=now, reason=reason)

    def hold(self, job_id: str, *, actor: str, reason: str, now: datetime) -> LegalHold:
        """Forbid erasure until the hold is released; a job may be held several times."""
        job = ledger_reading.job(self._connection, job_id)
        hold_id = f"hold-{secrets.token_hex(6)}"
        row = {"hold_id": hold_id, "job_id": job.job_id, "reason": reason, "held_by": actor, "held_at": now}
        self._connection.execute(insert(legal_holds), row)
        self._tell("job:hold:placed", actor, job.job_id, {"hold_id": hold_id, "reason": reason}, now)
        return next(one for one in self.holds(job.job_id) if one.hold_id == hold_id)

    def release(self, hold_id: str, *, actor: str, reason: str, now: datetime) -> LegalHold:
        """End one hold; others of the job stay."""
        query = select(legal_holds).where(legal_holds.c.hold_id == hold_id)
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None or row["released_at"] is not None:
            raise UnknownName(f"There is no open hold {hold_id!r}.", "See: rightstep audit holds JOB.")
        self._connection.execute(
            update(legal_holds)
            .where(legal_holds.c.hold_id == hold_id)
            .values(released_by=actor, released_at=now, released_because=reason)
        )
        self._tell("job:hold:released", actor, row["job_id"], {"hold_id": hold_id, "reason": reason}, now)
        return next(one for one in self.holds(row["job_id"]) if one.hold_id == hold_id)

    def holds(self, job_id: str) -> tuple[LegalHold, ...]:
        """Every hold of a job, released ones too, oldest first."""
        query = (
            select(legal_holds)
            .where(legal_holds.c.job_id == job_id)
            .order_by(legal_holds.c.held_at, legal_holds.c.hold_id)
        )
        return tuple(LegalHold(**row) for row in self._connection.execute(query).mappings())

    def _tell(self, tag: str, actor: str, job_id: str, facts: dict[str, Any], now: datetime) -> None:
        event = AuditEvent(tag=tag, actor=actor, subject=job_id, payload=canonical_json(facts))
        self._audit.append(event, now)


def _reason(code: str, detail: str, job_id: str) -> Reason:
    return Reason(code=code, ruling=Ruling.DENY, detail=detail, component=job_id)
