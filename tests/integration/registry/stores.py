"""What the database fixtures hand out."""

from dataclasses import dataclass

from sqlalchemy import Engine

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
