"""Real databases: an SQLite file, and a PostgreSQL server started once a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.database import open_database, upgrade_database
from tests.integration.registry.servers import Server, postgresql_or_skip
from tests.integration.registry.stores import APP_ROLE, Store

TEMPLATE = "rightstep_template"
STORE = "rightstep_store"


@pytest.fixture(scope="session")
def postgresql(in_ci: bool) -> Iterator[Server]:
    """A server with the schema in a template, and without care for its disk: nothing here outlives the session."""
    with postgresql_or_skip(in_ci) as server:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            server.run(f"ALTER SYSTEM SET {setting} = off")
        server.run("SELECT pg_reload_conf()")
        server.run(f"CREATE ROLE {APP_ROLE} LOGIN")
        server.run(f"CREATE DATABASE {TEMPLATE}")
        upgrade_database(server.url(TEMPLATE), server.url(TEMPLATE, APP_ROLE))
        yield server


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    upgrade_database(url)
    engine = open_database(url)
    yield Store(url, url, engine)
    engine.dispose()


@pytest.fixture
def postgresql_store(postgresql: Server) -> Iterator[Store]:
    if not postgresql.has_clean(STORE):
        postgresql.run(f"DROP DATABASE IF EXISTS {STORE} WITH (FORCE)")
        postgresql.run(f"CREATE DATABASE {STORE} TEMPLATE {TEMPLATE}")
    engine = open_database(postgresql.url(STORE, APP_ROLE))
    yield Store(postgresql.url(STORE, APP_ROLE), postgresql.url(STORE), engine)
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Store:
    """Each test that asks for it runs on both databases."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found
