"""Opening, migrating and refusing databases, for real."""

import subprocess
import sys
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from policy.approvals import Evidence
from policy.errors import LedgerFault, WrongUse
from registry.audit_walk import verify
from registry.database import newest_version, open_database, schema_version, upgrade_database
from registry.tables import metadata
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.servers import Server
from tests.integration.registry.stores import APP_ROLE, Store

STARTER = "import sys; from registry.database import upgrade_database; print(upgrade_database(*sys.argv[1:]))"


def test_the_migrations_make_exactly_the_tables_of_the_code(store: Store):
    owner = open_database(store.owner_url)
    with owner.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    owner.dispose()
    assert differences == []


def test_upgrading_twice_changes_nothing(store: Store):
    assert upgrade_database(store.owner_url, store.url) == newest_version()
    assert schema_version(store.engine) == newest_version()


def test_an_empty_database_has_no_version(tmp_path: Path):
    engine = open_database(f"sqlite:///{tmp_path}/empty.sqlite3")
    assert schema_version(engine) is None
    engine.dispose()


def start_together(*urls: str) -> list[int]:
    starters = [
        subprocess.Popen([sys.executable, "-c", STARTER, *urls], stdout=subprocess.DEVNULL) for _ in range(3)
    ]
    return [starter.wait(timeout=60) for starter in starters]


def test_starters_at_the_same_time_all_find_a_whole_schema_in_sqlite(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/shared.sqlite3"
    assert start_together(url) == [0, 0, 0]
    engine = open_database(url)
    assert schema_version(engine) == newest_version()
    engine.dispose()


@pytest.mark.postgres
def test_starters_at_the_same_time_all_find_a_whole_schema_in_postgresql(postgresql: Server):
    postgresql.run("CREATE DATABASE shared_start")
    urls = postgresql.url("shared_start"), postgresql.url("shared_start", APP_ROLE)
    assert start_together(*urls) == [0, 0, 0]
    postgresql.run("DROP DATABASE shared_start WITH (FORCE)")


def test_sqlite_is_opened_to_survive_a_power_cut_and_to_fire_every_trigger(sqlite_store: Store):
    with sqlite_store.engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers", "busy_timeout")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "busy_timeout": 30_000,
    }


def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE audit_head (id INTEGER)"))  # in the way of a later revision
    with pytest.raises(LedgerFault, match="audit_head"):
        upgrade_database(url)
    with engine.connect() as connection:
        names = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
    engine.dispose()
    assert names == {"audit_head"}


BEFORE_SIGNED_CONCLUSIONS = "0011_create_turns"
OLD_ROWS = (
    "INSERT INTO pins VALUES ('p', 'org/model', 'aaaa', 'base', 'builtin', 'alice', '2026-01-01T00:00:00.000000Z')",
    """INSERT INTO licence_conclusions VALUES
    ('c', 'p', '', '["mit"]', 'Asked.', '["LICENSE"]', 'ben', '2026-01-02T00:00:00.000000Z', NULL)""",
    """INSERT INTO drift_findings VALUES ('f', 'p', 'bytes', 'hold', 'x', '1', '2', 'Moved.',
    '2026-01-02T00:00:00.000000Z', 'ben', '2026-01-03T00:00:00.000000Z', 'Looked.')""",
)


