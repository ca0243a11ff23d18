"""What was concluded, in a real database: who may conclude, and what turns a signed conclusion into a claimed one."""

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from policy.errors import WrongUse
from policy.identities import IdentityRole
from registry.audit_walk import verify
from registry.drift import DriftFinding, DriftKind, DriftSeverity
from registry.licences.claims import Conclusion
from registry.unit_of_work import unit_of_work
from registry.upstream_records import FoundDrift
from tests.factories import NOW, make_model_pin
from tests.integration.registry.stores import Store
from tests.integration.registry.test_approvals import MAIL, Person, person
from tests.integration.registry.test_query_counts import statements_of

PIN = make_model_pin()
DRAWN = Conclusion(
    licences=("apache-2.0",),
    reason="The author confirmed the tag.",
    concluded_by="ben",
    concluded_on=NOW.date(),
    valid_until=date(2026, 12, 31),
    scope="model_*.json",
)
FINDING = DriftFinding(
    kind=DriftKind.LICENCE_FILE,
    severity=DriftSeverity.HOLD,
    detail="LICENSE was changed on main.",
    subject="LICENSE",
    pinned="1" * 40,
    upstream="2" * 40,
)


@pytest.fixture
def ben(store: Store) -> Person:
    with unit_of_work(store.engine) as work:
        work.models.save_pin(PIN, source="builtin", claims=(), texts=(), actor="alice", now=NOW)
        work.upstream.save_findings(PIN, [FINDING], actor="watch", now=NOW)
        work.commit()
    return person(store, "ben", IdentityRole.APPROVER)


def conclude(store: Store, by: Person, drawn: Conclusion = DRAWN, **changes: Any) -> Conclusion:
    facts: dict[str, Any] = {"evidence": (MAIL,), "now": NOW}
    with unit_of_work(store.engine) as work:
        kept = work.models.conclude(PIN, drawn, by.identity, by.key, **(facts | changes))
        work.commit()
    return kept


def conclude_finding(store: Store, by: Person, because: str = "The same words.") -> FoundDrift:
    with unit_of_work(store.engine) as work:
        (found,) = work.upstream.findings()
        work.upstream.conclude(found, by.identity, by.key, because=because, now=NOW)
        (kept,) = work.upstream.findings()
        work.commit()
    return kept


def reread(store: Store) -> Conclusion:
    with unit_of_work(store.engine, read_only=True) as work:
        (found,) = work.models.pin_of(PIN.repo).conclusions
    return found


def finding(store: Store) -> FoundDrift:
    with unit_of_work(store.engine, read_only=True) as work:
        (found,) = work.upstream.findings()
        assert work.upstream.findings(open_only=True) == ((found,) if found.is_open else ())
    return found


def tamper(store: Store, statement: str) -> None:
    with unit_of_work(store.engine) as work:
        assert work.connection.exec_driver_sql(statement).rowcount == 1
        work.commit()


def revoke(store: Store, name: str) -> None:
    with unit_of_work(store.engine) as work:
        work.identities.revoke(name, actor="alice", reason="left", now=NOW + timedelta(days=1))
        work.commit()


def test_a_conclusion_is_read_back_signed_with_its_evidence(store: Store, ben: Person):
    kept = conclude(store, ben)
    assert kept == reread(store) == replace(DRAWN, key_id=ben.key.key_id, evidence=kept.evidence)
    assert kept.standing == "signed"
    with unit_of_work(store.engine, read_only=True) as work:
        assert [work.shipments.evidence(one.sha256) for one in kept.evidence] == [MAIL[1]]
        event = work.audit.events(subject=PIN.pin_id)[-1].event
        signature = work.connection.exec_driver_sql("SELECT signature FROM licence_conclusions").scalar_one()
    assert (event.tag, event.actor) == ("registry:licence:concluded", "ben")
    told = json.loads(event.payload)
    assert (told["signature"], told["evidence"]) == (signature, [kept.evidence[0].sha256])
    assert len(told["signed_sha256"]) == 64
    assert verify(store.engine).ok


