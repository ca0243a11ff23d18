"""One statement for many rows writes what SQLAlchemy itself would write, in both databases."""

import enum
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, bindparam, insert, update

from registry.bulk import insert_unknown, write_many
from registry.instants import Instant
from tests.integration.registry.stores import Store

NOON = datetime(2026, 11, 23, 12, 30, 15, 250_000, tzinfo=UTC)
PARTS = Table(
    "bulk_parts",
    MetaData(),
    Column("part", Integer, primary_key=True),
    Column("state", String(20)),
    Column("reason", String(20)),
    Column("at", Instant),
    prefixes=["TEMPORARY"],
)
NEW = insert(PARTS)
CLOSE = (
    update(PARTS)
    .where(PARTS.c.part == bindparam("b_part"))
    .values(reason=None, at=NOON, state=bindparam("state"))
)


class State(enum.StrEnum):
    LEASED = "leased"
    DONE = "done"


@pytest.fixture
def connection(store: Store) -> Iterator[Connection]:
    with store.engine.connect() as connection:
        PARTS.create(connection)
        yield connection
        connection.rollback()


def rows(connection: Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(PARTS.select().order_by(PARTS.c.part))]


def part(number: int, at: datetime | None = None) -> dict[str, object]:
    return {"part": number, "state": State.LEASED, "reason": "a night", "at": at}


def test_types_write_their_own_way(connection: Connection) -> None:
    write_many(connection, NEW, [part(1, NOON), part(2)])
    assert rows(connection) == [(1, "leased", "a night", NOON), (2, "leased", "a night", None)]


def test_values_stated_by_the_statement_hold_for_every_row(connection: Connection) -> None:
    write_many(connection, NEW, [part(1), part(2), part(3)])
    write_many(connection, CLOSE, [{"b_part": 3, "state": State.DONE}, {"b_part": 1, "state": "lost"}])
    assert rows(connection) == [
        (1, "lost", None, NOON),
        (2, "leased", "a night", None),
        (3, "done", None, NOON),
    ]


def test_what_is_known_stays(connection: Connection) -> None:
    write_many(connection, NEW, [part(1, NOON)])
    write_many(connection, insert_unknown(connection, PARTS), [part(1), part(2)])
    assert [(row[0], row[3]) for row in rows(connection)] == [(1, NOON), (2, None)]


def test_a_statement_is_prepared_for_the_names_that_it_gets(connection: Connection) -> None:
    """The same statement with other columns is another statement."""
    write_many(connection, NEW, [part(1, NOON)])
    write_many(connection, NEW, [{"part": 2, "state": State.DONE}])
    assert rows(connection)[1] == (2, "done", None, None)


def test_no_rows_are_no_statement(connection: Connection) -> None:
    write_many(connection, CLOSE, [])
    assert rows(connection) == []
