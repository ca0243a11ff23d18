"""Checkpoints: what they sign, and what they show that the chain alone cannot."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from policy.audit import AuditEvent, ChainedEvent, chain
from policy.canonical import canonical_json
from policy.checkpoints import Checkpoint, message_of
from policy.errors import AuditFault, FormatFault, LedgerFault, WrongUse
from policy.identities import Identity, IdentityRole
from registry.audit_guards import (
    POSTGRESQL_CHECKPOINT_TRIGGERS_V1,
    SQLITE_CHECKPOINT_GUARDS_V1,
    SQLITE_GUARDS_V1,
)
from registry.audit_walk import CheckReason, verify
from registry.checkpoints import keep_copy, load_copies
from registry.database import open_database
from registry.evidence.keys import SigningKey, is_signed, make_key
from registry.instants import instant_text
from registry.merkle import root_of
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.stores import Store


def make_event(number: int) -> AuditEvent:
    return AuditEvent(
        tag="job:plan:accepted",
        actor="alice",
        subject=f"job-{number}",
        payload=canonical_json({"number": number}),
    )


def append(store: Store, count: int, start: int = 1) -> list[ChainedEvent]:
    with unit_of_work(store.engine) as work:
        chained = [work.audit.append(make_event(start + number), NOW) for number in range(count)]
        work.commit()
    return chained


def house_key(store: Store, name: str = "house") -> SigningKey:
    """A key of the house, known to the registry; its creation is an event of the log."""
    key = make_key()
    identity = Identity(
        key_id=key.key_id,
        name=name,
        role=IdentityRole.HOUSE,
        public=key.public.hex(),
        valid_from=NOW,
        valid_until=None,
        made_by="alice",
        revoked_at=None,
        revoked_by=None,
        revoked_because=None,
    )
    with unit_of_work(store.engine) as work:
        work.identities.add(identity, NOW)
        work.commit()
    return key


def sign(store: Store, key: SigningKey, minutes: int = 0) -> Checkpoint:
    with unit_of_work(store.engine) as work:
        made = work.checkpoints.make(key, NOW + timedelta(minutes=minutes))
        work.commit()
    return made


def as_owner(store: Store, *statements: str) -> None:
    """Past every guard, and everything stands again afterwards."""
    owner = open_database(store.owner_url)
    guards = SQLITE_GUARDS_V1 | SQLITE_CHECKPOINT_GUARDS_V1
    with owner.begin() as connection:
        if store.is_sqlite:
            for name in guards:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for statement in statements:
            connection.exec_driver_sql(statement)
        if store.is_sqlite:
            for sql in guards.values():
                connection.exec_driver_sql(sql)
    owner.dispose()


def cut_with_head(store: Store, upto: int) -> None:
    """What the chain cannot show: the tail cut and the head moved to where it now ends."""
    as_owner(
        store,
        f"DELETE FROM audit_events WHERE seq > {upto}",
        f"UPDATE audit_head SET seq = {upto}, hash = (SELECT hash FROM audit_events WHERE seq = {upto})",
    )


def rewrite_all(store: Store) -> None:
    """The whole chain made anew with another actor: every hash is right again, the head too."""
    with unit_of_work(store.engine, read_only=True) as work:
        events = work.audit.events()
    rows: list[ChainedEvent] = []
    for event in events:
        rows.append(chain(rows[-1] if rows else None, replace(event.event, actor="mallory"), event.ts))
    as_owner(
        store,
        *(
            f"UPDATE audit_events SET actor = 'mallory', prev_hash = '{row.prev_hash}', hash = '{row.hash}'"
            f" WHERE seq = {row.seq}"
            for row in rows
        ),
        f"UPDATE audit_head SET hash = '{rows[-1].hash}'",
    )


def test_a_checkpoint_signs_the_root_over_every_event(store: Store):
    key = house_key(store)
    append(store, 6)
    made = sign(store, key)
    with unit_of_work(store.engine, read_only=True) as work:
        events = work.audit.events()
        assert work.checkpoints.known() == (made,)
    assert (made.size, made.head, made.at) == (7, events[-1].hash, instant_text(NOW))
    assert made.root == root_of(bytes.fromhex(event.hash) for event in events).hex()
    assert is_signed(key.public, message_of(made), bytes.fromhex(made.signature))
    check = verify(store.engine)
    assert (check.ok, check.checkpoints, check.root) == (True, 1, made.root)


def test_the_next_checkpoint_goes_on_from_the_last_and_is_the_same_as_a_whole_one(store: Store):
    key = house_key(store)
    for count in (1, 2, 5, 11):
        append(store, count)
        made = sign(store, key)
        with unit_of_work(store.engine, read_only=True) as work:
            leaves = [bytes.fromhex(event.hash) for event in work.audit.events()]
        assert made.root == root_of(leaves).hex()
    assert verify(store.engine).checkpoints == 4


def test_nothing_new_is_nothing_signed(store: Store):
    key = house_key(store)
    assert sign(store, key) == sign(store, key, minutes=10)


def test_an_empty_log_has_nothing_to_sign(store: Store):
    with pytest.raises(WrongUse, match="empty"), unit_of_work(store.engine) as work:
        work.checkpoints.make(make_key(), NOW)


def test_a_checkpoint_that_is_taken_back_was_never_made(store: Store):
    key = house_key(store)
    with unit_of_work(store.engine) as work:
        work.checkpoints.make(key, NOW)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.checkpoints.known() == ()


def test_a_log_that_was_cut_together_with_its_head_is_found_by_a_copy(store: Store, tmp_path: Path):
    key = house_key(store)
    append(store, 8)
    keep_copy(tmp_path, sign(store, key))
    cut_with_head(store, 4)
    as_owner(store, "DELETE FROM audit_checkpoints")
    assert verify(store.engine).ok  # with nothing kept elsewhere, nobody can tell
    check = verify(store.engine, copies=load_copies([tmp_path]))
    assert (check.ok, check.reason, check.rows, check.broken_at) == (False, CheckReason.TRUNCATED, 4, 5)


def test_a_cut_log_is_found_by_the_databases_own_checkpoints_too(store: Store):
    key = house_key(store)
    append(store, 8)
    sign(store, key)
    cut_with_head(store, 4)
    assert verify(store.engine).reason is CheckReason.TRUNCATED


def test_a_chain_that_was_made_anew_is_found_by_a_copy(store: Store, tmp_path: Path):
    key = house_key(store)
    append(store, 8)
    keep_copy(tmp_path, sign(store, key))
    as_owner(store, "DELETE FROM audit_checkpoints")
    rewrite_all(store)
    assert verify(store.engine).ok
    check = verify(store.engine, copies=load_copies([tmp_path]))
    assert (check.ok, check.reason, check.rows) == (False, CheckReason.CHECKPOINT_MISMATCH, 9)


def test_nothing_is_signed_over_a_log_that_is_not_what_was_signed_before(store: Store):
    key = house_key(store)
    append(store, 4)
    sign(store, key)
    rewrite_all(store)
    append(store, 1, start=20)
    with pytest.raises(AuditFault, match="not what the checkpoint"):
        sign(store, key)


@pytest.mark.parametrize("column", ["root", "head", "signature", "at"])
def test_a_changed_checkpoint_is_a_mismatch(store: Store, column: str):
    key = house_key(store)
    append(store, 4)
    made = sign(store, key)
    changed = instant_text(NOW + timedelta(days=1)) if column == "at" else "0" * len(getattr(made, column))
    as_owner(store, f"UPDATE audit_checkpoints SET {column} = '{changed}'")
    check = verify(store.engine)
    assert (check.ok, check.reason) == (False, CheckReason.CHECKPOINT_MISMATCH)


def test_a_checkpoint_by_a_key_that_is_not_the_houses_is_a_mismatch(store: Store):
    append(store, 4)
    sign(store, make_key())
    assert verify(store.engine).reason is CheckReason.CHECKPOINT_MISMATCH


def test_a_new_key_of_the_house_goes_on_where_the_old_one_ended(store: Store):
    first = house_key(store)
    append(store, 2)
    sign(store, first)
    with unit_of_work(store.engine) as work:
        work.identities.revoke("house", actor="alice", reason="worn out", now=NOW)
        work.commit()
    sign(store, house_key(store))
    check = verify(store.engine)
    assert (check.ok, check.checkpoints) == (True, 2)


CHANGES = {
    "change": "UPDATE audit_checkpoints SET root = '0'",
    "remove": "DELETE FROM audit_checkpoints",
}
MORE: dict[bool, dict[str, str]] = {
    True: {"replace": "INSERT OR REPLACE INTO audit_checkpoints SELECT size, key_id, '0', head, at, '0', '' FROM audit_checkpoints"},
    False: {"truncate": "TRUNCATE audit_checkpoints"},
}  # fmt: skip


def test_a_checkpoint_is_only_ever_added(store: Store):
    sign(store, house_key(store))
    for statement in (CHANGES | MORE[store.is_sqlite]).values():
        with pytest.raises(LedgerFault), unit_of_work(store.engine) as work:
            work.connection.execute(text(statement))
    assert verify(store.engine).checkpoints == 1


@pytest.mark.postgres
def test_the_owner_of_the_tables_is_stopped_too(postgresql_store: Store):
    sign(postgresql_store, house_key(postgresql_store))
    owner = open_database(postgresql_store.owner_url)
    for statement in (CHANGES | MORE[False]).values():
        with pytest.raises(LedgerFault), unit_of_work(owner) as work:
            work.connection.execute(text(statement))
    owner.dispose()


@pytest.mark.parametrize("name", SQLITE_CHECKPOINT_GUARDS_V1)
def test_a_missing_guard_of_the_checkpoints_is_named_in_sqlite(sqlite_store: Store, name: str):
    with sqlite_store.engine.begin() as connection:
        connection.execute(text(f"DROP TRIGGER {name}"))
    check = verify(sqlite_store.engine)
    assert (check.reason, check.guards_missing) == (CheckReason.GUARD_MISSING, (name,))


@pytest.mark.postgres
@pytest.mark.parametrize("name", POSTGRESQL_CHECKPOINT_TRIGGERS_V1)
def test_a_missing_guard_of_the_checkpoints_is_named_in_postgresql(postgresql_store: Store, name: str):
    as_owner(postgresql_store, f"DROP TRIGGER {name} ON audit_checkpoints")
    assert verify(postgresql_store.engine).guards_missing == (name,)


@pytest.mark.postgres
def test_an_account_that_could_change_the_log_is_a_missing_guard(
    postgresql_store: Store, asked_by: Callable[[str], tuple[str, ...]]
):
    """The product's account owns nothing; one that owns, may change or rules everything is told."""
    assert verify(postgresql_store.engine).ok
    assert asked_by("") == ("account_is_superuser",)
    assert asked_by("GRANT UPDATE ON audit_events TO {role}") == ("account_may_change_audit_events",)
    assert asked_by("ALTER TABLE audit_head OWNER TO {role}")[0] == "account_owns_audit_head"


