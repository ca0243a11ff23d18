"""Identities: the public halves of keys with their names; private halves are never here."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.errors import UnknownName, WrongUse
from policy.identities import KEY_TAG, Identity, IdentityRole
from registry.audit_log import AuditLog
from registry.trust_tables import identities


class Identities:
    """The identities of one database, inside one transaction."""

    __slots__ = ("_audit", "_connection")

    def __init__(self, connection: Connection, audit: AuditLog) -> None:
        self._connection = connection
        self._audit = audit

    def known(self) -> tuple[Identity, ...]:
        """Every identity, by name, the newest key of each first."""
        kept = identities.c
        query = select(identities).order_by(kept.name, kept.valid_from.desc(), kept.key_id)
        return tuple(_identity(row) for row in self._connection.execute(query).mappings())

    def by_key(self) -> dict[str, Identity]:
        """Every identity under its key id."""
        return {identity.key_id: identity for identity in self.known()}

    def current(self, name: str) -> Identity | None:
        """The identity that bears a name now; None where nobody does."""
        query = select(identities).where(identities.c.name == name, identities.c.revoked_at.is_(None))
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _identity(row)

    def find(self, given: str) -> Identity:
        """By name, or by the beginning of a key id (six digits at least); else UnknownName."""
        named = [one for one in self.known() if one.name == given]
        keyed = [one for one in self.known() if len(given) >= 6 and one.key_id.startswith(given)]
        found = named or keyed
        if not found or len({one.key_id for one in keyed}) > 1:
            raise UnknownName(f"There is no identity {given!r}.", "See: rightstep identity list.")
        return next((one for one in found if one.revoked_at is None), found[0])

    def add(self, identity: Identity, now: datetime) -> None:
        """Record a new key and say so in the log; a name that is taken is WrongUse."""
        if (holder := self.current(identity.name)) is not None:
            raise WrongUse(
                f"{identity.name} has a key already: {holder.key_id[:12]}.",
                f"Revoke it first: rightstep identity revoke {identity.name} --reason WHY.",
            )
        self._connection.execute(
            insert(identities).values(
                key_id=identity.key_id,
                name=identity.name,
                role=identity.role.value,
                public=identity.public,
                valid_from=identity.valid_from,
                valid_until=identity.valid_until,
                made_by=identity.made_by,
            )
        )
        told = {
            "name": identity.name,
            "role": identity.role,
            "public": identity.public,
            "valid_from": identity.valid_from,
            "valid_until": identity.valid_until,
        }
        self._tell(KEY_TAG, identity.made_by, identity.key_id, told, now)

    def revoke(self, given: str, *, actor: str, reason: str, now: datetime) -> Identity:
        """End a key at once: what it signed stays readable, and lifts no review any more."""
        identity = self.find(given)
        if identity.revoked_at is not None:
            raise WrongUse(f"The key of {identity.name} is revoked already.", "Nothing is left to do.")
        self._connection.execute(
            update(identities)
            .where(identities.c.key_id == identity.key_id)
            .values(revoked_at=now, revoked_by=actor, revoked_because=reason)
        )
        told = {"name": identity.name, "reason": reason}
        self._tell("identity:key:revoked", actor, identity.key_id, told, now)
        return self.by_key()[identity.key_id]

    def _tell(self, tag: str, actor: str, subject: str, facts: dict[str, Any], now: datetime) -> None:
        payload = canonical_json(facts)
        self._audit.append(AuditEvent(tag=tag, actor=actor, subject=subject, payload=payload), now)


def _identity(row: Any) -> Identity:
    facts: dict[str, Any] = {**row, "role": IdentityRole(row["role"])}
    return Identity(**facts)
