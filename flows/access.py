"""Keys to the HTTP API: made, listed and revoked here, and asked about by whoever serves it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from flows.bootstrap import House
from policy.access import AT_ONCE, PER_MINUTE, RECORDED_SCOPES, AccessKey, Scope, parse_scopes
from policy.errors import WrongUse
from registry.access_keys import new_key_id, new_secret
from registry.unit_of_work import unit_of_work

LONGEST_LINE = 500  # characters of a name or a reason
MOST_REQUESTS = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatedKey:
    """A new key with its secret, for the one moment at which it can be shown."""

    key: AccessKey
    secret: str = field(repr=False)  # nothing keeps it


def create_key(
    house: House,
    *,
    owner: str,
    scopes: Iterable[str],
    expires_at: datetime | None = None,
    per_minute: int = PER_MINUTE,
    at_once: int = AT_ONCE,
) -> CreatedKey:
    """Make a key and record it with an audit event; the secret is in the answer and nowhere else.

    ``expires_at`` is the first moment at which it opens nothing. WrongUse where it could never be used.
    """
    now = house.clock()
    if expires_at is not None and expires_at <= now:
        raise WrongUse("The key would be over before it is made.", "Give a later date.")
    for name, amount in (("requests a minute", per_minute), ("requests at once", at_once)):
        if not 1 <= amount <= MOST_REQUESTS:
            raise WrongUse(f"{amount:,} {name} cannot be meant.", f"Give 1 to {MOST_REQUESTS:,}.")
    key = AccessKey(
        key_id=new_key_id(),
        owner=_line("The owner of a key", owner),
        scopes=parse_scopes(scopes),
        per_minute=per_minute,
        at_once=at_once,
        created_at=now,
        created_by=house.settings.actor,
        expires_at=expires_at,
    )
    made = CreatedKey(key=key, secret=new_secret(key.key_id))
    with unit_of_work(house.engine) as work:
        work.keys.add(key, made.secret)
        work.commit()
    return made


def list_keys(house: House) -> tuple[AccessKey, ...]:
    """Every key, those that open nothing any more too."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.keys.known()


def show_key(house: House, given: str) -> AccessKey:
    """One key by its id or the beginning of it; else UnknownName."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.keys.find(given)


def revoke_key(house: House, given: str, reason: str) -> AccessKey:
    """End a key: the next request that presents it is turned away."""
    why = _line("The reason", reason)
    with unit_of_work(house.engine) as work:
        ended = work.keys.revoke(given, actor=house.settings.actor, reason=why, now=house.clock())
        work.commit()
    return ended


def key_of(house: House, presented: str) -> AccessKey | None:
    """The key that a presented secret opens; whether it may be used is for ``refuse_access`` to say."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.keys.opened_by(presented)


def record_use(house: House, key: AccessKey, scope: Scope, what: str) -> None:
    """Write into the audit log what a key was used for; of submit and read nothing is written."""
    if scope not in RECORDED_SCOPES:
        return  # without waiting for the writer's place
    with unit_of_work(house.engine) as work:
        work.keys.record_use(key, scope, what, house.clock())
        work.commit()


def _line(what: str, text: str) -> str:
    """One line of text that every database and every log can hold."""
    line = text.strip()
    if not line or len(line) > LONGEST_LINE or not line.isprintable():
        raise WrongUse(f"{what} is one line of text.", f"Write 1 to {LONGEST_LINE} printable characters.")
    return line
