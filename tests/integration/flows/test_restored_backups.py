"""A restored backup: found, resealed on purpose, and shown as what it is; a forged one is not resealed."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.auditing import audit_check, make_checkpoint, reseal
from flows.bootstrap import House, open_house
from flows.settings import Settings
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.errors import AuditFault, WrongUse
from registry.audit_guards import SQLITE_GUARDS_V1
from registry.audit_walk import CheckReason
from registry.unit_of_work import unit_of_work

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)


@dataclass
class Studio:
    """A house on disk that can be backed up and restored."""

    home: Path
    house: House

    def work(self, count: int) -> None:
        with unit_of_work(self.house.engine) as work:
            for number in range(count):
                payload = canonical_json({"number": number})
                event = AuditEvent(tag="job:plan:accepted", actor="ann", subject="job", payload=payload)
                work.audit.append(event, NOW)
            work.commit()

    @property
    def ledger(self) -> Path:
        return self.home / "ledger.sqlite3"

    def back_up(self) -> Path:
        kept = self.home / "backup.sqlite3"
        with sqlite3.connect(self.ledger) as source, sqlite3.connect(kept) as target:
            source.backup(target)
        source.close()
        target.close()
        return kept

    def restore(self, kept: Path) -> None:
        self.house.engine.dispose()
        with sqlite3.connect(kept) as source, sqlite3.connect(self.ledger) as target:
            source.backup(target)
        source.close()
        target.close()

    def rewrite(self, statement: str) -> None:
        with sqlite3.connect(self.ledger) as ledger:
            for name in SQLITE_GUARDS_V1:
                ledger.execute(f"DROP TRIGGER {name}")
            ledger.execute(statement)
            for sql in SQLITE_GUARDS_V1.values():
                ledger.execute(sql)
        ledger.close()


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    home = tmp_path / "home"
    monkeypatch.setenv("RIGHTSTEP_HOME", str(home))
    house = open_house(
        Settings(home=home, renderer="synthetic", workers=1, actor="tester"), clock=lambda: NOW
    )
    yield Studio(home, house)
    house.engine.dispose()


@pytest.fixture
def restored(studio: Studio) -> Studio:
    """Backed up after a checkpoint, gone on with, lost, restored."""
    studio.work(3)
    make_checkpoint(studio.house)
    backup = studio.back_up()
    studio.work(5)
    make_checkpoint(studio.house)
    studio.restore(backup)
    return studio


def test_a_restored_backup_is_found_by_the_copies_in_the_home(restored: Studio):
    check = audit_check(restored.house)
    assert (check.ok, check.reason) == (False, CheckReason.TRUNCATED)


def test_a_resealed_log_holds_and_says_what_was_lost(restored: Studio):
    before = audit_check(restored.house).rows
    made = reseal(restored.house, "The disk died; backup of 31 January.")
    check = audit_check(restored.house)
    assert check.ok
    assert check.restored == (made,)
    assert (made.seq, made.new_head[0], made.old_head[0]) == (before + 1, before, before + 5)
    assert made.actor == "tester"
    assert "5 later events were lost" in check.detail
    restored.work(20)  # beyond where the lost log ended
    make_checkpoint(restored.house)
    later = audit_check(restored.house)
    assert (later.ok, later.restored) == (True, (made,))


def test_a_log_that_lost_nothing_is_not_resealed(studio: Studio):
    make_checkpoint(studio.house)
    with pytest.raises(WrongUse, match="anything was lost"):
        reseal(studio.house, "to be safe")


def test_a_reseal_needs_its_reason(restored: Studio):
    with pytest.raises(WrongUse, match="reason"):
        reseal(restored.house, " ")


def test_a_backup_that_was_changed_is_not_resealed(restored: Studio):
    restored.rewrite("UPDATE audit_events SET actor = 'mallory' WHERE seq = 2")
    with pytest.raises(AuditFault, match="no backup"):
        reseal(restored.house, "The disk died.")
    assert audit_check(restored.house).reason is CheckReason.BROKEN


def forged(**changes: object) -> Callable[[Studio], None]:
    def write(studio: Studio) -> None:
        """What an account that may add events can do: tell of a reseal that the house never signed."""
        check = audit_check(studio.house)
        facts = {
            "reason": "nothing to see",
            "old_head": [check.rows + 5, "0" * 64],
            "new_head": [check.rows, check.head],
            "abandoned": [],
            "key_id": "0" * 64,
            "signature": "0" * 128,
        }
        payload = canonical_json(facts | changes)
        event = AuditEvent(tag="audit:chain:resealed", actor="mallory", subject="audit", payload=payload)
        with unit_of_work(studio.house.engine) as work:
            work.audit.append(event, NOW)
            work.commit()

    return write


@pytest.mark.parametrize(
    "forge",
    [forged(), forged(signature=None), forged(abandoned="all")],
    ids=["unsigned", "no text", "no list"],
)
def test_a_reseal_that_the_house_did_not_sign_is_a_mismatch(studio: Studio, forge: Callable[[Studio], None]):
    forge(studio)
    check = audit_check(studio.house)
    assert (check.ok, check.reason, check.restored) == (False, CheckReason.CHECKPOINT_MISMATCH, ())


def test_a_second_restore_is_told_beside_the_first(restored: Studio):
    first = reseal(restored.house, "first")
    backup = restored.back_up()
    restored.work(2)
    make_checkpoint(restored.house)
    restored.restore(backup)
    second = reseal(restored.house, "second")
    assert audit_check(restored.house).restored == (first, second)
