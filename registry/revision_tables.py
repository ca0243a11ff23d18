"""Which state the registry is in: a token that every change of it replaces, in the transaction of the change.

The database does it, by triggers on every table that a verdict rests on: whoever writes, by whatever
process, version or tool, leaves another token behind. The token is random and no count, so that a
restored backup never looks like what was there before.

The texts are version 1, as the migration created them. A later version is another constant, created by
another migration.
"""

from sqlalchemy import Column, Named, Table, TypedColumns

from registry.tables import metadata

WATCHED_V1 = (
    "pins",
    "pin_files",
    "pin_snapshots",
    "licence_claims",
    "licence_conclusions",
    "drift_findings",
    "identities",
    "approval_requests",
    "approvals",
    "revocations",
)


class RegistryRevisionColumns(TypedColumns):
    id: Named[int] = Column(primary_key=True, autoincrement=False)  # 1: there is one row
    token: Named[str]  # 32 hex


registry_revision = Table("registry_revision", metadata, RegistryRevisionColumns)


def _sqlite_triggers() -> dict[str, str]:
    return {
        f"{table}_{verb.lower()}_moves_the_registry": (
            f"CREATE TRIGGER {table}_{verb.lower()}_moves_the_registry AFTER {verb} ON {table}\n"  # noqa: S608 - names of our own tables
            "BEGIN INSERT OR REPLACE INTO registry_revision (id, token)"
            " VALUES (1, lower(hex(randomblob(16)))); END"
        )
        for table in WATCHED_V1
        for verb in ("INSERT", "UPDATE", "DELETE")
    }


def _postgresql_triggers() -> dict[str, str]:
    return {
        f"{table}_moves_the_registry": (
            f"CREATE TRIGGER {table}_moves_the_registry"
            f" AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION rightstep_registry_moved()"
        )
        for table in WATCHED_V1
    }


SQLITE_REVISION_TRIGGERS_V1 = _sqlite_triggers()
POSTGRESQL_REVISION_FUNCTIONS_V1 = {
    "rightstep_registry_moved": """
CREATE FUNCTION rightstep_registry_moved() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $guard$ BEGIN
  INSERT INTO registry_revision (id, token) VALUES (1, md5(random()::text || clock_timestamp()::text))
  ON CONFLICT (id) DO UPDATE SET token = EXCLUDED.token;
  RETURN NULL;
END $guard$
""",
}
POSTGRESQL_REVISION_TRIGGERS_V1 = _postgresql_triggers()
