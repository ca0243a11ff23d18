"""The audit log, attacked: by the product's own connection, and by somebody who owns the database."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from policy.audit import AuditEvent, ChainedEvent, chain
from policy.canonical import canonical_json
from policy.errors import AuditFault, LedgerFault
from registry.audit_guards import POSTGRESQL_FUNCTIONS_V1, POSTGRESQL_TRIGGERS_V1, SQLITE_GUARDS_V1
from registry.audit_walk import AuditCheck, verify
from registry.database import open_database
from registry.instants import instant_text
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.stores import Store


def make_event(number: int = 1, **changes: str) -> AuditEvent:
    facts = {
        "tag": "shipment:licence:denied",
        "actor": "alice",
        "subject": f"job-{number}",
        "payload": canonical_json({"number": number, "scale": 0.8}),
    }
    return AuditEvent(**(facts | changes))


def append(engine: Engine, count: int = 1, start: int = 1) -> list[ChainedEvent]:
    with unit_of_work(engine) as work:
        chained = [work.audit.append(make_event(number), NOW) for number in range(start, start + count)]
        work.commit()
    return chained


def tamper(store: Store, *statements: str) -> None:
    """What the owner of the database can do: drop the guards, then write what they like."""
    owner = open_database(store.owner_url)
    with owner.begin() as connection:
        for name in SQLITE_GUARDS_V1 if store.is_sqlite else ():
            connection.execute(text(f"DROP TRIGGER {name}"))
        if not store.is_sqlite:
            connection.execute(text("ALTER TABLE audit_events DISABLE TRIGGER ALL"))
            connection.execute(text("ALTER TABLE audit_head DISABLE TRIGGER ALL"))
        for statement in statements:
            connection.execute(text(statement))
        for sql in SQLITE_GUARDS_V1.values() if store.is_sqlite else ():
            connection.execute(text(sql))
        if not store.is_sqlite:
            connection.execute(text("ALTER TABLE audit_events ENABLE TRIGGER ALL"))
            connection.execute(text("ALTER TABLE audit_head ENABLE TRIGGER ALL"))
    owner.dispose()


def checked(store: Store, *statements: str) -> AuditCheck:
    append(store.engine, 8)
    tamper(store, *statements)
    return verify(store.engine)


def test_an_empty_log_holds(store: Store):
    check = verify(store.engine)
    assert (check.ok, check.rows, check.guards_missing) == (True, 0, ())


def test_events_are_chained_in_order_and_read_back(store: Store):
    written = append(store.engine, 3)
    with unit_of_work(store.engine, read_only=True) as work:
        assert list(work.audit.events()) == written
        assert work.audit.events(subject="job-2") == (written[1],)
        assert work.audit.events(after=1, limit=1) == (written[1],)
    assert [event.seq for event in written] == [1, 2, 3]
    assert written[2] == chain(written[1], make_event(3), instant_text(NOW))
    check = verify(store.engine)
    assert (check.ok, check.rows, check.head) == (True, 3, written[2].hash)


def test_an_event_that_is_taken_back_leaves_no_gap(store: Store):
    append(store.engine, 1)
    with unit_of_work(store.engine) as work:
        work.audit.append(make_event(2), NOW)
    assert append(store.engine, 1, start=3)[0].seq == 2
    assert verify(store.engine).ok


@pytest.mark.parametrize(
    "payload", ["{}x", '{"b":1,"a":2}', '{"scale":0.8}', '{ "a":1}', "", '{"a":1,"a":1}']
)
def test_a_payload_that_is_not_canonical_is_refused(store: Store, payload: str):
    with pytest.raises(AuditFault, match="canonical"), unit_of_work(store.engine) as work:
        work.audit.append(make_event(payload=payload), NOW)


@pytest.mark.parametrize("tag", ["", "shipped", "a:b", "a::c", "a:b:c:d"])
def test_a_tag_that_does_not_name_source_subject_and_action_is_refused(store: Store, tag: str):
    with pytest.raises(AuditFault, match="source:subject:action"), unit_of_work(store.engine) as work:
        work.audit.append(make_event(tag=tag), NOW)


# The guards, through the product's own account.

FORGED = (
    "INSERT {verb} INTO audit_events (seq, ts, actor, tag, subject, payload, payload_hash, prev_hash, hash)"
    " SELECT {seq}, ts, 'mallory', tag, subject, payload, payload_hash, {prev}, {hash} FROM audit_events WHERE seq = 1"
)
ATTACKS = {
    "change": "UPDATE audit_events SET actor = 'mallory' WHERE seq = 2",
    "change the number": "UPDATE audit_events SET seq = 99 WHERE seq = 3",
    "remove": "DELETE FROM audit_events WHERE seq = 2",
    "remove the tail": "DELETE FROM audit_events WHERE seq = 3",
    "insert with a gap": FORGED.format(verb="", seq=9, prev="hash", hash="'f'"),
    "insert off the chain": FORGED.format(verb="", seq=4, prev="'nothing'", hash="'f'"),
    "insert a second time": FORGED.format(verb="", seq=2, prev="hash", hash="'f'"),
    "move the head back": "UPDATE audit_head SET seq = 2",
    "move the head on": "UPDATE audit_head SET seq = 4, hash = 'f'",
    "remove the head": "DELETE FROM audit_head",
    "add a head": "INSERT INTO audit_head (id, seq, hash) VALUES (2, 0, '')",
}
SQLITE_ATTACKS = {
    "replace": FORGED.format(verb="OR REPLACE", seq=2, prev="prev_hash", hash="'f'"),
    "replace the tail": FORGED.format(verb="OR REPLACE", seq=3, prev="prev_hash", hash="'f'"),
    "replace by hash": FORGED.format(
        verb="OR REPLACE", seq=4, prev="(SELECT hash FROM audit_head)", hash="hash"
    ),
    "update or replace": "UPDATE OR REPLACE audit_events SET seq = 1 WHERE seq = 2",
    "replace the head": "REPLACE INTO audit_head (id, seq, hash) VALUES (1, 0, '')",
}
POSTGRESQL_ATTACKS = {
    "truncate": "TRUNCATE audit_events",
    "truncate the head": "TRUNCATE audit_head",
    "upsert": FORGED.format(verb="", seq=2, prev="hash", hash="'f'")
    + " ON CONFLICT (seq) DO UPDATE SET actor = 'mallory'",
    "switch triggers off": "ALTER TABLE audit_events DISABLE TRIGGER ALL",
    "drop the guard": "DROP FUNCTION rightstep_audit_continue CASCADE",
    "replicate": "SET session_replication_role = replica",
}


def commit(engine: Engine, statement: str) -> None:
    with unit_of_work(engine) as work:
        work.connection.execute(text(statement))
        work.commit()


def refused(store: Store, url: str, statement: str) -> None:
    """The statement is refused, and the log is as it was."""
    before = verify(store.engine)
    engine = open_database(url)
    with pytest.raises(LedgerFault):
        commit(engine, statement)
    engine.dispose()
    assert verify(store.engine) == before
    assert before.ok


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_products_account_can_only_add_to_the_log(store: Store, attack: str):
    append(store.engine, 3)
    refused(store, store.url, ATTACKS[attack])


@pytest.mark.parametrize("attack", SQLITE_ATTACKS)
def test_sqlite_refuses_to_replace(sqlite_store: Store, attack: str):
    append(sqlite_store.engine, 3)
    refused(sqlite_store, sqlite_store.url, SQLITE_ATTACKS[attack])


@pytest.mark.parametrize("attack", SQLITE_ATTACKS)
def test_sqlite_refuses_to_replace_on_a_careless_connection(sqlite_store: Store, attack: str):
    import sqlite3

    append(sqlite_store.engine, 3)
    path = sqlite_store.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as careless, pytest.raises(sqlite3.IntegrityError):
        careless.execute(SQLITE_ATTACKS[attack])  # recursive_triggers is off here
    careless.close()
    assert verify(sqlite_store.engine).ok


@pytest.mark.postgres
@pytest.mark.parametrize("attack", POSTGRESQL_ATTACKS)
def test_postgresql_refuses_the_products_account(postgresql_store: Store, attack: str):
    append(postgresql_store.engine, 3)
    refused(postgresql_store, postgresql_store.url, POSTGRESQL_ATTACKS[attack])


@pytest.mark.postgres
@pytest.mark.parametrize("attack", [*ATTACKS, "truncate", "truncate the head", "upsert"])
def test_postgresql_guards_stop_the_owner_too(postgresql_store: Store, attack: str):
    append(postgresql_store.engine, 3)
    refused(postgresql_store, postgresql_store.owner_url, (ATTACKS | POSTGRESQL_ATTACKS)[attack])


# Past the guards: verify finds it.

CHANGES = {
    "ts": "'2020-01-01T00:00:00.000000Z'",
    "actor": "'mallory'",
    "tag": "'shipment:licence:granted'",
    "subject": "'another'",
    "payload": "'{}'",
    "payload_hash": "'0'",
    "prev_hash": "'0'",
    "hash": "'0'",
}


@pytest.mark.parametrize("column", CHANGES)
@pytest.mark.parametrize("seq", [1, 5, 8])
def test_a_changed_row_is_found(store: Store, column: str, seq: int):
    check = checked(store, f"UPDATE audit_events SET {column} = {CHANGES[column]} WHERE seq = {seq}")
    assert not check.ok
    assert check.guards_missing == ()
    assert check.broken_at == seq
    assert check.rows == seq - 1


@pytest.mark.parametrize("seq", [1, 5, 8])
def test_a_removed_row_is_found(store: Store, seq: int):
    check = checked(store, f"DELETE FROM audit_events WHERE seq = {seq}")
    assert (check.ok, check.broken_at) == (False, seq)


def test_a_cut_tail_is_found(store: Store):
    check = checked(store, "DELETE FROM audit_events WHERE seq > 3")
    assert (check.ok, check.rows, check.broken_at) == (False, 3, 4)
    assert "head says 8" in check.detail


def test_a_log_that_was_emptied_is_found(store: Store):
    check = checked(store, "DELETE FROM audit_events")
    assert (check.ok, check.rows, check.broken_at) == (False, 0, 1)


def test_a_head_that_is_gone_is_found(store: Store):
    check = checked(store, "DELETE FROM audit_head")
    assert not check.ok
    assert "head row is gone" in check.detail
    with pytest.raises(AuditFault, match="lost its head"):
        append(store.engine)


def test_a_row_added_behind_the_head_is_found(store: Store):
    last = append(store.engine, 8)[-1]
    forged = chain(last, make_event(9), instant_text(NOW))
    values = ", ".join(
        f"'{value}'"
        for value in (
            forged.ts,
            forged.event.actor,
            forged.event.tag,
            forged.event.subject,
            forged.event.payload.replace(":", "\\:"),
            forged.payload_hash,
            forged.prev_hash,
            forged.hash,
        )
    ).replace("shipment:licence:denied", "shipment\\:licence\\:denied")
    values = values.replace(forged.ts, forged.ts.replace(":", "\\:"))
    tamper(store, f"INSERT INTO audit_events VALUES (9, {values})")
    check = verify(store.engine)
    assert (check.ok, check.rows, check.broken_at) == (False, 9, 9)


def swap(first: int, second: int) -> Sequence[str]:
    return (
        f"UPDATE audit_events SET seq = -1 WHERE seq = {first}",
        f"UPDATE audit_events SET seq = {first} WHERE seq = {second}",
        f"UPDATE audit_events SET seq = {second} WHERE seq = -1",
    )


@pytest.mark.parametrize(("first", "second"), [(1, 2), (3, 7), (7, 8)])
def test_rows_that_changed_places_are_found(store: Store, first: int, second: int):
    check = checked(store, *swap(first, second))
    assert (check.ok, check.broken_at) == (False, first)


def test_a_chain_that_was_made_anew_from_the_middle_is_found_by_its_head(store: Store):
    """The head's hash is what a copy kept elsewhere is compared with."""
    before = append(store.engine, 4)[-1].hash
    tamper(store, "DELETE FROM audit_events WHERE seq = 4", "UPDATE audit_head SET seq = 3")
    assert not verify(store.engine).ok
    check = verify(store.engine)
    assert (check.head, check.broken_at) == (before, 4)


