"""What the shipment shows by itself needs nobody's word; everything else needs a document."""

from dataclasses import replace
from datetime import date

import pytest

from policy.discharges import AUTOMATIC, RecordedDischarge, ShipmentShows, meet
from policy.gates import SHIP_RULES, every_obligation_is_discharged, ship_gate
from policy.uses import Context, Delivery
from policy.verdicts import Reason, Ruling
from tests.factories import STYLE, make_obligation, make_ship_evidence

SHOWS = ShipmentShows(
    notices_sha256="a" * 64,
    credited=frozenset({STYLE}),
    copied=frozenset({"cc-by-4.0"}),
    files=3,
    unmarked=(),
)


def met_by(duty: str, shows: ShipmentShows = SHOWS, *documents: RecordedDischarge) -> str | None:
    (met,) = meet([make_obligation(id=duty)], shows, documents)
    return met.discharged_by


def document(duty: str) -> RecordedDischarge:
    return RecordedDischarge(
        duty=duty, evidence_name="contract.pdf", evidence_sha256="b" * 64, actor="officer"
    )


@pytest.mark.parametrize("duty", ["notice_file", "attribution", "licence_copy"])
def test_the_notices_meet_what_they_say(duty):
    assert met_by(duty) == f"notices:{'a' * 64}"


def test_a_credit_that_does_not_stand_in_the_notices_meets_nothing():
    assert met_by("attribution", replace(SHOWS, credited=frozenset())) is None


def test_a_licence_whose_text_is_not_handed_on_meets_nothing():
    assert met_by("licence_copy", replace(SHOWS, copied=frozenset({"mit"}))) is None


def test_a_marking_counts_only_if_every_file_bears_it():
    assert met_by("ai_disclosure") == "marking:DigitalSourceType in 3 files"
    assert met_by("ai_disclosure", replace(SHOWS, unmarked=("fox.webm",))) is None
    assert met_by("ai_disclosure", replace(SHOWS, files=0)) is None


@pytest.mark.parametrize(
    "duty",
    [
        "display_powered_by_stability",
        "content_filter_or_review",
        "use_restrictions_flow_down",
        "stability_registration",
        "a_duty_of_tomorrow",
    ],
)
def test_what_happens_elsewhere_is_met_by_a_document_alone(duty):
    assert duty not in AUTOMATIC
    assert met_by(duty) is None
    assert met_by(duty, SHOWS, document(duty)) == f"recorded:{'b' * 64} contract.pdf"
    assert met_by(duty, SHOWS, document("another_duty")) is None


def test_a_document_stands_in_for_what_the_shipment_cannot_show():
    unmarked = replace(SHOWS, unmarked=("fox.webm",))
    assert met_by("ai_disclosure", unmarked, document("ai_disclosure")) == f"recorded:{'b' * 64} contract.pdf"


def test_an_obligation_that_nothing_meets_stops_the_shipment():
    reason = Reason(code="obligation_undischarged", ruling=Ruling.DENY, detail="Register first.")
    refused = ship_gate(make_ship_evidence(undischarged=(reason,)))
    assert refused.ruling is Ruling.DENY
    assert reason in refused.against()
    assert every_obligation_is_discharged in SHIP_RULES
    assert ship_gate(make_ship_evidence()).is_permit


SAID = Context(
    name="client-work",
    as_of=date(2026, 1, 1),
    said_by="mia",
    delivery=Delivery(content_filter=True, ai_disclosure=True),
)


def test_how_outputs_are_delivered_is_met_by_whoever_said_it_with_a_day():
    said = replace(SHOWS, context=SAID)
    assert met_by("content_filter_or_review", said) == "context:client-work of 2026-01-01, said by mia"
    assert met_by("display_powered_by_stability", said) is None


@pytest.mark.parametrize(
    "change",
    [
        {"as_of": None},
        {"said_by": ""},
        {"delivery": Delivery()},
        {"delivery": Delivery(content_filter=False)},
    ],
)
def test_a_bare_claim_about_delivery_meets_nothing(change):
    assert met_by("content_filter_or_review", replace(SHOWS, context=replace(SAID, **change))) is None


def test_bytes_and_documents_come_before_what_is_said():
    said = replace(SHOWS, context=SAID)
    assert str(met_by("ai_disclosure", said)).startswith("marking:")
    duty = "content_filter_or_review"
    assert met_by(duty, said, document(duty)) == f"recorded:{'b' * 64} contract.pdf"
    assert str(met_by("ai_disclosure", replace(said, unmarked=("fox.webm",)))).startswith("context:")
