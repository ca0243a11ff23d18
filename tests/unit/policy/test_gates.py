"""The two gates: nothing is planned that a licence denies, nothing ships that the evidence does not cover."""

from dataclasses import replace

import pytest

from policy.errors import Refused
from policy.gates import QualityHold, ShipEvidence, licence_gate, require, ship_gate
from policy.verdicts import Ruling, Verdict
from tests.factories import (
    make_denial,
    make_execution_plan,
    make_ship_evidence,
    make_shipped_item,
    make_stack_evidence,
)


def ruling(evidence: ShipEvidence) -> Ruling:
    return ship_gate(evidence).ruling


def test_an_empty_plan_is_refused() -> None:
    plan = replace(make_execution_plan(), shots=(), decisions=(), batches=())
    assert licence_gate(plan).ruling is Ruling.DENY


def test_one_denied_stack_denies_the_plan() -> None:
    plan = make_execution_plan()
    decision = plan.decisions[0]
    denied = replace(decision, offer=replace(decision.offer, verdict=make_denial()))
    assert licence_gate(replace(plan, decisions=(denied,))).ruling is Ruling.DENY


def test_complete_evidence_ships() -> None:
    assert ruling(make_ship_evidence()) is Ruling.PERMIT


def test_nothing_ships_without_items() -> None:
    assert ruling(replace(make_ship_evidence(), items=())) is Ruling.DENY


def test_an_unfinished_shot_stops_the_shipment_and_is_named() -> None:
    verdict = ship_gate(replace(make_ship_evidence(), undone=("owl",)))
    assert not verdict.is_permit
    assert any("owl" in reason.detail for reason in verdict.against())


def test_a_changed_picture_does_not_ship() -> None:
    changed = make_shipped_item(found_sha256="f" * 64)
    assert ruling(replace(make_ship_evidence(), items=(changed,))) is Ruling.DENY


def test_a_picture_that_is_gone_does_not_ship() -> None:
    assert ruling(replace(make_ship_evidence(), items=(make_shipped_item(found_sha256=None),))) is Ruling.DENY


def test_weights_other_than_the_pinned_ones_do_not_ship() -> None:
    stack = make_stack_evidence()
    path, _ = stack.loaded[0]
    other = replace(stack, loaded=((path, "f" * 64), *stack.loaded[1:]))
    assert ruling(replace(make_ship_evidence(), stacks=(other,))) is Ruling.DENY


def test_weights_that_nobody_attested_do_not_ship() -> None:
    assert (
        ruling(replace(make_ship_evidence(), stacks=(replace(make_stack_evidence(), loaded=()),)))
        is Ruling.DENY
    )


def test_a_licence_that_denies_today_stops_the_shipment() -> None:
    stack = make_stack_evidence(verdict=make_denial())
    assert ruling(replace(make_ship_evidence(), stacks=(stack,))) is Ruling.DENY


@pytest.mark.parametrize(("waived", "expected"), [(False, Ruling.REVIEW), (True, Ruling.PERMIT)])
def test_a_quality_hold_needs_a_person_unless_it_was_waived(*, waived: bool, expected: Ruling) -> None:
    hold = QualityHold(stack="emoji-64", check="over_driven", shots=("fox",), detail="burnt", waived=waived)
    assert ruling(replace(make_ship_evidence(), holds=(hold,))) is expected


def test_a_refusal_is_raised_once_with_every_reason() -> None:
    verdict = make_denial()
    with pytest.raises(Refused) as refused:
        require(verdict)
    assert refused.value.verdict is verdict
    assert refused.value.next_step


def test_a_permit_is_not_raised() -> None:
    permit: Verdict = ship_gate(make_ship_evidence())
    assert permit.is_permit
    require(permit)
