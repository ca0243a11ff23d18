"""Writing rows: many at once, or only those that are not known yet."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError


def insert_unknown(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that leaves a row alone where its key is taken already."""
    return _insert_unknown(connection.dialect.name, table)


@cache
def _insert_unknown(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def insert_many(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows that all name the same columns; no rows are no statement.

    Past SQLAlchemy's own handling of parameters, which costs more than the insert: COPY in
    PostgreSQL, one prepared statement in SQLite.
    """
    whole = iter(rows)
    first = next(whole, None)
    if first is None:
        return
    names = tuple(first)
    writers = tuple((name, _writer(connection, table, name)) for name in names)
    values = [
        tuple(row[name] if write is None else write(row[name]) for name, write in writers)
        for row in chain((first,), whole)
    ]
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(name) for name in names)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({marks})"  # noqa: S608 - names of our own tables
        connection.exec_driver_sql(statement, values)
        return
    statement = f"COPY {quote(table.name)} ({columns}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in values:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:  # past SQLAlchemy, so it does not wrap this one
        raise DBAPIError(statement, None, error) from error


def _writer(connection: Connection, table: Table, name: str) -> Callable[[Any], Any] | None:
    """How a column's type writes its values; None where the driver takes them as they are."""
    kind = table.c[name].type.dialect_impl(connection.dialect)
    return kind.bind_processor(connection.dialect)
