"""What a person vouched for ships, is named on the papers, and holds no longer than the person said."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flows.approving import (
    ask_for_approval,
    ask_for_grant,
    barred_by_licence,
    give_approval,
    open_questions,
    withdraw_approval,
)
from flows.auditing import audit_check
from flows.bootstrap import House
from flows.concluding import conclude_licence
from flows.drift import conclude_drift
from flows.identities import create_identity, revoke_identity
from flows.manifest_files import load_manifest
from flows.planning import plan_manifest
from flows.recalling import reevaluate
from flows.shipment import ship_job
from policy.approvals import Approval, ApprovalKind, Grant, Purchase
from policy.errors import Refused, WrongUse
from policy.identities import IdentityRole
from policy.plan import PlanRefusal
from policy.verdicts import Ruling
from registry.drift import DriftFinding, DriftKind, DriftSeverity
from registry.evidence.dsse import unseal
from registry.evidence.intoto import PAYLOAD_TYPE
from registry.records import JobRecord
from registry.shipment_records import ShipmentRecord
from registry.unit_of_work import unit_of_work
from tests.integration.flows.near import render_near
from tests.integration.flows.ship.conftest import NOW, contents, order_in_own_style

MONTH = timedelta(days=30)
STYLE = "mine/style"
PutStyle = Callable[..., Path]


@pytest.fixture
def house(house_with_a_shelf: House) -> House:
    create_identity(house_with_a_shelf, "ann", IdentityRole.REQUESTER)
    create_identity(house_with_a_shelf, "ben", IdentityRole.APPROVER)
    return house_with_a_shelf


@pytest.fixture
def order(tmp_path: Path, house: House) -> PutStyle:
    """An order of two foxes in a style of one's own, whose card and LICENSE file (an id, or words) are given."""
    head = 'recipients = ["editor@studio.example"]\nterritories = ["WORLD"]'

    def put(*, tag: str, licence: str) -> Path:
        return order_in_own_style(house, tmp_path, STYLE, tag=tag, licence=licence, head=head)

    return put


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "from-the-author.txt"
    path.write_text("You may.")
    return path


def answer(house: House, request_id: str, paper: Path) -> Approval | Grant:
    return give_approval(
        house,
        request_id,
        approver="ben",
        reason="The author wrote so.",
        evidence=[paper],
        valid_until=house.clock() + MONTH,
    )


def approve(house: House, asked_of: str, paper: Path, kind: ApprovalKind = ApprovalKind.APPROVAL) -> set[str]:
    """Answer every review that an order or a job leaves open, one for each stack."""
    given = [
        answer(
            house,
            ask_for_approval(house, one, kind=kind, reason="A slip.", requester="ann").request_id,
            paper,
        )
        for one in open_questions(house, asked_of)
    ]
    return {one.approval_id for one in given}


def refuse(house: House, job: JobRecord, code: str) -> None:
    with pytest.raises(Refused) as refused:
        ship_job(house, job.job_id)
    assert refused.value.verdict is not None
    assert code in {reason.code for reason in refused.value.verdict.against()}
    assert contents(house.settings.shipments) == []


def papers(house: House, shipment: ShipmentRecord) -> list[dict[str, object]]:
    """The approvals as the manifest has them; the signed statement and the log must say the same."""
    folder = house.settings.shipments / shipment.shipment_id
    listed = json.loads((folder / "manifest.json").read_text())["approvals"]
    public = bytes.fromhex((house.settings.keys / "house.pub").read_text())
    signed = json.loads(unseal((folder / "statement.dsse.json").read_bytes(), PAYLOAD_TYPE, public))
    assert signed["predicate"]["approvals"] == listed
    with unit_of_work(house.engine, read_only=True) as work:
        event = work.audit.event(shipment.audit_seq)
    assert event is not None
    assert json.loads(event.event.payload)["approvals"] == sorted(one["approval_id"] for one in listed)
    assert audit_check(house).ok
    return listed


def test_what_was_approved_ships_and_its_papers_say_who_let_it(house: House, order: PutStyle, paper: Path):
    path = order(tag="apache-2.0", licence="cc-by-4.0")
    given = approve(house, str(path), paper)
    shipment = ship_job(house, render_near(house, path).job_id)
    (listed,) = papers(house, shipment)
    assert (listed["approval_id"] in given, listed["kind"]) == (True, "approval")
    assert (listed["requested_by"], listed["approved_by"]) == ("ann", "ben")
    assert [one["name"] for one in listed["evidence"]] == [paper.name]


@pytest.mark.parametrize("end", ["expired", "withdrawn", "key revoked"])
def test_an_approval_that_ended_after_the_render_ships_nothing(
    house: House, order: PutStyle, paper: Path, moment: list[datetime], end: str
):
    path = order(tag="apache-2.0", licence="cc-by-4.0")
    given = approve(house, str(path), paper)
    job = render_near(house, path)
    if end == "expired":
        moment[0] = NOW + MONTH
    elif end == "withdrawn":
        for approval_id in given:
            withdraw_approval(house, approval_id, "a mistake")
    else:
        revoke_identity(house, "ben", "left")
    refuse(house, job, "approval_void")
    refuse(house, job, "claim_conflict")


