"""Whether the guards of the audit log stand as the migrations made them, and whom they hold.

The triggers that tell of a change in the registry are guards as well: without them, a process that
serves would go on by what it read before.

In PostgreSQL the account that the product uses is a guard too: whoever owns a table can switch its
triggers off, so it may own nothing of the log and have no right but to read and to add.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from registry.audit_guards import (
    POSTGRESQL_CHECKPOINT_TRIGGERS_V1,
    POSTGRESQL_FUNCTIONS_V1,
    POSTGRESQL_TRIGGERS_V1,
    SQLITE_CHECKPOINT_GUARDS_V1,
    SQLITE_GUARDS_V1,
)
from registry.revision_tables import (
    POSTGRESQL_REVISION_FUNCTIONS_V1,
    POSTGRESQL_REVISION_TRIGGERS_V1,
    SQLITE_REVISION_TRIGGERS_V1,
)
from registry.tables import audit_events, audit_head
from registry.trust_tables import audit_checkpoints

GUARDED = (audit_events.name, audit_head.name, audit_checkpoints.name)
OWNERS = text(
    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
    " AND relname = ANY(:names) AND pg_has_role(relowner, 'MEMBER') ORDER BY relname"
)
RIGHTS = text(
    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
    " AND relname = ANY(:names) AND has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')"
    " ORDER BY relname"
)


def missing_guards(connection: Connection) -> tuple[str, ...]:
    """Guards that are gone, disabled or differ from the ones that the migrations created."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
        standing: dict[str, str] = dict(rows)
        wanted = SQLITE_GUARDS_V1 | SQLITE_CHECKPOINT_GUARDS_V1 | SQLITE_REVISION_TRIGGERS_V1
        return _differing(wanted, standing)
    functions = connection.execute(
        text(
            "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
            " AND proname LIKE 'rightstep%'"
        )
    ).all()
    triggers = connection.execute(
        text(
            "SELECT tgname, pg_get_triggerdef(pg_trigger.oid, true) FROM pg_trigger"
            " JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE relnamespace = current_schema()::regnamespace"
            " AND NOT tgisinternal AND tgenabled = 'O'"
        )
    ).all()
    texts = POSTGRESQL_FUNCTIONS_V1 | POSTGRESQL_REVISION_FUNCTIONS_V1
    bodies = {name: sql.split("$guard$")[1] for name, sql in texts.items()}
    wanted = POSTGRESQL_TRIGGERS_V1 | POSTGRESQL_CHECKPOINT_TRIGGERS_V1 | POSTGRESQL_REVISION_TRIGGERS_V1
    return (
        *_differing(bodies, dict(functions)),
        *_differing(wanted, dict(triggers)),
    )


def account_powers(connection: Connection) -> tuple[str, ...]:
    """What the account that asks could do past the guards; SQLite knows no accounts."""
    if connection.dialect.name == "sqlite":
        return ()
    if connection.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).scalar_one():
        return ("account_is_superuser",)
    names = {"names": list(GUARDED)}
    owned = connection.execute(OWNERS, names).scalars().all()
    changed = connection.execute(RIGHTS, names).scalars().all()
    return (
        *(f"account_owns_{name}" for name in owned),
        *(f"account_may_change_{name}" for name in changed if name not in owned),
    )


def _differing(wanted: Mapping[str, str], standing: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name, sql in wanted.items() if _squeezed(standing.get(name, "")) != _squeezed(sql))


def _squeezed(sql: str) -> str:
    return " ".join(sql.split())