# Missing guards.


@pytest.mark.parametrize("name", SQLITE_GUARDS_V1)
def test_a_guard_that_is_gone_is_named_in_sqlite(sqlite_store: Store, name: str):
    append(sqlite_store.engine, 2)
    with sqlite_store.engine.begin() as connection:
        connection.execute(text(f"DROP TRIGGER {name}"))
    check = verify(sqlite_store.engine)
    assert (check.ok, check.broken_at, check.guards_missing) == (False, None, (name,))


def test_a_guard_that_was_weakened_is_named(sqlite_store: Store):
    with sqlite_store.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_events_never_go"))
        connection.execute(
            text("CREATE TRIGGER audit_events_never_go BEFORE DELETE ON audit_events BEGIN SELECT 1; END")
        )
    assert verify(sqlite_store.engine).guards_missing == ("audit_events_never_go",)


@pytest.mark.postgres
@pytest.mark.parametrize("name", POSTGRESQL_TRIGGERS_V1)
@pytest.mark.parametrize(
    "how", ["DROP TRIGGER {name} ON {table}", "ALTER TABLE {table} DISABLE TRIGGER {name}"]
)
def test_a_guard_that_is_gone_or_off_is_named_in_postgresql(postgresql_store: Store, name: str, how: str):
    table = "audit_events" if name.startswith("audit_events") else "audit_head"
    owner = open_database(postgresql_store.owner_url)
    with owner.begin() as connection:
        connection.execute(text(how.format(name=name, table=table)))
    owner.dispose()
    assert verify(postgresql_store.engine).guards_missing == (name,)


