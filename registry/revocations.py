"""Revocations: who withdrew which model, why and when. They are only ever added."""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from policy.audit import AuditEvent
from policy.canonical import canonical_json, digest
from policy.quarantine import Revocation
from registry.audit_log import AuditLog
from registry.evidence_tables import revocations

EVERY_ONE = select(revocations).order_by(revocations.c.revoked_at, revocations.c.revocation_id)


class Revocations:
    """Revocations of one database, inside one transaction."""

    __slots__ = ("_audit", "_connection")

    def __init__(self, connection: Connection, audit: AuditLog) -> None:
        self._connection = connection
        self._audit = audit

    def revoke(self, repo: str, revision: str, *, reason: str, actor: str, now: datetime) -> Revocation:
        """Withdraw a repository, or one commit of it; the same again adds nothing."""
        known = next((one for one in self.all() if (one.repo, one.revision) == (repo, revision)), None)
        if known is not None:
            return known
        made = Revocation(repo=repo, revision=revision, reason=reason, actor=actor, revoked_at=now)
        row = {
            "revocation_id": digest("revocation", made),
            "repo": repo,
            "revision": revision,
            "reason": reason,
            "actor": actor,
            "revoked_at": now,
        }
        self._connection.execute(insert(revocations), row)
        payload = canonical_json({"repo": repo, "revision": revision, "reason": reason})
        event = AuditEvent(tag="registry:model:revoked", actor=actor, subject=repo, payload=payload)
        self._audit.append(event, now)
        return made

    def all(self) -> tuple[Revocation, ...]:
        """Every revocation, oldest first."""
        return tuple(
            Revocation(
                repo=row["repo"],
                revision=row["revision"],
                reason=row["reason"],
                actor=row["actor"],
                revoked_at=row["revoked_at"],
            )
            for row in self._connection.execute(EVERY_ONE).mappings()
        )
