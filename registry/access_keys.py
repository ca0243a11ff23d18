"""Access keys: found by a public id, opened by a secret that is kept nowhere.

A secret reads ``rs_ID_`` and 43 letters, digits, ``-`` and ``_``: 256 random bits. What is kept is one
SHA-256 of the whole text under a domain tag. A slow, salted hash is for passwords, which people choose
and others guess; 256 random bits are not guessed at any speed, so slowness would only be paid by every
request, and would let a stranger keep our processors busy. The id is hashed along, so that a digest
moved to another row opens nothing there.
"""

import hmac
import json
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from policy.access import RECORDED_SCOPES, SECRET_FORM, AccessKey, Scope
from policy.audit import AuditEvent
from policy.canonical import canonical_json, digest_text
from policy.errors import UnknownName, WrongUse
from registry.access_tables import access_keys
from registry.audit_log import AuditLog

ID_BYTES = 6
SECRET_BYTES = 32
SHORTEST_BEGINNING = 4  # digits of an id that name a key
NOBODY = "0" * 64  # what an unknown id is compared with; no text has this digest
LONGEST_USE = 500  # characters of what a key was used for


def new_key_id() -> str:
    """12 random hex digits; the table refuses a second key of the same id."""
    return secrets.token_hex(ID_BYTES)


def new_secret(key_id: str) -> str:
    """A fresh secret from the system's randomness, to be shown once."""
    return f"rs_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"


def secret_digest(secret: str) -> str:
    """What is kept of a secret: sha256 hex under its domain tag."""
    return digest_text("access-key", secret)


class AccessKeys:
    """The access keys of one database, inside one transaction."""

    __slots__ = ("_audit", "_connection")

    def __init__(self, connection: Connection, audit: AuditLog) -> None:
        self._connection = connection
        self._audit = audit

    def known(self) -> tuple[AccessKey, ...]:
        """Every key, the oldest first, those that open nothing any more too."""
        query = select(access_keys).order_by(access_keys.c.created_at, access_keys.c.key_id)
        return tuple(_key(row) for row in self._connection.execute(query).mappings())

    def find(self, given: str) -> AccessKey:
        """By an id, the beginning of one, or a whole secret; else UnknownName, which repeats no secret."""
        whole = SECRET_FORM.fullmatch(given)
        wanted = whole.group(1) if whole else given.removeprefix("rs_")
        found = [one for one in self.known() if one.key_id.startswith(wanted)]
        if len(wanted) < SHORTEST_BEGINNING or not found:
            raise UnknownName("No key has an id that begins like that.", "See: rightstep key list.")
        if len(found) > 1:
            ids = ", ".join(one.key_id for one in found)
            raise UnknownName(f"Several keys begin like that: {ids}.", "Give more digits of the id.")
        return found[0]

    def opened_by(self, presented: str) -> AccessKey | None:
        """The key that a secret opens, expired or revoked as it may be; None where it opens none.

        What has not the form of a secret is not looked up. Everything else goes one way, an unknown id too:
        one row is looked for, and one digest compared in constant time.
        """
        form = SECRET_FORM.fullmatch(presented)
        if form is None:
            return None
        query = select(access_keys).where(access_keys.c.key_id == form.group(1))
        row = self._connection.execute(query).mappings().one_or_none()
        kept = NOBODY if row is None else row["secret_sha256"]
        is_the_secret = hmac.compare_digest(kept, secret_digest(presented))
        return _key(row) if is_the_secret and row is not None else None

    def add(self, key: AccessKey, secret: str) -> None:
        """Record a new key and say so in the log; of its secret only the digest."""
        self._connection.execute(
            insert(access_keys).values(
                key_id=key.key_id,
                secret_sha256=secret_digest(secret),
                owner=key.owner,
                scopes_json=canonical_json(key.scopes),
                per_minute=key.per_minute,
                at_once=key.at_once,
                created_at=key.created_at,
                created_by=key.created_by,
                expires_at=key.expires_at,
                revoked_at=key.revoked_at,
                revoked_because=key.revoked_because,
            )
        )
        told = {
            "owner": key.owner,
            "scopes": key.scopes,
            "per_minute": key.per_minute,
            "at_once": key.at_once,
            "expires_at": key.expires_at,
        }
        self._tell("created", key.created_by, key, told, key.created_at)

    def revoke(self, given: str, *, actor: str, reason: str, now: datetime) -> AccessKey:
        """End a key at once; WrongUse where it has ended before."""
        key = self.find(given)
        ended = self._connection.execute(
            update(access_keys)
            .where(access_keys.c.key_id == key.key_id, access_keys.c.revoked_at.is_(None))
            .values(revoked_at=now, revoked_because=reason)
        )
        if ended.rowcount == 0:
            raise WrongUse(f"The key {key.key_id} is revoked already.", "Nothing is left to do.")
        self._tell("revoked", actor, key, {"owner": key.owner, "reason": reason}, now)
        return self.find(key.key_id)

    def record_use(self, key: AccessKey, scope: Scope, what: str, now: datetime) -> None:
        """Say in the log what a key was used for, in its owner's name; submit and read leave no event."""
        if scope in RECORDED_SCOPES:
            told = {"scope": scope, "what": _writable(what)}
            self._tell("used", key.owner, key, told, now)

    def _tell(self, action: str, actor: str, key: AccessKey, facts: dict[str, Any], now: datetime) -> None:
        event = AuditEvent(
            tag=f"access:key:{action}", actor=actor, subject=key.key_id, payload=canonical_json(facts)
        )
        self._audit.append(event, now)


def _writable(text: str) -> str:
    """Text from outside as it can be stored: not endless, and without halves of characters."""
    return text[:LONGEST_USE].encode("utf-8", "replace").decode("utf-8")


def _key(row: Any) -> AccessKey:
    facts = {name: held for name, held in row.items() if name not in {"secret_sha256", "scopes_json"}}
    return AccessKey(**facts, scopes=tuple(Scope(name) for name in json.loads(row["scopes_json"])))