@pytest.fixture
def asked_by(postgresql_store: Store) -> Callable[[str], tuple[str, ...]]:
    """What ``verify`` finds missing for an account with one right too many; it is taken back afterwards."""
    from tests.integration.registry.stores import APP_ROLE

    def ask(right: str) -> tuple[str, ...]:
        if not right:
            owner = open_database(postgresql_store.owner_url)
            found = verify(owner).guards_missing
            owner.dispose()
            return found
        as_owner(postgresql_store, right.format(role=APP_ROLE))
        found = verify(postgresql_store.engine).guards_missing
        undo = (
            "ALTER TABLE audit_head OWNER TO postgres"
            if "OWNER" in right
            else f"REVOKE UPDATE ON audit_events FROM {APP_ROLE}"
        )
        as_owner(postgresql_store, undo, f"GRANT SELECT ON audit_head TO {APP_ROLE}")
        return found

    return ask


# Copies


def test_copies_are_read_back_and_never_overwritten(store: Store, tmp_path: Path):
    made = sign(store, house_key(store))
    path = keep_copy(tmp_path / "checkpoints", made)
    assert path.name == f"{made.size:012}-{made.root[:16]}.json"
    assert load_copies([path.parent]) == (made,)
    path.write_text(path.read_text().replace("2026", "2027"))
    assert keep_copy(path.parent, made) == path
    assert load_copies([path.parent]) != (made,)


@pytest.mark.parametrize("body", ["", "{}", "[1]", json.dumps({"size": "many"})])
def test_a_file_that_holds_no_checkpoint_is_named(tmp_path: Path, body: str):
    (tmp_path / "000000000001-0.json").write_text(body)
    with pytest.raises(FormatFault, match=r"000000000001-0\.json"):
        load_copies([tmp_path])


def test_a_home_without_copies_has_none(tmp_path: Path):
    assert load_copies([tmp_path / "nothing"]) == ()