def test_a_bought_licence_ships_what_the_public_one_forbids_until_it_ends(
    house: House, order: PutStyle, paper: Path, moment: list[datetime]
):
    path = order(tag="cc-by-nc-4.0", licence="cc-by-nc-4.0")
    refusal = plan_manifest(house, load_manifest(path, now=house.clock()))
    assert isinstance(refusal, PlanRefusal)
    assert "noncommercial_licence" in {reason.code for reason in refusal.reasons}
    paid = Purchase(licensor="The Author", licence="cc-by-nc-4.0", repos=(STYLE,))
    given = [
        answer(house, ask_for_grant(house, one, paid, reason="Ours.", requester="ann").request_id, paper)
        for one in barred_by_licence(house, str(path), [STYLE])
    ]
    job = render_near(house, path)
    shipment = ship_job(house, job.job_id)
    (listed,) = papers(house, shipment)
    assert listed["approval_id"] in {one.approval_id for one in given}
    assert (listed["kind"], listed["evidence"][0]["name"]) == ("grant", paper.name)
    assert reevaluate(house, shipment.shipment_id).today.ruling is Ruling.PERMIT
    moment[0] = NOW + MONTH
    with pytest.raises(Refused, match="NonCommercial"):
        ship_job(house, job.job_id)
    again = reevaluate(house, shipment.shipment_id)
    assert (again.that_day.ruling, again.today.ruling) == (Ruling.PERMIT, Ruling.DENY)


def test_a_held_look_ships_once_somebody_else_waived_it(house: House, order: PutStyle, paper: Path):
    job = render_near(house, order(tag="cc-by-4.0", licence="cc-by-4.0"))
    with unit_of_work(house.engine) as work:
        work.ledger.hold_shots(
            job.job_id, ["fox-0"], code="burnt", detail="Clipping 0.15.", now=house.clock()
        )
        work.commit()
    refuse(house, job, "quality_hold_burnt")
    approve(house, job.job_id, paper, ApprovalKind.WAIVER)
    (listed,) = papers(house, ship_job(house, job.job_id))
    assert listed["kind"] == "waiver"


def conclude(house: House, approver: str, paper: Path) -> None:
    conclude_licence(
        house,
        STYLE,
        licences=["cc-by-4.0"],
        approver=approver,
        reason="The author wrote so.",
        evidence=[paper],
    )


@pytest.mark.parametrize(
    ("tag", "licence", "doubt"),
    [("apache-2.0", "cc-by-4.0", "claim_conflict"), ("other", "Ask me.", "licence_text_unknown")],
    ids=["a conflict", "an unknown text"],
)
def test_what_was_concluded_ships_as_long_as_the_key_of_the_conclusion_counts(
    house: House,
    order: PutStyle,
    paper: Path,
    moment: list[datetime],
    tag: str,
    licence: str,
    doubt: str,
):
    path = order(tag=tag, licence=licence)
    refusal = plan_manifest(house, load_manifest(path, now=house.clock()))
    assert isinstance(refusal, PlanRefusal)
    assert doubt in {reason.code for reason in refusal.reasons}
    conclude(house, "ben", paper)
    job = render_near(house, path)
    revoke_identity(house, "ben", "left")
    refuse(house, job, "conclusion_unsigned")
    refuse(house, job, doubt)
    moment[0] += timedelta(hours=1)
    create_identity(house, "cara", IdentityRole.APPROVER)
    conclude(house, "cara", paper)
    shipment = ship_job(house, job.job_id)
    told = [one.detail for one in shipment.verdict.reasons if one.code == "concluded_by_a_person"]
    assert told == ["cara concluded on 2026-01-31 (signed): The author wrote so."]
    revoke_identity(house, "cara", "left too")
    again = reevaluate(house, shipment.shipment_id)
    assert again.that_day.ruling is Ruling.PERMIT
    assert not again.today.is_permit
    assert "conclusion_unsigned" in {reason.code for reason in again.worse}


def drift(house: House, severity: DriftSeverity) -> None:
    finding = DriftFinding(
        kind=DriftKind.LICENCE_FILE,
        severity=severity,
        detail="LICENSE was changed on main.",
        subject="LICENSE",
    )
    with unit_of_work(house.engine) as work:
        work.upstream.save_findings(
            work.models.pin_of(STYLE).pin, [finding], actor="watch", now=house.clock()
        )
        work.commit()


def test_an_upstream_change_holds_a_shipment_until_somebody_concluded_it(
    house: House, order: PutStyle, paper: Path
):
    job = render_near(house, order(tag="cc-by-4.0", licence="cc-by-4.0"))
    drift(house, DriftSeverity.HOLD)
    refuse(house, job, "drift_hold")
    with pytest.raises(WrongUse, match="no approver"):
        conclude_drift(house, STYLE, "The same words, set anew.", "ann")
    refuse(house, job, "drift_hold")
    conclude_drift(house, STYLE, "The same words, set anew.", "ben")
    assert papers(house, ship_job(house, job.job_id)) == []


def test_an_upstream_change_holds_again_once_the_key_that_concluded_it_is_revoked(
    house: House, order: PutStyle
):
    job = render_near(house, order(tag="cc-by-4.0", licence="cc-by-4.0"))
    drift(house, DriftSeverity.HOLD)
    conclude_drift(house, STYLE, "The same words, set anew.", "ben")
    revoke_identity(house, "ben", "left")
    refuse(house, job, "drift_hold")
    create_identity(house, "cara", IdentityRole.APPROVER)
    (concluded,) = conclude_drift(house, STYLE, "Read again.", "cara")
    assert (concluded.concluded_by, concluded.is_open) == ("cara", False)
    assert papers(house, ship_job(house, job.job_id)) == []


def test_an_upstream_change_that_is_only_worth_a_look_is_told_and_holds_nothing(
    house: House, order: PutStyle
):
    job = render_near(house, order(tag="cc-by-4.0", licence="cc-by-4.0"))
    drift(house, DriftSeverity.REVIEW)
    shipment = ship_job(house, job.job_id)
    assert "drift_noticed" in {reason.code for reason in shipment.verdict.reasons}