@pytest.mark.parametrize(
    ("drawn", "change", "told"),
    [
        (replace(DRAWN, licences=()), {}, "names a licence"),
        (replace(DRAWN, reason=" "), {}, "gives its reason"),
        (replace(DRAWN, scope="Hyper-*"), {}, "matches no pinned file"),
        (replace(DRAWN, valid_until=NOW.date() - timedelta(days=1)), {}, "before it begins"),
        (DRAWN, {"evidence": ()}, "rests on evidence"),
        (DRAWN, {"evidence": (("large", bytes((16 << 20) + 1)),)}, "16 MB"),
    ],
    ids=["no licence", "no reason", "no such file", "over", "no evidence", "too large"],
)
def test_what_a_conclusion_lacks_is_refused(
    store: Store, ben: Person, drawn: Conclusion, change: Any, told: str
):
    with pytest.raises(WrongUse, match=told) as refused:
        conclude(store, ben, drawn, **change)
    assert refused.value.next_step
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.models.pin_of(PIN.repo).conclusions == ()


@pytest.mark.parametrize("role", [IdentityRole.REQUESTER, IdentityRole.HOUSE])
@pytest.mark.usefixtures("ben")
def test_only_an_approver_concludes(store: Store, role: IdentityRole):
    carl = person(store, "carl", role)
    with pytest.raises(WrongUse, match="no approver"):
        conclude(store, carl)
    with pytest.raises(WrongUse, match="no approver"):
        conclude_finding(store, carl)


def test_it_holds_on_its_last_day_and_may_be_drawn_on_it(store: Store, ben: Person):
    kept = conclude(store, ben, replace(DRAWN, valid_until=NOW.date()))
    assert kept.holds_on(NOW.date())
    assert not kept.holds_on(NOW.date() + timedelta(days=1))


OF_THE_KEY = {
    "public": f"UPDATE identities SET public = '{'0' * 64}' WHERE name = 'ben'",
    "role": "UPDATE identities SET role = 'requester' WHERE name = 'ben'",
    "name of the key": "UPDATE identities SET name = 'zoe' WHERE name = 'ben'",
    "not valid yet": "UPDATE identities SET valid_from = '2099-01-01T00:00:00.000000Z' WHERE name = 'ben'",
    "over when it signed": "UPDATE identities SET valid_until = '2026-01-31T18:00:00.000000Z' WHERE name = 'ben'",
}
LICENCE_COLUMNS = {
    "conclusion_id": "'conclusion-0'",
    "path": "''",
    "licences_json": "'[\"mit\"]'",
    "reason": "'other'",
    "evidence_json": '\'[["mail.txt", "0"]]\'',
    "concluded_by": "'zoe'",
    "concluded_at": "'2026-02-01T00:00:00.000000Z'",
    "valid_until": "NULL",
    "key_id": "NULL",
    "signature": "NULL",
}
DRIFT_COLUMNS = {
    "finding_id": "'0'",
    "kind": "'bytes'",
    "severity": "'info'",
    "subject": "'NOTICE'",
    "pinned": "'3'",
    "upstream": "'3'",
    "detail": "'other'",
    "found_at": "'2026-01-01T00:00:00.000000Z'",
    "concluded_by": "'zoe'",
    "concluded_at": "'2026-02-01T00:00:00.000000Z'",
    "concluded_because": "'other'",
    "key_id": "NULL",
    "signature": "'00'",
}


def test_every_column_is_tampered_with(store: Store):
    """Those that are left out say which pin it is of: that is a row of its own."""
    with unit_of_work(store.engine, read_only=True) as work:
        for table, columns in (("licence_conclusions", LICENCE_COLUMNS), ("drift_findings", DRIFT_COLUMNS)):
            found = set(work.connection.exec_driver_sql(f"SELECT * FROM {table}").keys())
            assert found == {*columns, "pin_id"}


@pytest.mark.parametrize("column", LICENCE_COLUMNS)
def test_a_changed_conclusion_is_only_claimed(store: Store, ben: Person, column: str):
    conclude(store, ben)
    tamper(store, f"UPDATE licence_conclusions SET {column} = {LICENCE_COLUMNS[column]}")
    assert reread(store).standing == "claimed"


