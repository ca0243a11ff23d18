"""Every refusal of a database becomes one fault with a next step."""

import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from registry.database_faults import explain_fault


class Coded(sqlite3.OperationalError):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.sqlite_errorcode = code


class Stated(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("the server's own words\nand more of them")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("original", "says"),
    [
        (Coded("database or disk is full", sqlite3.SQLITE_FULL), "disk that holds the ledger is full"),
        (Coded("database is locked", sqlite3.SQLITE_BUSY), "locked by another process"),
        (Coded("attempt to write", sqlite3.SQLITE_READONLY), "permissions of the file"),
        (Coded("malformed", sqlite3.SQLITE_CORRUPT), "Restore it from a backup"),
        (Coded("i/o", sqlite3.SQLITE_IOERR), "rightstep doctor"),
        (sqlite3.OperationalError("no such table: jobs"), "rightstep db upgrade"),
        (Coded("UNIQUE", sqlite3.SQLITE_CONSTRAINT | (8 << 8)), "contradicts"),
        (Stated("53100"), "disk that holds the ledger is full"),
        (Stated("42P01"), "rightstep db upgrade"),
        (Stated("42501"), "grants"),
        (Stated("08006"), "RIGHTSTEP_DATABASE_URL"),
        (Stated("40P01"), "locked"),
        (Stated("23505"), "contradicts"),
        (Stated(None), "RIGHTSTEP_DATABASE_URL"),
        (Stated("XX000"), "rightstep doctor"),
        (ValueError("odd"), "rightstep doctor"),
    ],
)
def test_a_refusal_says_what_would_help(original: Exception, says: str):
    fault = explain_fault(DBAPIError("SELECT 1", None, original))
    assert says in str(fault)
    assert fault.next_step
    assert "and more of them" not in str(fault)


def test_a_busy_house_says_so():
    assert "in use" in str(explain_fault(PoolExhausted("QueuePool limit")))
