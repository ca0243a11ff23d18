"""Keys of persons and of the house: made here, private halves in files, public halves in the registry."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from flows.bootstrap import House
from flows.settings import KEY_NAME
from policy.errors import UnknownName, WrongUse
from policy.identities import Identity, IdentityRole
from registry.evidence.keys import SigningKey, make_key, save_key
from registry.unit_of_work import unit_of_work


@dataclass(frozen=True, kw_only=True, slots=True)
class Signatory:
    """An identity together with its key, for the moment of signing."""

    identity: Identity
    key: SigningKey


def create_identity(
    house: House, name: str, role: IdentityRole, *, valid_until: datetime | None = None
) -> Identity:
    """Make a key under the home, for its owner's eyes, and record its public half with an audit event."""
    if not re.match(KEY_NAME, name):
        raise WrongUse(f"{name!r} is no name for a key.", "Use small letters, digits, dots and dashes.")
    now = house.clock()
    if valid_until is not None and valid_until <= now:
        raise WrongUse("The key would be over before it is made.", "Give a later date.")
    with unit_of_work(house.engine, read_only=True) as work:
        holder = work.identities.current(name)
    if holder is not None:
        raise WrongUse(
            f"{name} has a key already: {holder.key_id[:12]}.",
            f"Revoke it first: rightstep identity revoke {name} --reason WHY.",
        )
    key = make_key()
    path = house.settings.key_file(name)
    save_key(path, key)
    try:
        return _record(house, key, name, role, valid_until)
    except BaseException:
        path.unlink(missing_ok=True)  # nobody ever heard of it
        raise


def _record(
    house: House, key: SigningKey, name: str, role: IdentityRole, valid_until: datetime | None = None
) -> Identity:
    now = house.clock()
    identity = Identity(
        key_id=key.key_id,
        name=name,
        role=role,
        public=key.public.hex(),
        valid_from=now,
        valid_until=valid_until,
        made_by=house.settings.actor,
        revoked_at=None,
        revoked_by=None,
        revoked_because=None,
    )
    with unit_of_work(house.engine) as work:
        work.identities.add(identity, now)
        work.commit()
    return identity


def list_identities(house: House) -> tuple[Identity, ...]:
    """Every identity that the registry knows, revoked ones too."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.identities.known()


def show_identity(house: House, given: str) -> Identity:
    """One identity by name or by the beginning of its key id; else UnknownName."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.identities.find(given)


def revoke_identity(house: House, given: str, reason: str) -> Identity:
    """End a key; its file, where this home holds it, is moved aside, because what it signed names it."""
    with unit_of_work(house.engine) as work:
        identity = work.identities.revoke(given, actor=house.settings.actor, reason=reason, now=house.clock())
        work.commit()
    path = house.settings.key_file(identity.name)
    with suppress(FileNotFoundError):
        path.rename(path.with_suffix(f".{identity.key_id[:12]}.revoked"))
    return identity


def signatory(house: House, name: str) -> Signatory:
    """Who signs as ``name``: the key of this home, if the registry knows it and it is valid now."""
    if not house.settings.key_file(name).is_file():
        raise UnknownName(
            f"This home holds no key of {name}.", f"Make one: rightstep identity create {name}."
        )
    key = house.settings.read_key(name)
    with unit_of_work(house.engine, read_only=True) as work:
        identity = work.identities.by_key().get(key.key_id)
    if identity is None or not identity.may_sign_at(house.clock()):
        raise WrongUse(
            f"The key of {name} in this home is unknown to the registry, revoked or over.",
            f"See: rightstep identity show {name}.",
        )
    return Signatory(identity=identity, key=key)


def house_signatory(house: House) -> Signatory:
    """Who signs for the house; its key is made the first time it is needed."""
    name = house.settings.house_key
    path = house.settings.key_file(name)
    with unit_of_work(house.engine, read_only=True) as work:
        current, known = work.identities.current(name), work.identities.by_key()
    if not path.is_file():
        if current is not None:
            raise WrongUse(
                f"The registry knows a key {name}, and this home does not hold it.",
                f"Copy it to {path}, or make another of role house and set RIGHTSTEP_HOUSE_KEY to its name.",
            )
        with suppress(WrongUse):  # somebody else made it in this very moment: theirs is taken
            create_identity(house, name, IdentityRole.HOUSE)
    elif (key := house.settings.read_key(name)).key_id not in known:
        _record(house, key, name, IdentityRole.HOUSE)  # the key outlived the ledger
    found = signatory(house, name)
    if found.identity.role is not IdentityRole.HOUSE:
        raise WrongUse(f"{name} is a key of role {found.identity.role.value}.", "Name one of role house.")
    return found