@pytest.mark.parametrize("column", DRIFT_COLUMNS)
def test_a_changed_finding_is_open_again(store: Store, ben: Person, column: str):
    assert not conclude_finding(store, ben).is_open
    tamper(store, f"UPDATE drift_findings SET {column} = {DRIFT_COLUMNS[column]}")
    assert finding(store).is_open


def test_a_conclusion_moved_to_another_pin_is_only_claimed(store: Store, ben: Person):
    conclude(store, ben)
    conclude_finding(store, ben)
    other = make_model_pin(revision="b" * 40)
    with unit_of_work(store.engine) as work:
        work.models.save_pin(other, source="builtin", claims=(), texts=(), actor="alice", now=NOW)
        work.commit()
    for table in ("licence_conclusions", "drift_findings"):
        tamper(store, f"UPDATE {table} SET pin_id = '{other.pin_id}'")
    with unit_of_work(store.engine, read_only=True) as work:
        (moved,) = work.models.pin_of(other.repo, other.revision).conclusions
    assert moved.standing == "claimed"
    assert finding(store).is_open


def test_a_conclusion_of_files_that_are_others_now_is_only_claimed(store: Store, ben: Person):
    conclude(store, ben)
    tamper(store, f"UPDATE pin_files SET sha256 = '{'f' * 64}' WHERE path = 'model_index.json'")
    assert reread(store).standing == "claimed"


@pytest.mark.parametrize("what", OF_THE_KEY)
def test_a_key_that_does_not_count_makes_it_claimed(store: Store, ben: Person, what: str):
    conclude(store, ben)
    conclude_finding(store, ben)
    tamper(store, OF_THE_KEY[what])
    assert reread(store).standing == "claimed"
    assert finding(store).is_open


def test_nothing_that_a_revoked_key_concluded_counts(store: Store, ben: Person):
    signed = conclude(store, ben)
    conclude_finding(store, ben)
    revoke(store, "ben")
    assert reread(store) == replace(signed, is_claimed=True)
    assert finding(store).standing == "hold, concluded by ben (claimed)"


def test_a_key_that_is_over_concluded_well_while_it_was_not(store: Store, ben: Person):
    conclude(store, ben)
    conclude_finding(store, ben)
    tamper(store, "UPDATE identities SET valid_until = '2026-02-01T00:00:00.000000Z' WHERE name = 'ben'")
    assert reread(store).standing == "signed"
    assert finding(store).standing == "concluded"


def test_a_finding_whose_conclusion_does_not_count_is_concluded_anew(store: Store, ben: Person):
    first = conclude_finding(store, ben)
    revoke(store, "ben")
    cara = person(store, "cara", IdentityRole.APPROVER)
    again = conclude_finding(store, cara, "Read again.")
    assert (again.concluded_by, again.concluded_because, again.is_open) == ("cara", "Read again.", False)
    with unit_of_work(store.engine, read_only=True) as work:
        told = [one.event for one in work.audit.events(subject=PIN.pin_id)]
    concluded = [one for one in told if one.tag == "model:drift:concluded"]
    assert [one.actor for one in concluded] == ["ben", "cara"]
    assert json.loads(concluded[0].payload)["because"] == first.concluded_because


def test_of_two_who_conclude_the_same_finding_the_second_is_told(store: Store, ben: Person):
    before = finding(store)
    conclude_finding(store, ben)
    with pytest.raises(WrongUse, match="meanwhile"), unit_of_work(store.engine) as work:
        work.upstream.conclude(before, ben.identity, ben.key, because="Mine.", now=NOW)


def test_a_finding_is_concluded_with_a_reason(store: Store, ben: Person):
    with pytest.raises(WrongUse, match="reason"):
        conclude_finding(store, ben, " ")
    assert finding(store).is_open


def test_keys_are_only_asked_for_where_something_was_concluded(store: Store, ben: Person):
    def asked() -> int:
        with statements_of(store.engine) as seen, unit_of_work(store.engine, read_only=True) as work:
            work.models.pins()
            work.upstream.findings()
        return sum("FROM identities" in statement for statement, _ in seen)

    assert asked() == 0
    conclude(store, ben)
    conclude_finding(store, ben)
    assert asked() == 2
