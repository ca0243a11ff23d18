"""Every single change to a log is found: each column of each row, each row gone, each two swapped, each tail cut."""

from collections.abc import Iterator
from itertools import combinations

import pytest

from registry.audit_log import AuditLog
from registry.audit_walk import AuditCheck, CheckReason, verify
from registry.instants import instant_text
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.stores import Store
from tests.integration.registry.test_checkpoints import append, as_owner, house_key, sign

EVENTS = 6
COLUMNS = {
    "seq": "seq + 1000",
    "ts": "'2020-01-01T00:00:00.000000Z'",
    "actor": "'mallory'",
    "tag": "'shipment:licence:granted'",
    "subject": "'another'",
    "payload": "'{}'",
    "payload_hash": f"'{'0' * 64}'",
    "prev_hash": f"'{'1' * 64}'",
    "hash": f"'{'2' * 64}'",
}
Mutation = tuple[str, tuple[str, ...], int, CheckReason]  # what, how, first event that does not hold, why


def mutations(count: int) -> Iterator[Mutation]:
    for seq in range(1, count + 1):
        for column, value in COLUMNS.items():
            reason = CheckReason.BROKEN
            yield (
                f"{column} of {seq}",
                (f"UPDATE audit_events SET {column} = {value} WHERE seq = {seq}",),
                seq,
                reason,
            )
        gone = CheckReason.TRUNCATED if seq == count else CheckReason.BROKEN
        yield f"{seq} gone", (f"DELETE FROM audit_events WHERE seq = {seq}",), seq, gone
        tail = (f"DELETE FROM audit_events WHERE seq >= {seq}",)
        yield f"cut from {seq}", tail, seq, CheckReason.TRUNCATED
    for first, second in combinations(range(1, count + 1), 2):
        swap = (
            f"UPDATE audit_events SET seq = -1 WHERE seq = {first}",
            f"UPDATE audit_events SET seq = {first} WHERE seq = {second}",
            f"UPDATE audit_events SET seq = {second} WHERE seq = -1",
        )
        yield f"{first} and {second} swapped", swap, first, CheckReason.BROKEN


def put_back(store: Store) -> tuple[str, ...]:
    """The statements that write the log as it is now."""
    with unit_of_work(store.engine, read_only=True) as work:
        rows = AuditLog(work.connection).events()

    def told(value: object) -> str:
        return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"

    lines = (
        ", ".join(
            told(value)
            for value in (
                row.seq, row.ts, row.event.actor, row.event.tag, row.event.subject, row.event.payload,
                row.payload_hash, row.prev_hash, row.hash,
            )
        )
        for row in rows
    )  # fmt: skip
    return ("DELETE FROM audit_events", *(f"INSERT INTO audit_events VALUES ({line})" for line in lines))


def test_every_single_mutation_is_found_where_it_is(store: Store):
    append(store, EVENTS)
    whole, back = verify(store.engine), put_back(store)
    assert (whole.ok, whole.rows) == (True, EVENTS)
    missed: list[str] = []
    for what, statements, seq, reason in mutations(EVENTS):
        as_owner(store, *statements)
        check = verify(store.engine)
        if (check.ok, check.reason, check.broken_at, check.rows) != (False, reason, seq, seq - 1):
            missed.append(f"{what}: {check}")
        as_owner(store, *back)
    assert missed == []
    assert verify(store.engine) == whole


def test_every_tail_that_is_cut_together_with_its_head_is_found_by_what_was_signed(store: Store):
    key = house_key(store)
    append(store, EVENTS)
    signed = sign(store, key)
    back = put_back(store)
    for upto in range(signed.size - 1, 0, -1):
        cut = (
            f"DELETE FROM audit_events WHERE seq > {upto}",
            f"UPDATE audit_head SET seq = {upto}, hash = (SELECT hash FROM audit_events WHERE seq = {upto})",
        )
        as_owner(store, *cut)
        check: AuditCheck = verify(store.engine)
        assert (check.reason, check.broken_at) == (CheckReason.TRUNCATED, upto + 1)
        as_owner(store, *back, f"UPDATE audit_head SET seq = {signed.size}, hash = '{signed.head}'")
    assert verify(store.engine).ok


@pytest.mark.parametrize("count", [0, 1])
def test_the_shortest_logs_hold_and_are_missed_when_they_go(sqlite_store: Store, count: int):
    append(sqlite_store, count)
    assert verify(sqlite_store.engine).ok
    if count:
        as_owner(sqlite_store, "DELETE FROM audit_events")
        assert verify(sqlite_store.engine).reason is CheckReason.TRUNCATED


def test_moments_in_the_log_are_texts_of_one_form(sqlite_store: Store):
    (event,) = append(sqlite_store, 1)
    assert event.ts == instant_text(NOW)
    assert len(event.ts) == 27
