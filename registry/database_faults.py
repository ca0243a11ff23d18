"""What a database's refusal means to a person: one LedgerFault with a next step."""

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from policy.errors import LedgerFault

DISK_FULL = (
    "The disk that holds the ledger is full.",
    "Free some space, then run the command again: nothing was half-written.",
)
LOCKED = (
    "The ledger is locked by another process.",
    "Wait until it ends, or find it with: rightstep status.",
)
NO_SCHEMA = (
    "The ledger lacks a table or column it should have.",
    "Bring it up to date with: rightstep db upgrade.",
)
UNREACHABLE = (
    "The ledger could not be reached.",
    "Check RIGHTSTEP_DATABASE_URL and that the database server is up.",
)
NOT_ALLOWED = (
    "The ledger does not let this account do that.",
    "Check the permissions of the file; grants in PostgreSQL are renewed by: rightstep db upgrade.",
)
DAMAGED = (
    "The ledger file is damaged or is no database.",
    "Restore it from a backup; rightstep doctor names the file.",
)
CONTRADICTION = (
    "The ledger refused a row that contradicts what it holds.",
    "Nothing was written; run the command again.",
)

SQLITE_MEANINGS = {
    sqlite3.SQLITE_FULL: DISK_FULL,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_CANTOPEN: UNREACHABLE,
    sqlite3.SQLITE_READONLY: NOT_ALLOWED,
    sqlite3.SQLITE_PERM: NOT_ALLOWED,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_CONSTRAINT: CONTRADICTION,
}

# PostgreSQL's SQLSTATE: a whole code, or its class (the first two characters).
POSTGRESQL_MEANINGS = {
    "53100": DISK_FULL,
    "55P03": LOCKED,
    "40P01": LOCKED,
    "42P01": NO_SCHEMA,
    "42703": NO_SCHEMA,
    "42501": NOT_ALLOWED,
    "08": UNREACHABLE,
    "57": UNREACHABLE,
    "28": UNREACHABLE,
    "23": CONTRADICTION,
}

UNKNOWN = ("The ledger refused.", "Nothing was written; rightstep doctor checks the database.")


def explain_fault(error: DBAPIError | PoolExhausted) -> LedgerFault:
    """The fault for a person: what happened, the database's own words, and what would help."""
    if isinstance(error, PoolExhausted):
        return LedgerFault("Every connection to the ledger is in use.", "Wait for running commands to end.")
    message, next_step = _meaning(error.orig)
    words = str(error.orig).strip().split("\n", maxsplit=1)[0]
    return LedgerFault(f"{message} ({words})", next_step)


def _meaning(original: BaseException | None) -> tuple[str, str]:
    if isinstance(original, sqlite3.Error):
        if str(original).startswith(("no such table", "no such column")):
            return NO_SCHEMA
        code: int | None = getattr(original, "sqlite_errorcode", None)
        return UNKNOWN if code is None else SQLITE_MEANINGS.get(code & 0xFF, UNKNOWN)
    state: str | None = getattr(original, "sqlstate", "")  # psycopg's; the driver may not be installed
    if state is None:  # no server answered, so there is no code
        return UNREACHABLE
    return POSTGRESQL_MEANINGS.get(state, POSTGRESQL_MEANINGS.get(state[:2], UNKNOWN))