@pytest.mark.postgres
@pytest.mark.parametrize("name", [name for name in POSTGRESQL_FUNCTIONS_V1 if "lock" not in name])
def test_a_guard_whose_function_was_changed_is_named(postgresql_store: Store, name: str):
    owner = open_database(postgresql_store.owner_url)
    with owner.begin() as connection:
        body = "BEGIN RETURN NEW; END"
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $guard$ {body} $guard$"
        )
    owner.dispose()
    assert verify(postgresql_store.engine).guards_missing == (name,)


def test_a_broken_chain_and_a_missing_guard_are_both_told(sqlite_store: Store):
    append(sqlite_store.engine, 2)
    with sqlite_store.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_events_never_change"))
        connection.execute(text("UPDATE audit_events SET actor = 'mallory' WHERE seq = 1"))
    check = verify(sqlite_store.engine)
    assert (check.broken_at, check.guards_missing) == (1, ("audit_events_never_change",))


# Several writers.


def test_writers_at_the_same_time_make_one_chain(store: Store):
    ready = threading.Barrier(4)

    def write(number: int) -> None:
        engine = open_database(store.url)
        ready.wait()
        for start in range(10):
            append(engine, 2, start=100 * number + 2 * start)
        engine.dispose()

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(4)))
    check = verify(store.engine)
    assert (check.ok, check.rows) == (True, 80)


def test_verifying_while_others_write_is_no_alarm(store: Store):
    append(store.engine, 5)
    with unit_of_work(store.engine) as writer:
        writer.audit.append(make_event(6), NOW)
        assert verify(store.engine).ok
        writer.commit()
    assert verify(store.engine).rows == 6


@pytest.mark.parametrize("page", [1, 3, 4, 8, 100])
def test_a_long_log_is_walked_page_by_page(sqlite_store: Store, page: int):
    append(sqlite_store.engine, 8)
    check = verify(sqlite_store.engine, page=page)
    assert (check.ok, check.rows) == (True, 8)
    tamper(sqlite_store, "DELETE FROM audit_events WHERE seq = 4")
    assert verify(sqlite_store.engine, page=page).broken_at == 4
