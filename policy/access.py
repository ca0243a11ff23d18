"""Who may do what over the network: access keys, their scopes, and how much each key may ask for.

A key is judged by every rule in turn, and the first that objects is told. Of its secret only the form
is known here: who calls has proven already that the presented one is this key's.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from policy.errors import WrongUse
from policy.wording import plural

PER_MINUTE = 60  # requests, where nothing else is said
AT_ONCE = 4
SECRET_FORM = re.compile(r"rs_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")  # the id of the key, then 256 random bits
_LIKE_A_SECRET = re.compile(r"(rs_[0-9a-f]{12}_)[A-Za-z0-9_-]+")  # one that was copied badly is one still
_OF_A_URL = re.compile(r"(\w://[^\s/:@]*:)[^\s@/]+(?=@)")  # postgresql://name:password@host
_OF_A_HEADER = re.compile(r"\b((?:Basic|Bearer) +)(?!rs_)[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
_OF_PREFECT = re.compile(r"\b(rightstep:)[0-9a-f]{64}")  # as flows.prefect_server draws it


class Scope(StrEnum):
    """What a key opens."""

    SUBMIT = "submit"  # order pictures
    READ = "read"  # look at jobs, models and pictures
    SHIP = "ship"  # let something leave the house
    AUDIT = "audit"  # read the audit log and what hangs on it
    ADMIN = "admin"  # all of the others too


RECORDED_SCOPES = frozenset({Scope.SHIP, Scope.AUDIT, Scope.ADMIN})  # whose every use goes into the audit log


class AccessCode(StrEnum):
    """Why a request is turned away, by a stable name."""

    KEY_MISSING = "key_missing"
    KEY_UNKNOWN = "key_unknown"
    KEY_REVOKED = "key_revoked"
    KEY_EXPIRED = "key_expired"
    SCOPE_MISSING = "scope_missing"


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessKey:
    """A key to the HTTP API, without its secret."""

    key_id: str  # 12 hex digits; public, and part of the secret's text
    owner: str
    scopes: tuple[Scope, ...]
    per_minute: int  # requests
    at_once: int  # requests under way
    created_at: datetime
    created_by: str  # who made it, as the audit log has it
    expires_at: datetime | None  # the first moment at which it opens nothing; null: until it is revoked
    revoked_at: datetime | None = None
    revoked_because: str = ""

    def may(self, needed: Scope) -> bool:
        """Whether the key has a scope; admin has every one."""
        return needed in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessRefusal:
    """Why a request is turned away, and what would help."""

    code: AccessCode
    detail: str
    next_step: str


def _stands(key: AccessKey, _needed: Scope, _now: datetime) -> AccessRefusal | None:
    if key.revoked_at is None:
        return None
    return AccessRefusal(
        code=AccessCode.KEY_REVOKED,
        detail=f"The key {key.key_id} was revoked: {key.revoked_because}",
        next_step="Ask whoever runs the house for another key.",
    )


def _lasts(key: AccessKey, _needed: Scope, now: datetime) -> AccessRefusal | None:
    if key.expires_at is None or now < key.expires_at:
        return None
    return AccessRefusal(
        code=AccessCode.KEY_EXPIRED,
        detail=f"The key {key.key_id} expired at {key.expires_at.isoformat()}.",
        next_step="Ask whoever runs the house for another key.",
    )


def _covers(key: AccessKey, needed: Scope, _now: datetime) -> AccessRefusal | None:
    if key.may(needed):
        return None
    scopes = ", ".join(key.scopes)
    return AccessRefusal(
        code=AccessCode.SCOPE_MISSING,
        detail=f"This needs the scope {needed.value}; the key {key.key_id} has {scopes}.",
        next_step=f"Ask whoever runs the house for a key with the scope {needed.value}.",
    )


AccessRule = Callable[[AccessKey, Scope, datetime], AccessRefusal | None]
ACCESS_RULES: tuple[AccessRule, ...] = (_stands, _lasts, _covers)


def refuse_access(
    key: AccessKey | None, needed: Scope, now: datetime, *, presented: bool = True
) -> AccessRefusal | None:
    """Why a request may not do what needs a scope; None where it may.

    ``key`` is None where the text that was presented opens nothing; ``presented`` is false
    where there was none at all.
    """
    if key is not None:
        objections = (rule(key, needed, now) for rule in ACCESS_RULES)
        return next((found for found in objections if found is not None), None)
    if not presented:
        return AccessRefusal(
            code=AccessCode.KEY_MISSING,
            detail="This needs a key, and none was presented.",
            next_step="Send the header Authorization: Bearer KEY.",
        )
    return AccessRefusal(
        code=AccessCode.KEY_UNKNOWN,
        detail="The key that was presented opens nothing here.",
        next_step="Look for a slip in copying it, or ask whoever runs the house for another one.",
    )


def parse_scopes(words: Iterable[str]) -> tuple[Scope, ...]:
    """Scopes by name, each once and in one order; WrongUse where a name is none, or there are none."""
    asked = {word.strip() for word in words} - {""}
    known = ", ".join(Scope)
    if unknown := sorted(asked - set(Scope)):
        raise WrongUse(f"{unknown[0]!r} is no scope.", f"There are: {known}.")
    if not asked:
        raise WrongUse("A key without a scope opens nothing.", f"Give one of {known}, or several.")
    return tuple(scope for scope in Scope if scope in asked)


def without_secrets(text: str) -> str:
    """Text as it may be kept in a log: of an access key only its id, of other secrets only whose they are.

    Blotted out are access keys, passwords in URLs, what follows Basic or Bearer, and Prefect's secret.
    """
    for pattern in (_LIKE_A_SECRET, _OF_A_URL, _OF_A_HEADER, _OF_PREFECT):
        text = pattern.sub(r"\1...", text)
    return text


# --- how much --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """A request that comes too early."""

    code: str  # rate_exceeded or too_many_at_once
    seconds: int  # whole ones until it is worth another try, at least 1
    detail: str


_MICROSECOND = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1) // _MICROSECOND


class Usage:
    """What one key has used lately: a bucket of requests, filled evenly, and slots.

    A full bucket holds the requests of one minute, so a key that was idle may send them all at once, and at
    most twice as many in any minute. The bucket counts in whole parts of a request: no rounding adds up.
    A clock that goes backwards fills nothing and costs nothing. Not for several threads at a time.
    """

    __slots__ = ("_at", "_left", "at_once", "per_minute", "under_way")

    def __init__(self, *, per_minute: int, at_once: int) -> None:
        self.per_minute = per_minute
        self.at_once = at_once
        self.under_way = 0  # requests that have a slot
        self._left = per_minute * _MINUTE  # one request is a minute's microseconds
        self._at: datetime | None = None

    def take(self, now: datetime) -> Wait | None:
        """Count one request; or say how long to wait, and count none."""
        if self._at is not None and now > self._at:
            filled = (now - self._at) // _MICROSECOND * self.per_minute
            self._left = min(self.per_minute * _MINUTE, self._left + filled)
        self._at = now
        if self._left >= _MINUTE:
            self._left -= _MINUTE
            return None
        missing = _MINUTE - self._left
        return Wait(
            code="rate_exceeded",
            seconds=-(-missing // (self.per_minute * 1_000_000)),
            detail=f"This key may send {plural(self.per_minute, 'request')} a minute.",
        )

    def enter(self) -> Wait | None:
        """Take a slot until ``leave``; or say that all are taken, and take none."""
        if self.under_way < self.at_once:
            self.under_way += 1
            return None
        return Wait(
            code="too_many_at_once",
            seconds=1,  # when one of the others ends, nobody knows
            detail=f"This key may have {plural(self.at_once, 'request')} under way at once.",
        )

    def leave(self) -> None:
        """Give a slot back."""
        if not self.under_way:
            raise ValueError("No slot is taken that could be given back.")
        self.under_way -= 1
