"""An approval counts for exactly what was asked, signed by another key, until it expires; it never lifts a denial."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from policy.approvals import (
    Approval,
    ApprovalKind,
    ApprovalRequest,
    Evidence,
    Grant,
    Purchase,
    Signer,
    approval_message,
    lift,
    objections,
    reason_name,
    request_message,
    stands,
)
from policy.gates import QualityHold, ShipEvidence, ship_gate
from policy.uses import Act
from policy.verdicts import Reason, Ruling, from_reasons
from tests.factories import NOW, make_denial, make_ship_evidence, make_stack_evidence

ACT = Act.SHIP_OUTPUT_COMMERCIAL
STACK = "a" * 64
DOUBT = Reason(
    code="claim_conflict",
    ruling=Ruling.REVIEW,
    detail="Two tags disagree.",
    component="org/lora",
    clause="tag",
)
FINE = Reason(code="granted", ruling=Ruling.PERMIT, detail="Granted.", component="org/base")
NO = Reason(code="noncommercial_licence", ruling=Ruling.DENY, detail="No.", component="org/lora")


def make_approval(**changes: Any) -> Approval:
    facts: dict[str, Any] = {
        "approval_id": "approval-1",
        "kind": ApprovalKind.APPROVAL,
        "stack_id": STACK,
        "act": ACT,
        "answers": (reason_name(DOUBT),),
        "reason": "The author confirmed the tag.",
        "evidence": (Evidence(name="mail.txt", sha256="e" * 64),),
        "requester": Signer(name="ann", key_id="1", is_signed=True),
        "approver": Signer(name="ben", key_id="2", is_signed=True),
        "valid_from": NOW,
        "valid_until": NOW + timedelta(days=30),
    }
    return Approval(**(facts | changes))


def lifted(*approvals: Approval, reasons: tuple[Reason, ...] = (FINE, DOUBT), at: datetime = NOW) -> Ruling:
    return lift(from_reasons(reasons), STACK, ACT, at, approvals).ruling


def test_a_standing_approval_lifts_the_review_that_it_answers():
    verdict = lift(from_reasons((FINE, DOUBT)), STACK, ACT, NOW, [make_approval()])
    assert verdict.ruling is Ruling.PERMIT
    (told,) = [reason for reason in verdict.reasons if reason.code == DOUBT.code]
    assert "Approved by ben until 2026-03-02 (approval-1): The author confirmed the tag." in told.detail
    assert DOUBT.detail in told.detail


def test_a_grant_counts_as_an_approval_does_and_lifts_nothing_itself():
    approval = make_approval()
    facts = {
        name: getattr(approval, name)
        for name in ("approval_id", "stack_id", "act", "reason", "evidence", "requester", "approver", "valid_from", "valid_until")
    }  # fmt: skip
    grant = Grant(paid=Purchase(licensor="Acme", licence="flux-dev-nc-2.0", repos=("org/lora",)), **facts)
    assert stands(grant, STACK, ACT, NOW)
    assert not stands(grant, STACK, Act.HOST_SERVICE_COMMERCIAL, NOW)


SHORTCOMINGS = {
    "another stack": {"stack_id": "b" * 64},
    "act": {"act": Act.DISTRIBUTE_WEIGHTS},
    "no reason": {"reason": ""},
    "No evidence": {"evidence": ()},
    "only claims to have approved": {"approver": Signer(name="ben", key_id="2")},
    "only claims to have asked": {"requester": Signer(name="ann")},
    "same key": {"approver": Signer(name="ben", key_id="1", is_signed=True)},
    "same person": {"approver": Signer(name="ann", key_id="2", is_signed=True)},
    "not valid yet": {"valid_from": NOW + timedelta(seconds=1)},
    "expired": {"valid_until": NOW},
    "withdrawn": {"withdrawn_at": NOW, "withdrawn_because": "the mail was forged"},
}


@pytest.mark.parametrize("word", SHORTCOMINGS)
def test_an_approval_that_falls_short_in_one_thing_lifts_nothing(word: str):
    approval = make_approval(**SHORTCOMINGS[word])
    told = objections(approval, STACK, ACT, NOW)
    assert len(told) == 1
    assert word in told[0] or word == "act"
    assert not stands(approval, STACK, ACT, NOW)
    assert lifted(approval) is Ruling.REVIEW


def test_an_approval_that_does_not_count_says_why():
    verdict = lift(from_reasons((FINE, DOUBT)), STACK, ACT, NOW + timedelta(days=31), [make_approval()])
    (void,) = [reason for reason in verdict.reasons if reason.code == "approval_void"]
    assert (verdict.ruling, void.ruling) == (Ruling.REVIEW, Ruling.REVIEW)
    assert "It expired on 2026-03-02." in void.detail


def test_the_last_moment_of_an_approval_is_the_one_before_its_end():
    approval = make_approval()
    assert stands(approval, STACK, ACT, approval.valid_until - timedelta(microseconds=1))
    assert not stands(approval, STACK, ACT, approval.valid_until)


def test_a_denial_is_never_lifted():
    answers = (reason_name(DOUBT), reason_name(NO))
    assert lifted(make_approval(answers=answers), reasons=(FINE, DOUBT, NO)) is Ruling.DENY
    assert lifted(make_approval(answers=answers), reasons=(NO,)) is Ruling.DENY


@pytest.mark.parametrize("field", ["code", "component", "licence", "clause"])
def test_a_reason_that_came_up_later_is_not_answered(field: str):
    assert lifted(make_approval(), reasons=(FINE, DOUBT, replace(DOUBT, **{field: "other"}))) is Ruling.REVIEW


def test_the_wording_of_a_reason_may_change():
    assert (
        lifted(make_approval(), reasons=(replace(DOUBT, detail="Two tags still disagree."),)) is Ruling.PERMIT
    )


def test_one_that_stands_is_enough_beside_one_that_does_not():
    assert lifted(make_approval(valid_until=NOW), make_approval(approval_id="approval-2")) is Ruling.PERMIT


def test_a_permit_stays_as_it_is():
    permit = from_reasons((FINE,))
    assert lift(permit, STACK, ACT, NOW, [make_approval()]) is permit


def test_obligations_outlive_an_approval():
    from tests.factories import make_obligation

    verdict = from_reasons((FINE, DOUBT), (make_obligation(),))
    assert lift(verdict, STACK, ACT, NOW, [make_approval()]).obligations == verdict.obligations


# At the gate


def evidence_with(**changes: Any) -> ShipEvidence:
    evidence = make_ship_evidence()
    facts = {"act": ACT, "at": NOW}
    return replace(evidence, **(facts | changes))


def approval_for_the_gate(reason: Reason, **changes: Any) -> Approval:
    return make_approval(stack_id=make_stack_evidence().stack_id, answers=(reason_name(reason),), **changes)


def test_the_gate_ships_what_was_approved_for_that_stack_and_act():
    stack = make_stack_evidence(verdict=from_reasons((FINE, DOUBT)))
    evidence = evidence_with(stacks=(stack,))
    assert ship_gate(evidence).ruling is Ruling.REVIEW
    approved = replace(evidence, approvals=(approval_for_the_gate(DOUBT),))
    assert ship_gate(approved).ruling is Ruling.PERMIT
    assert ship_gate(replace(approved, act=Act.DISTRIBUTE_WEIGHTS)).ruling is Ruling.REVIEW
    assert ship_gate(replace(approved, at=NOW + timedelta(days=31))).ruling is Ruling.REVIEW
    assert ship_gate(replace(approved, at=None)).ruling is Ruling.REVIEW
    assert ship_gate(replace(approved, act=None)).ruling is Ruling.REVIEW


def test_the_gate_denies_what_is_denied_whoever_approves():
    stack = make_stack_evidence(verdict=make_denial())
    (reason,) = make_denial().against()
    evidence = evidence_with(stacks=(stack,), approvals=(approval_for_the_gate(reason),))
    assert ship_gate(evidence).ruling is Ruling.DENY


def test_a_quality_hold_is_waived_for_its_stack_alone():
    name = make_stack_evidence().name
    hold = QualityHold(stack=name, check="burnt", shots=("fox",), detail="saturation 0.7")
    reason = Reason(code="quality_hold_burnt", ruling=Ruling.REVIEW, detail="", component=name)
    waiver = approval_for_the_gate(reason, kind=ApprovalKind.WAIVER)
    assert ship_gate(evidence_with(holds=(hold,))).ruling is Ruling.REVIEW
    waived = ship_gate(evidence_with(holds=(hold,), approvals=(waiver,)))
    assert waived.ruling is Ruling.PERMIT
    assert any("Waived by ben" in one.detail for one in waived.reasons)
    other = replace(waiver, stack_id="c" * 64)
    assert ship_gate(evidence_with(holds=(hold,), approvals=(other,))).ruling is Ruling.REVIEW


# What is signed


def make_request(**changes: Any) -> ApprovalRequest:
    facts: dict[str, Any] = {
        "request_id": "",
        "kind": ApprovalKind.APPROVAL,
        "stack_id": STACK,
        "act": ACT,
        "answers": ("a|b||",),
        "paid": None,
        "reason": "needed",
        "requester": Signer(name="ann", key_id="1"),
        "requested_at": NOW,
    }
    return ApprovalRequest(**(facts | changes))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": ApprovalKind.WAIVER},
        {"stack_id": "b" * 64},
        {"act": Act.DISTRIBUTE_WEIGHTS},
        {"answers": ("a|b||", "c|||")},
        {"paid": Purchase(licensor="x", licence="y", repos=())},
        {"reason": "wanted"},
        {"requester": Signer(name="amy", key_id="1")},
        {"requester": Signer(name="ann", key_id="2")},
        {"requested_at": NOW + timedelta(microseconds=1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_fact_of_a_request_is_signed_by_both(change: dict[str, Any]):
    def approved(request: ApprovalRequest) -> bytes:
        return approval_message(
            request,
            reason="fine",
            evidence=(Evidence(name="mail", sha256="e"),),
            approver=Signer(name="ben", key_id="2"),
            valid_from=NOW,
            valid_until=NOW,
        )

    plain, changed = make_request(), make_request(**change)
    assert request_message(plain) != request_message(changed)
    assert approved(plain) != approved(changed)
    assert request_message(plain) != approved(plain)


def test_a_name_without_a_valid_signature_is_claimed():
    assert Signer(name="ann").standing == "claimed"
    assert Signer(name="ann", key_id="1").standing == "claimed"
    assert Signer(name="ann", key_id="1", is_signed=True).standing == "signed"
