"""Opening a database and bringing its schema up to date: SQLite by default, PostgreSQL by URL.

SQLite runs in WAL mode with full synchronisation, so that what was committed survives a
power cut. A unit of work that writes begins IMMEDIATE: it takes the writer's place in the
queue at once instead of failing half-way when another writer comes between.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from importlib.resources import as_file, files
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy import Engine as Engine  # noqa: PLC0414 - flows name the type, and know SQLAlchemy only by it
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from policy.errors import LedgerFault, WrongUse
from registry.audit_guards import LOCK_HEAD
from registry.database_faults import explain_fault
from registry.schema import metadata
from registry.tables import audit_events, audit_head
from registry.trust_tables import audit_checkpoints

BUSY_TIMEOUT_MS = 30_000
MIGRATION_LOCK = 7_205_513  # any number that nobody else asks PostgreSQL for
_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps the running migration in a module
READ_ONLY = "rightstep_read_only"  # execution option of a connection that only reads


def open_database(url: str) -> Engine:
    """An engine for ``sqlite:///FILE`` or ``postgresql://...``; connects to nothing yet."""
    parsed = parse_database_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return create_engine(parsed, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise WrongUse(
            "PostgreSQL needs a driver.", "Install it with: pip install 'rightstep[postgres]'."
        ) from error


def parse_database_url(url: str) -> URL:
    """Read a database URL; anything but an SQLite file or PostgreSQL is wrong use."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise WrongUse(
            "The database URL cannot be read.",
            "Write sqlite:////path/ledger.sqlite3 or postgresql://user@host/name.",
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return parsed
    raise WrongUse(
        f"{parsed.drivername} with database {parsed.database!r} cannot hold the ledger.",
        "Use an SQLite file (sqlite:////path/ledger.sqlite3) or PostgreSQL (postgresql://user@host/name).",
    )


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    raw: Any = connection
    raw.isolation_level = None  # transactions begin where _begin_sqlite says, not where the driver guesses
    cursor = raw.cursor()
    # recursive_triggers: without it INSERT OR REPLACE deletes a row past the triggers.
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "recursive_triggers = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def upgrade_database(owner_url: str, app_url: str | None = None) -> str:
    """Bring the schema to the newest revision and return it; two starters at once are safe.

    On PostgreSQL the tables belong to the account of ``owner_url``; the account of
    ``app_url``, where it is another, gets what the product needs and no more: it can add to
    the audit log and read it, never change it.
    """
    engine = open_database(owner_url)
    try:
        with engine.connect() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            _migrate(connection)
            role = None if app_url is None else parse_database_url(app_url).username
            if connection.dialect.name == "postgresql" and role and role != engine.url.username:
                _grant_to(connection, role)
    except DBAPIError as error:
        raise explain_fault(error) from error
    finally:
        engine.dispose()
    return newest_version()


def _migrate(connection: Connection) -> None:
    """Run every missing revision inside the caller's transaction: all of them, or none."""
    with _migration_scripts() as config, _ONE_AT_A_TIME:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _migration_scripts() -> Generator[Config, None, None]:
    with as_file(files("registry") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        yield config


@cache
def newest_version() -> str:
    """The revision that this version of the product works with; read once, since it comes with it."""
    with _migration_scripts() as config:
        head = ScriptDirectory.from_config(config).get_current_head()
    if head is None:
        raise LedgerFault("This installation holds no migrations.", "Install rightstep again.")
    return head


def schema_version(engine: Engine) -> str | None:
    """The revision that the database stands at; None for an empty one."""
    try:
        with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        raise explain_fault(error) from error


def server_time(engine: Engine) -> datetime | None:
    """What time it is at the database; None for SQLite, which has no clock of its own."""
    if engine.dialect.name == "sqlite":
        return None
    try:
        with engine.connect() as connection:
            told: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    except DBAPIError as error:
        raise explain_fault(error) from error
    return told


def _grant_to(connection: Connection, role: str) -> None:
    """Give the product's account its tables; of the audit log only reading and adding."""
    quote = connection.dialect.identifier_preparer.quote
    account, schema = quote(role), quote(connection.execute(text("SELECT current_schema()")).scalar_one())
    append_only = (audit_events.name, audit_head.name, audit_checkpoints.name, "alembic_version")
    ordinary = ", ".join(quote(name) for name in metadata.tables if name not in append_only)
    for statement in (
        f"GRANT USAGE ON SCHEMA {schema} TO {account}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {ordinary} TO {account}",
        f"REVOKE ALL ON {', '.join(append_only)} FROM {account}",
        f"GRANT SELECT ON {', '.join(append_only)} TO {account}",
        f"GRANT INSERT ON {audit_events.name}, {audit_checkpoints.name} TO {account}",
        f"GRANT EXECUTE ON FUNCTION {LOCK_HEAD} TO {account}",
    ):
        connection.exec_driver_sql(statement)
