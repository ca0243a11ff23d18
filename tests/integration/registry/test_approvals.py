"""Approvals in a real database: who may give one, what breaks its signature, and what the chain keeps of it."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from policy.approvals import (
    Approval,
    ApprovalKind,
    ApprovalRequest,
    Grant,
    Purchase,
    Signer,
    stands,
)
from policy.errors import UnknownName, WrongUse
from policy.identities import Identity, IdentityRole
from policy.uses import Act
from registry.audit_walk import verify
from registry.evidence.keys import SigningKey, make_key
from registry.known_registry import read_registry
from registry.unit_of_work import unit_of_work
from tests.factories import NOW
from tests.integration.registry.stores import Store

ACT = Act.SHIP_OUTPUT_COMMERCIAL
STACK = "a" * 64
MAIL = ("mail.txt", b"Yes, the tag is right.")


@dataclass(frozen=True)
class Person:
    identity: Identity
    key: SigningKey

    @property
    def signer(self) -> Signer:
        return Signer(name=self.identity.name, key_id=self.key.key_id)


def person(store: Store, name: str, role: IdentityRole, **changes: Any) -> Person:
    key = make_key()
    facts: dict[str, Any] = {
        "key_id": key.key_id,
        "name": name,
        "role": role,
        "public": key.public.hex(),
        "valid_from": NOW - timedelta(days=1),
        "valid_until": None,
        "made_by": "alice",
        "revoked_at": None,
        "revoked_by": None,
        "revoked_because": None,
    }
    identity = Identity(**(facts | changes))
    with unit_of_work(store.engine) as work:
        work.identities.add(identity, NOW)
        work.commit()
    return Person(identity, key)


@pytest.fixture
def ann(store: Store) -> Person:
    return person(store, "ann", IdentityRole.REQUESTER)


@pytest.fixture
def ben(store: Store) -> Person:
    return person(store, "ben", IdentityRole.APPROVER)


def ask(store: Store, by: Person | None, **changes: Any) -> ApprovalRequest:
    facts: dict[str, Any] = {
        "request_id": "",
        "kind": ApprovalKind.APPROVAL,
        "stack_id": STACK,
        "act": ACT,
        "answers": ("claim_conflict|org/lora||",),
        "paid": None,
        "reason": "The client waits.",
        "requester": Signer(name="alice") if by is None else by.signer,
        "requested_at": NOW,
    }
    with unit_of_work(store.engine) as work:
        kept = work.approvals.ask(ApprovalRequest(**(facts | changes)), None if by is None else by.key)
        work.commit()
    return kept


def give(store: Store, request: ApprovalRequest, by: Person, **changes: Any) -> Approval | Grant:
    facts: dict[str, Any] = {
        "reason": "The author confirmed the tag.",
        "evidence": (MAIL,),
        "valid_until": NOW + timedelta(days=30),
        "now": NOW,
    }
    with unit_of_work(store.engine) as work:
        given = work.approvals.sign(request, by.identity, by.key, **(facts | changes))
        work.commit()
    return given


def reread(store: Store, approval_id: str) -> Approval | Grant:
    with unit_of_work(store.engine, read_only=True) as work:
        return work.approvals.approval(approval_id)


def test_an_approval_is_read_back_signed_with_its_evidence(store: Store, ann: Person, ben: Person):
    request = ask(store, ann)
    assert request.requester == replace(ann.signer, is_signed=True)
    given = give(store, request, ben)
    assert isinstance(given, Approval)
    assert (given.approver, given.requester) == (replace(ben.signer, is_signed=True), request.requester)
    assert stands(given, STACK, ACT, NOW)
    assert not stands(given, STACK, ACT, NOW + timedelta(days=30))
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.approvals.evidence(given.evidence[0].sha256) == MAIL[1]
        assert read_registry(work, {}, None).lifting(ACT) == (given,) == work.approvals.known(STACK)
        assert (
            read_registry(work, {}, None).lifting(Act.DISTRIBUTE_WEIGHTS)
            == ()
            == work.approvals.known("b" * 64)
        )
        assert work.approvals.requests(is_open=True) == ()
        assert work.approvals.requests() == (request,)


def test_a_paid_licence_is_a_grant_and_lifts_no_review(store: Store, ann: Person, ben: Person):
    paid = Purchase(licensor="Acme", licence="flux-dev-nc-2.0", repos=("org/base",))
    given = give(store, ask(store, ann, kind=ApprovalKind.GRANT, answers=(), paid=paid), ben)
    assert isinstance(given, Grant)
    assert given.paid == paid
    assert stands(given, STACK, ACT, NOW)
    with unit_of_work(store.engine, read_only=True) as work:
        assert read_registry(work, {}, None).lifting(ACT) == ()
        assert read_registry(work, {}, None).grants(ACT) == (given,)


def test_a_request_that_is_only_claimed_is_kept_and_cannot_be_approved(store: Store, ben: Person):
    request = ask(store, None)
    assert request.requester.standing == "claimed"
    with pytest.raises(WrongUse, match="only claims"):
        give(store, request, ben)


def test_whoever_asked_cannot_approve(store: Store, ben: Person):
    with pytest.raises(WrongUse, match="same key"):
        give(store, ask(store, ben), ben)


def test_a_second_key_makes_no_second_person(store: Store, ben: Person):
    request = ask(store, ben)
    with unit_of_work(store.engine) as work:
        work.identities.revoke("ben", actor="alice", reason="lost", now=NOW)
        work.commit()
    with pytest.raises(WrongUse):
        give(store, request, person(store, "ben", IdentityRole.APPROVER))


@pytest.mark.parametrize("role", [IdentityRole.REQUESTER, IdentityRole.HOUSE])
def test_only_an_approver_approves(store: Store, ann: Person, role: IdentityRole):
    with pytest.raises(WrongUse, match="no approver"):
        give(store, ask(store, ann), person(store, "carl", role))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"evidence": ()}, "evidence"),
        ({"reason": " "}, "reason"),
        ({"valid_until": NOW}, "before it begins"),
        ({"evidence": (("large", bytes((16 << 20) + 1)),)}, "16 MB"),
    ],
    ids=["no evidence", "no reason", "over at once", "too large"],
)
def test_what_an_approval_lacks_is_refused(store: Store, ann: Person, ben: Person, change: Any, told: str):
    request = ask(store, ann)
    with pytest.raises(WrongUse, match=told):
        give(store, request, ben, **change)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.approvals.known() == ()


TAMPERING = {
    "stack": "UPDATE approval_requests SET stack_id = 'b'",
    "act": "UPDATE approval_requests SET act = 'distribute_weights'",
    "answers": "UPDATE approval_requests SET answers_json = '[]'",
    "request's reason": "UPDATE approval_requests SET reason = 'other'",
    "requester": "UPDATE approval_requests SET requester = 'zoe'",
    "end": "UPDATE approvals SET valid_until = '2099-01-01T00:00:00.000000Z'",
    "reason": "UPDATE approvals SET reason = 'other'",
    "evidence": 'UPDATE approvals SET evidence_json = \'[["mail.txt", "0"]]\'',
    "approver": "UPDATE approvals SET approver = 'zoe'",
    "signature": "UPDATE approvals SET signature = '00'",
    "no signature": "UPDATE approvals SET signature = 'x'",
    "key": "UPDATE identities SET public = '0000000000000000000000000000000000000000000000000000000000000000' WHERE name = 'ben'",
    "role": "UPDATE identities SET role = 'requester' WHERE name = 'ben'",
}


@pytest.mark.parametrize("what", TAMPERING)
def test_a_changed_row_does_not_stand(store: Store, ann: Person, ben: Person, what: str):
    give(store, ask(store, ann), ben)
    with unit_of_work(store.engine) as work:
        work.connection.exec_driver_sql(TAMPERING[what])
        work.commit()
    with unit_of_work(store.engine, read_only=True) as work:
        (found,) = work.approvals.known()
    assert not stands(found, STACK, ACT, NOW)
    assert "claimed" in {found.approver.standing, found.requester.standing}


@pytest.mark.parametrize("name", ["ann", "ben"])
def test_nothing_that_a_revoked_key_signed_stands(store: Store, ann: Person, ben: Person, name: str):
    given = give(store, ask(store, ann), ben)
    with unit_of_work(store.engine) as work:
        work.identities.revoke(name, actor="alice", reason="left", now=NOW + timedelta(days=1))
        work.commit()
    assert not stands(reread(store, given.approval_id), STACK, ACT, NOW)


def test_a_key_that_is_over_signed_well_while_it_was_not(store: Store, ann: Person):
    ben = person(store, "ben", IdentityRole.APPROVER, valid_until=NOW + timedelta(days=1))
    given = give(store, ask(store, ann), ben)
    assert stands(given, STACK, ACT, NOW + timedelta(days=20))
    late = ask(store, ann, requested_at=NOW + timedelta(days=2))
    answer = give(store, late, ben, now=NOW + timedelta(days=2))
    assert not stands(answer, STACK, ACT, NOW + timedelta(days=2))


def test_a_withdrawn_approval_ends_and_stays_on_record(store: Store, ann: Person, ben: Person):
    given = give(store, ask(store, ann), ben)
    with unit_of_work(store.engine) as work:
        work.approvals.withdraw(given.approval_id, actor="alice", reason="forged mail", now=NOW)
        work.commit()
    ended = reread(store, given.approval_id)
    assert (ended.withdrawn_at, ended.withdrawn_because) == (NOW, "forged mail")
    assert not stands(ended, STACK, ACT, NOW)
    with pytest.raises(WrongUse, match="already"), unit_of_work(store.engine) as work:
        work.approvals.withdraw(given.approval_id, actor="alice", reason="again", now=NOW)


def test_every_step_is_in_the_chain_with_what_was_signed(store: Store, ann: Person, ben: Person):
    given = give(store, ask(store, ann), ben)
    ask(store, None, requested_at=NOW + timedelta(seconds=1))
    with unit_of_work(store.engine) as work:
        work.approvals.withdraw(given.approval_id, actor="alice", reason="over", now=NOW)
        work.commit()
    with unit_of_work(store.engine, read_only=True) as work:
        events = work.audit.events()
        kept = work.connection.execute(text("SELECT signature FROM approvals")).scalar_one()
    assert [event.event.tag for event in events][-4:] == [
        "approval:request:signed",
        "approval:request:granted",
        "approval:request:claimed",
        "approval:record:withdrawn",
    ]
    granted = json.loads(events[-3].event.payload)
    assert granted["signature"] == kept
    assert granted["evidence"] == [given.evidence[0].sha256]
    assert verify(store.engine).ok


def test_an_unknown_id_is_an_unknown_name(store: Store):
    with unit_of_work(store.engine, read_only=True) as work:
        with pytest.raises(UnknownName):
            work.approvals.approval("approval-0")
        with pytest.raises(UnknownName):
            work.approvals.request("ask-0")
        with pytest.raises(UnknownName):
            work.approvals.evidence("0" * 64)


# Identities


def test_identities_are_found_by_name_and_by_the_beginning_of_their_key(store: Store, ann: Person):
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.identities.find("ann") == ann.identity == work.identities.find(ann.key.key_id[:8])
        for unknown in ("zoe", ann.key.key_id[:5], ""):
            with pytest.raises(UnknownName):
                work.identities.find(unknown)


def test_a_name_has_one_key_at_a_time_and_keeps_the_old_ones(store: Store, ann: Person):
    with pytest.raises(WrongUse, match="has a key already"):
        person(store, "ann", IdentityRole.APPROVER)
    with unit_of_work(store.engine) as work:
        revoked = work.identities.revoke("ann", actor="alice", reason="lost", now=NOW)
        work.commit()
    assert (revoked.revoked_at, revoked.revoked_by, revoked.revoked_because) == (NOW, "alice", "lost")
    new = person(store, "ann", IdentityRole.APPROVER)
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.identities.find("ann") == new.identity
        assert {one.key_id for one in work.identities.known()} == {ann.key.key_id, new.key.key_id}
        tags = [event.event.tag for event in work.audit.events()]
    assert tags == ["identity:key:created", "identity:key:revoked", "identity:key:created"]