def at_an_old_version(url: str, version: str) -> None:
    """A ledger as an earlier version left it."""
    engine = open_database(url)
    config = Config()
    config.set_main_option("script_location", str(files("registry") / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()


def brings_its_conclusions_along(url: str) -> None:
    at_an_old_version(url, BEFORE_SIGNED_CONCLUSIONS)
    engine = open_database(url)
    terms, mail = ({"sha256": sha256(body).hexdigest(), "body": body} for body in (b"terms", b"mail"))
    with engine.begin() as connection:
        for row in OLD_ROWS:
            connection.exec_driver_sql(row)
        connection.execute(text("INSERT INTO kept_files VALUES (:sha256, :body)"), terms)
        both = [one | {"at": "2026-01-01T00:00:00.000000Z"} for one in (terms, mail)]
        connection.execute(text("INSERT INTO evidence_files VALUES (:sha256, :body, :at)"), both)
    assert upgrade_database(url) == newest_version()
    with unit_of_work(engine, read_only=True) as work:
        (concluded,) = work.models.pin_of("org/model").conclusions
        (found,) = work.upstream.findings(open_only=True)
        assert [work.approvals.evidence(one["sha256"]) for one in (terms, mail)] == [b"terms", b"mail"]
        assert not inspect(work.connection).has_table("evidence_files")
    engine.dispose()
    assert (concluded.licences, concluded.standing) == (("mit",), "claimed")
    assert concluded.evidence == (Evidence(name="LICENSE", sha256=""),)
    assert (found.concluded_by, found.concluded_because, found.is_open) == ("ben", "Looked.", True)


def test_what_was_concluded_before_keys_is_claimed_and_its_files_are_kept_in_sqlite(tmp_path: Path):
    brings_its_conclusions_along(f"sqlite:///{tmp_path}/ledger.sqlite3")


@pytest.mark.postgres
def test_what_was_concluded_before_keys_is_claimed_and_its_files_are_kept_in_postgresql(postgresql: Server):
    postgresql.run("CREATE DATABASE before_keys")
    brings_its_conclusions_along(postgresql.url("before_keys"))
    postgresql.run("DROP DATABASE before_keys WITH (FORCE)")


def test_an_old_schema_says_how_to_upgrade(tmp_path: Path):
    engine = open_database(f"sqlite:///{tmp_path}/empty.sqlite3")
    with pytest.raises(LedgerFault, match="rightstep db upgrade"), unit_of_work(engine) as work:
        work.ledger.jobs()
    engine.dispose()


@pytest.mark.postgres
def test_an_old_schema_says_how_to_upgrade_in_postgresql(postgresql: Server):
    engine = open_database(postgresql.url("postgres"))
    with pytest.raises(LedgerFault, match="rightstep db upgrade"), unit_of_work(engine) as work:
        work.ledger.jobs()
    engine.dispose()


def test_an_sqlite_file_in_a_folder_that_is_not_there_is_unreachable(tmp_path: Path):
    with pytest.raises(LedgerFault, match="could not be reached"):
        upgrade_database(f"sqlite:///{tmp_path}/nowhere/ledger.sqlite3")


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path):
    file = tmp_path / "ledger.sqlite3"
    file.write_bytes(b"This is a shopping list, not a database. " * 100)
    with pytest.raises(LedgerFault, match="damaged"):
        upgrade_database(f"sqlite:///{file}")


def test_a_postgresql_server_that_is_down_is_unreachable(tmp_path: Path):
    engine = open_database(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(LedgerFault, match="could not be reached"), unit_of_work(engine) as work:
        work.ledger.jobs()


@pytest.mark.parametrize(
    "url", ["", "ledger.sqlite3", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "postgresql"]
)
def test_a_url_that_cannot_hold_a_ledger_is_wrong_use(url: str):
    with pytest.raises(WrongUse, match="sqlite:////path"):
        open_database(url)


def test_a_reader_is_not_kept_waiting_by_a_writer(sqlite_store: Store):
    with unit_of_work(sqlite_store.engine) as writer:
        writer.ledger.expire_leases(NOW)
        with unit_of_work(sqlite_store.engine, read_only=True) as reader:
            assert reader.ledger.jobs() == ()


def test_a_reader_cannot_write(postgresql_store: Store):
    with (
        pytest.raises(LedgerFault, match="read-only"),
        unit_of_work(postgresql_store.engine, read_only=True) as reader,
    ):
        reader.connection.execute(text("DELETE FROM jobs"))


def test_the_version_of_a_database_that_cannot_be_opened_is_a_fault(tmp_path: Path):
    engine = open_database(f"sqlite:///{tmp_path}/nowhere/ledger.sqlite3")
    with pytest.raises(LedgerFault, match="could not be reached"):
        schema_version(engine)


def test_a_log_without_a_schema_cannot_be_verified(tmp_path: Path):
    engine = open_database(f"sqlite:///{tmp_path}/empty.sqlite3")
    with pytest.raises(LedgerFault, match="rightstep db upgrade"):
        verify(engine)
    engine.dispose()
