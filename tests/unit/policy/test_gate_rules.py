from dataclasses import replace
from datetime import date

import pytest

from policy.errors import Refused
from policy.gates import LICENCE_RULES, SHIP_RULES, DriftHold, QualityHold, licence_gate, require, ship_gate
from policy.verdicts import Ruling, from_reasons
from tests.factories import (
    make_obligation,
    make_plan_of,
    make_reason,
    make_ship_evidence,
    make_shipped_item,
    make_stack_evidence,
    make_verdict,
)


def against(verdict):
    return [reason.code for reason in verdict.against()]


def test_the_rules_of_each_gate_stand_in_the_order_they_are_asked():
    assert [rule.__name__ for rule in LICENCE_RULES] == [
        "the_plan_has_shots",
        "every_shot_has_its_decision",
        "every_stack_permits_the_use",
    ]
    assert [rule.__name__ for rule in SHIP_RULES] == [
        "something_is_shipped",
        "every_shot_is_finished",
        "every_item_has_its_stack",
        "loaded_files_are_the_pinned_ones",
        "artefacts_are_unchanged",
        "every_licence_permits_today",
        "every_obligation_is_discharged",
        "no_quality_hold_is_open",
        "no_drift_holds_a_model",
    ]


def test_a_shot_without_a_decision_has_no_verdict_either():
    plan = make_plan_of(5)
    stray = tuple(replace(planned, decision=9) for planned in plan.shots)
    verdict = licence_gate(replace(plan, shots=stray))
    assert against(verdict) == ["undecided_shots"]
    assert '"shot-00000", "shot-00001", "shot-00002" and 2 more' in verdict.against()[0].detail


def test_an_item_from_a_stack_that_is_not_in_evidence_does_not_ship():
    evidence = make_ship_evidence(items=(make_shipped_item(), make_shipped_item("owl", stack_id="f" * 64)))
    assert against(ship_gate(evidence)) == ["unknown_stack"]


def test_evidence_of_nothing_is_denied_by_every_rule_that_needs_some():
    verdict = ship_gate(make_ship_evidence(stacks=(), items=()))
    assert verdict.ruling is Ruling.DENY
    assert set(against(verdict)) >= {"nothing_to_ship", "unattested_weights", "no_grounds"}


def test_foreign_and_missing_files_are_named_one_by_one():
    stack = make_stack_evidence()
    swapped = replace(stack, loaded=(*stack.loaded[1:], ("org/other/evil.safetensors", "f" * 64)))
    verdict = ship_gate(make_ship_evidence(stacks=(swapped,)))
    named = {(reason.code, reason.component) for reason in verdict.against()}
    assert named == {
        ("foreign_weights", "org/other/evil.safetensors"),
        ("unloaded_weights", stack.expected[0][0]),
    }


def test_the_obligations_of_all_stacks_are_united():
    stacks = tuple(
        make_stack_evidence(verdict=make_verdict(obligations=(make_obligation(id=duty),)))
        for duty in ("notice", "attribution")
    )
    assert [duty.id for duty in ship_gate(make_ship_evidence(stacks=stacks)).obligations] == [
        "attribution",
        "notice",
    ]


def test_a_waived_hold_stays_visible():
    hold = QualityHold(
        stack="emoji-64", check="burnt", shots=("fox",), detail="Saturation 0.66 for 0.52.", waived=True
    )
    verdict = ship_gate(make_ship_evidence(holds=(hold,)))
    assert any(reason.code == "quality_waived_burnt" for reason in verdict.reasons)


def test_a_refusal_shows_the_worst_reasons_with_their_clauses_and_counts_the_rest():
    reasons = [make_reason(code=f"r{n}", ruling=Ruling.DENY, clause=f"{n}") for n in range(5)]
    with pytest.raises(Refused, match=r"clause 0\].*\(and 2 more\)"):
        require(from_reasons(reasons))


def test_a_review_asks_for_a_person():
    review = from_reasons([make_reason(ruling=Ruling.REVIEW, component="", licence="", clause="")])
    with pytest.raises(Refused, match=r"^Held for review: Section 2 grants the use\. A person has to decide"):
        require(review)


def test_a_model_whose_upstream_moved_waits_for_a_persons_conclusion():
    hold = DriftHold(repo="acme/base", detail="LICENSE was changed on main.", found_on=date(2026, 1, 31))
    verdict = ship_gate(make_ship_evidence(drift=(hold,)))
    assert (verdict.ruling, against(verdict)) == (Ruling.REVIEW, ["drift_hold"])
    assert "LICENSE was changed on main. Found on 2026-01-31" in verdict.against()[0].detail
