"""Access keys: a secret opens its own key alone, is kept nowhere, and everything done is in the log."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from policy.access import AccessKey, Scope
from policy.errors import LedgerFault, UnknownName, WrongUse
from registry.access_keys import new_key_id, new_secret, secret_digest
from registry.access_tables import access_keys
from registry.audit_walk import verify
from registry.tables import metadata
from registry.unit_of_work import unit_of_work
from tests.factories import NOW, make_access_key
from tests.integration.registry.stores import Store
from tests.integration.registry.test_query_counts import statements_of

LATER = NOW + timedelta(hours=1)


def make_key(**changes: Any) -> AccessKey:
    return make_access_key(**{"key_id": new_key_id(), "scopes": (Scope.SUBMIT, Scope.SHIP), **changes})


def keep(store: Store, key: AccessKey | None = None) -> tuple[AccessKey, str]:
    made = key or make_key()
    secret = new_secret(made.key_id)
    with unit_of_work(store.engine) as work:
        work.keys.add(made, secret)
        work.commit()
    return made, secret


def opened(store: Store, presented: str) -> AccessKey | None:
    with unit_of_work(store.engine, read_only=True) as work:
        return work.keys.opened_by(presented)


def found(store: Store, given: str) -> AccessKey:
    with unit_of_work(store.engine, read_only=True) as work:
        return work.keys.find(given)


def everything(store: Store) -> str:
    with unit_of_work(store.engine, read_only=True) as work:
        return repr([work.connection.execute(table.select()).all() for table in metadata.sorted_tables])


def test_a_secret_opens_the_key_that_it_was_made_for(store: Store):
    first, second = keep(store), keep(store, make_key(created_at=LATER, expires_at=None))
    assert [opened(store, secret) for _, secret in (first, second)] == [first[0], second[0]]
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.keys.known() == (first[0], second[0])


def test_a_secret_has_256_random_bits_and_is_kept_nowhere(store: Store):
    key, secret = keep(store)
    own = secret.removeprefix(f"rs_{key.key_id}_")
    assert len(own) * 6 >= 256
    assert len({new_secret(key.key_id) for _ in range(100)}) == 100
    assert own not in everything(store)
    assert secret_digest(secret) in everything(store)
    assert own not in repr(opened(store, secret))


HOSTILE: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("empty", lambda _: ""),
    ("one wrong digit", lambda secret: secret[:-1] + ("A" if secret[-1] != "A" else "B")),
    ("a digit less", lambda secret: secret[:-1]),
    ("a digit more", lambda secret: f"{secret}A"),
    ("a line break more", lambda secret: f"{secret}\n"),
    ("the id alone", lambda secret: secret[:15]),
    ("an unknown id", lambda secret: f"rs_{'0' * 12}{secret[15:]}"),
    ("capitals", lambda secret: secret.upper()),
    ("other digits", lambda secret: secret.replace(secret[3], "\N{ARABIC-INDIC DIGIT THREE}", 1)),
    ("NUL", lambda secret: f"{secret[:-1]}\0"),
    ("not ASCII", lambda secret: f"{secret[:-1]}é"),
    ("half a character", lambda secret: f"{secret[:-1]}\ud800"),
    ("very long", lambda secret: secret + "A" * 10_000_000),
    ("SQL", lambda secret: f"rs_' OR '1'='{secret[15:]}"),
    ("the digest", lambda secret: f"{secret[:16]}{secret_digest(secret)[:43]}"),
)


@pytest.mark.parametrize(("what", "changed"), HOSTILE, ids=[what for what, _ in HOSTILE])
def test_nothing_but_the_secret_opens_a_key(store: Store, what: str, changed: Callable[[str], str]):
    _, secret = keep(store)
    assert changed(secret) != secret, what
    assert opened(store, changed(secret)) is None


def test_a_digest_that_was_moved_to_another_row_opens_nothing(store: Store):
    _, secret = keep(store, make_key(scopes=(Scope.READ,)))
    admin, _ = keep(store, make_key(scopes=(Scope.ADMIN,)))
    with unit_of_work(store.engine) as work:
        moved = access_keys.update().where(access_keys.c.key_id == admin.key_id)
        work.connection.execute(moved.values(secret_sha256=secret_digest(secret)))
        work.commit()
    forged = f"rs_{admin.key_id}{secret[15:]}"
    assert opened(store, forged) is None


def test_two_keys_never_have_one_id(store: Store):
    key, secret = keep(store)
    with pytest.raises(LedgerFault, match="contradicts"):
        keep(store, make_key(key_id=key.key_id, scopes=(Scope.ADMIN,)))
    assert opened(store, secret) == key


def test_a_key_is_found_by_what_its_id_begins_with_and_by_nothing_vague(store: Store):
    first, secret = keep(store, make_key(key_id="aaaa11111111"))
    keep(store, make_key(key_id="aaaa22222222"))
    assert found(store, "aaaa1") == found(store, "rs_aaaa1") == found(store, secret) == first
    with pytest.raises(UnknownName, match="aaaa11111111, aaaa22222222"):
        found(store, "aaaa")
    for given in ("", "aaa", "rs_", "bbbb", "%", "aaaa%", "aaaa1\0", secret[:-1]):
        with pytest.raises(UnknownName, match="begins like that") as unknown:
            found(store, given)
        assert secret[16:30] not in str(unknown.value)


def test_a_revoked_key_is_still_known_and_says_why(store: Store):
    key, secret = keep(store)
    with unit_of_work(store.engine) as work:
        ended = work.keys.revoke(key.key_id, actor="bob", reason="It was lost.", now=LATER)
        work.commit()
    assert ended == replace(key, revoked_at=LATER, revoked_because="It was lost.") == opened(store, secret)
    with pytest.raises(WrongUse, match="already"), unit_of_work(store.engine) as work:
        work.keys.revoke(key.key_id, actor="eve", reason="again", now=LATER)


def test_what_happens_to_a_key_is_in_the_log_without_its_secret(store: Store):
    key, secret = keep(store)
    with unit_of_work(store.engine) as work:
        for scope in Scope:
            work.keys.record_use(key, scope, f"POST /{scope}\0\ud800", LATER)
        work.keys.revoke(key.key_id, actor="bob", reason="lost", now=LATER)
        work.commit()
    with unit_of_work(store.engine, read_only=True) as work:
        told = [one.event for one in work.audit.events(subject=key.key_id)]
    assert [(one.tag, one.actor) for one in told] == [
        ("access:key:created", "alice"),
        ("access:key:used", "Zoë"),
        ("access:key:used", "Zoë"),
        ("access:key:used", "Zoë"),
        ("access:key:revoked", "bob"),
    ]
    assert [json.loads(one.payload)["scope"] for one in told[1:4]] == ["ship", "audit", "admin"]
    assert secret_digest(secret) not in repr(told)
    assert verify(store.engine).ok


def test_a_use_of_any_length_is_told_in_short(store: Store):
    key, _ = keep(store)
    with unit_of_work(store.engine) as work:
        work.keys.record_use(key, Scope.ADMIN, "x" * 1_000_000, LATER)
        work.commit()

    with unit_of_work(store.engine, read_only=True) as work:
        assert len(work.audit.latest(1)[0].event.payload) < 1_000


def test_a_key_and_its_event_are_one_transaction(store: Store):
    with unit_of_work(store.engine) as work:
        work.keys.add(make_key(), "never committed")
    with unit_of_work(store.engine, read_only=True) as work:
        assert (work.keys.known(), work.audit.events()) == ((), ())


def test_an_unknown_id_costs_what_a_known_one_does(store: Store):
    _, secret = keep(store)
    seen = []
    for presented in (secret, f"rs_{'0' * 12}{secret[15:]}", f"{secret[:-2]}AA"):
        with statements_of(store.engine) as statements:
            opened(store, presented)
        seen.append([text for text, _ in statements if "access_keys" in text])
    assert [len(statements) for statements in seen] == [1, 1, 1]
    assert len({tuple(statements) for statements in seen}) == 1
