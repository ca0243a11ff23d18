"""What the database fixtures hand out."""

from dataclasses import dataclass

import psycopg
from sqlalchemy import Engine

from policy.audit import GENESIS_HASH
from policy.errors import LedgerFault
from registry.audit_walk import verify
from registry.database import open_database
from registry.tables import metadata

APP_ROLE = "rightstep_app"


@dataclass(frozen=True)
class Store:
    """A migrated, empty database: as the product opens it, and as its owner does."""

    url: str
    owner_url: str
    engine: Engine

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server over a Unix socket."""

    socket_folder: str

    def url(self, database: str, role: str = "postgres") -> str:
        return f"postgresql://{role}@/{database}?host={self.socket_folder}"

    def run(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

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
