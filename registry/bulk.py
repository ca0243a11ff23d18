"""Writing rows: many at once, or only those that are not known yet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache, partial
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Executable, Insert, Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError


def insert_unknown(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that leaves a row alone where its key is taken already."""
    return _insert_unknown(connection.dialect.name, table)


@cache
def _insert_unknown(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


Writer = Callable[[Mapping[str, Any]], Any]  # from a row to one parameter, as the driver takes it


def write_many(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run one statement for every row; rows all name the same parameters, no rows are no statement.

    Past SQLAlchemy's own handling of parameters in SQLite, where it costs more than the
    write; PostgreSQL gets SQLAlchemy's batches, which save round trips.
    """
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        connection.execute(statement, rows)
        return
    text, writers = _prepared(connection.dialect, statement, tuple(rows[0]))
    connection.exec_driver_sql(text, [tuple(write(row) for write in writers) for row in rows])


def add_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert a few rows that all name the same columns; no rows are no statement."""
    write_many(connection, _insert(table), rows)


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


@lru_cache(maxsize=256)
def _prepared(dialect: Dialect, statement: Any, names: tuple[str, ...]) -> tuple[str, tuple[Writer, ...]]:
    """A statement as the driver takes it: its text, and its parameters in order with how each is written."""
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    processors = compiled._bind_processors  # noqa: SLF001 - no public way to a type's own writing
    writers: list[Writer] = []
    for name in compiled.positiontup:
        process = processors.get(name)
        if name not in names:  # a value that the statement itself states
            stated = compiled.params[name]
            writers.append(partial(_stated, stated if process is None else process(stated)))
        else:
            writers.append(itemgetter(name) if process is None else partial(_processed, name, process))
    return str(compiled), tuple(writers)


def _stated(value: Any, _row: Mapping[str, Any]) -> Any:
    return value


def _processed(name: str, process: Callable[[Any], Any], row: Mapping[str, Any]) -> Any:
    return process(row[name])


def insert_many(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows that all name the same columns; no rows are no statement.

    Past SQLAlchemy's own handling of parameters, which costs more than the insert: COPY in
    PostgreSQL, one prepared statement in SQLite.
    """
    whole = iter(rows)
    first = next(whole, None)
    if first is None:
        return
    text, writers = _insertion(connection.dialect, table, tuple(first))
    values = [
        tuple(row[name] if write is None else write(row[name]) for name, write in writers)
        for row in chain((first,), whole)
    ]
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(text, values)
        return
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(text) as copy:
            for row in values:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:  # past SQLAlchemy, so it does not wrap this one
        raise DBAPIError(text, None, error) from error


@lru_cache(maxsize=256)
def _insertion(
    dialect: Dialect, table: Table, names: tuple[str, ...]
) -> tuple[str, tuple[tuple[str, Callable[[Any], Any] | None], ...]]:
    """The statement that takes these columns of a table, with how the type of each writes its values.

    None where the driver takes them as they are.
    """
    quote = dialect.identifier_preparer.quote
    columns = ", ".join(quote(name) for name in names)
    if dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        text = f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({marks})"  # noqa: S608 - names of our own tables
    else:
        text = f"COPY {quote(table.name)} ({columns}) FROM STDIN"
    kinds = ((name, table.c[name].type.dialect_impl(dialect)) for name in names)
    return text, tuple((name, kind.bind_processor(dialect)) for name, kind in kinds)
