"""Shipments: all of it or nothing, only what was really made, and found again by any of its parts."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from policy.canonical import digest
from policy.discharges import MetObligation
from policy.errors import LedgerFault, Refused, UnknownName
from policy.verdicts import Ruling
from registry.audit_walk import verify
from registry.records import JobRecord
from registry.shipment_records import Recall, ShipmentDraft, ShipmentRecord, ShippedFile, ShippedLicence
from registry.unit_of_work import unit_of_work
from tests.factories import BASE, NOW, make_denial, make_obligation, make_use, make_verdict
from tests.integration.registry.ledger_play import must_lease, plan_of, render_all, settle, submit
from tests.integration.registry.stores import Store

TEXT = "a" * 64


def signed(sha256: str) -> str:
    return digest("signed", sha256)


def make_draft(store: Store, job: JobRecord, **changes: object) -> ShipmentDraft:
    """Everything that the job made, signed, to one client."""
    with unit_of_work(store.engine, read_only=True) as work:
        shots, (decision, *_) = work.ledger.shots(job.job_id), work.ledger.decisions(job.job_id)
    stack = decision.offer.stack
    files = tuple(
        ShippedFile(
            shot=shot.name,
            artefact_sha256=shot.artefact.sha256,
            shipped_sha256=signed(shot.artefact.sha256),
            recipient="client",
        )
        for shot in shots
        if shot.artefact is not None
    )
    used = ShippedLicence(
        stack_id=stack.stack_id,
        pin_id=stack.base.pin_id,
        repo=BASE,
        revision=stack.base.revision,
        licence="apache-2.0",
        text_sha256=TEXT,
    )
    draft = ShipmentDraft(
        job_id=job.job_id,
        actor="alice",
        use=make_use(),
        verdict=make_verdict(obligations=(make_obligation(), make_obligation(id="disclose_ai"))),
        files=files,
        licences=(used,),
        notices="Made with emoji-64.\n",
        met=(
            MetObligation(obligation=make_obligation(), discharged_by="notices"),
            MetObligation(
                obligation=make_obligation(id="disclose_ai"), discharged_by="marking in every file"
            ),
        ),
        clauses=(("apache-2.0", "2"),),
    )
    return replace(draft, **changes)


def ship(store: Store, draft: ShipmentDraft) -> ShipmentRecord:
    with unit_of_work(store.engine) as work:
        shipment = work.shipments.ship(draft, NOW)
        work.commit()
    return shipment


def affected(store: Store, needle: str, **changes: int) -> Recall:
    with unit_of_work(store.engine, read_only=True) as work:
        return work.shipments.affected(needle, **changes)


@pytest.fixture
def job(store: Store) -> JobRecord:
    return render_all(store.engine, submit(store.engine, plan_of(8)).job_id)


def test_a_shipment_keeps_who_what_whom_and_why(store: Store, job: JobRecord):
    draft = make_draft(store, job)
    shipment = ship(store, draft)
    assert (shipment.owner, shipment.actor, shipment.labels) == ("studio", "alice", (("show", "foxes"),))
    assert (shipment.recipients, shipment.plan_hash) == (("client",), job.plan_hash)
    assert (shipment.use, shipment.verdict, shipment.licences) == (draft.use, draft.verdict, draft.licences)
    assert [(item.shot, item.artefact_sha256, item.shipped_sha256) for item in shipment.items] == [
        (file.shot, file.artefact_sha256, file.shipped_sha256) for file in draft.files
    ]
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.shipments.shipment(shipment.shipment_id) == shipment
        assert work.shipments.shipments_of(job.job_id) == (shipment,) == work.shipments.latest()
        assert work.shipments.notices(shipment.notices_sha256) == draft.notices


def test_a_shipment_is_handed_back_as_it_is_kept(store: Store, job: JobRecord):
    shipment = ship(store, make_draft(store, job))
    with unit_of_work(store.engine, read_only=True) as work:
        assert work.shipments.shipment(shipment.shipment_id) == shipment


def test_obligations_say_what_met_them(store: Store, job: JobRecord):
    shipment = ship(store, make_draft(store, job))
    assert {met.obligation.id: met.discharged_by for met in shipment.obligations} == {
        "attribution": "notices",
        "disclose_ai": "marking in every file",
    }


def test_a_shipment_is_in_the_chain_and_its_recipients_are_not(store: Store, job: JobRecord):
    shipment = ship(store, make_draft(store, job))
    with unit_of_work(store.engine, read_only=True) as work:
        (event,) = work.audit.events(subject=shipment.shipment_id)
    assert (event.seq, event.event.tag) == (shipment.audit_seq, "shipment:job:shipped")
    told = json.loads(event.event.payload)
    assert (told["items"], told["notices_sha256"]) == (8, shipment.notices_sha256)
    assert "client" not in event.event.payload
    assert verify(store.engine).ok


def nothing_was_shipped(store: Store) -> bool:
    with unit_of_work(store.engine, read_only=True) as work:
        return work.shipments.latest() == () and work.audit.events() == ()


@pytest.mark.parametrize("ruling", [Ruling.DENY, Ruling.REVIEW])
def test_nothing_ships_without_a_permit(store: Store, job: JobRecord, ruling: Ruling):
    verdict = replace(make_denial(), ruling=ruling)
    with pytest.raises(Refused, match="CC-BY-NC"):
        ship(store, make_draft(store, job, verdict=verdict))
    assert nothing_was_shipped(store)


def test_only_the_finished_picture_of_a_shot_can_ship(store: Store, job: JobRecord):
    draft = make_draft(store, job)
    other = replace(draft.files[3], artefact_sha256="f" * 64)
    with pytest.raises(LedgerFault, match="shot-00003: ffffffffffff is not its finished picture"):
        ship(store, replace(draft, files=(*draft.files[:3], other)))
    with pytest.raises(LedgerFault, match="ghost"):
        ship(store, replace(draft, files=(replace(other, shot="ghost"),)))
    assert nothing_was_shipped(store)


def test_a_picture_of_an_unfinished_shot_cannot_ship(store: Store):
    job = submit(store.engine, plan_of(16))
    settle(store.engine, must_lease(store.engine, job.job_id))
    draft = make_draft(store, job)
    assert len(draft.files) == 8
    undone = replace(draft.files[0], shot="shot-00015")
    with pytest.raises(LedgerFault, match="shot-00015"):
        ship(store, replace(draft, files=(*draft.files, undone)))


def test_an_empty_shipment_is_refused(store: Store, job: JobRecord):
    with pytest.raises(LedgerFault, match="at least one file"):
        ship(store, make_draft(store, job, files=()))


def test_leaving_before_the_commit_ships_nothing(store: Store, job: JobRecord):
    draft = make_draft(store, job)
    with unit_of_work(store.engine) as work:
        work.shipments.ship(draft, NOW)
    assert nothing_was_shipped(store)


def test_one_file_can_go_to_several_recipients(store: Store, job: JobRecord):
    draft = make_draft(store, job)
    copies = tuple(replace(draft.files[0], recipient=name) for name in ("client", "archive"))
    shipment = ship(store, replace(draft, files=copies))
    assert shipment.recipients == ("archive", "client")
    assert affected(store, draft.files[0].artefact_sha256).recipients == ("archive", "client")


def test_a_shipped_file_is_found_by_everything_it_was_made_with(store: Store, job: JobRecord):
    draft = make_draft(store, job)
    ship(store, draft)
    with unit_of_work(store.engine, read_only=True) as work:
        stack = work.ledger.decisions(job.job_id)[0].offer.stack
    for needle, kind in (
        (stack.base.files[0].sha256, "file"),
        (BASE, "repository"),
        (stack.base.pin_id, "pin"),
        (stack.stack_id, "stack"),
        ("apache-2.0", "licence"),
        ("2", "clause"),
        ("apache-2.0#2", "clause"),
        (TEXT, "text"),
    ):
        recall = affected(store, needle)
        assert (recall.matched, len(recall.files)) == ((kind,), 8), needle
        assert (recall.stacks, recall.recipients, recall.is_cut) == ((stack.stack_id,), ("client",), False)


def test_a_recall_finds_either_digest_of_an_output(store: Store, job: JobRecord):
    draft = make_draft(store, job)
    ship(store, draft)
    for needle in (draft.files[2].artefact_sha256, draft.files[2].shipped_sha256):
        recall = affected(store, needle)
        assert (recall.matched, [file.shot for file in recall.files]) == (("output",), ["shot-00002"])


def test_what_was_rendered_but_not_shipped_is_not_recalled(store: Store, job: JobRecord):
    assert affected(store, BASE).files == ()
    ship(store, make_draft(store, job))
    assert affected(store, "somebody/else") == Recall(
        needle="somebody/else",
        matched=(),
        stacks=(),
        jobs=(),
        shipments=(),
        recipients=(),
        items=0,
        files=(),
        is_cut=False,
    )


def test_a_recall_that_is_cut_says_so(store: Store, job: JobRecord):
    ship(store, make_draft(store, job))
    cut = affected(store, BASE, limit=5)
    assert (len(cut.files), cut.items, cut.is_cut) == (5, 8, True)
    assert not affected(store, BASE, limit=8).is_cut


def test_a_recall_begins_with_the_newest_shipment_and_ends_within_an_older_one(store: Store, job: JobRecord):
    draft, later = make_draft(store, job), NOW + timedelta(hours=1)
    old = ship(store, draft)
    with unit_of_work(store.engine) as work:
        new = work.shipments.ship(draft, later)
        work.commit()
    recall = affected(store, BASE, limit=11)
    assert (recall.shipments, recall.items) == ((new.shipment_id, old.shipment_id), 16)
    assert [(one.shipment_id, one.shipped_at) for one in recall.files] == (
        [(new.shipment_id, later)] * 8 + [(old.shipment_id, NOW)] * 3
    )
    assert [one.shot for one in recall.files[8:]] == [file.shot for file in draft.files[:3]]


def test_what_is_touched_in_two_ways_counts_once(store: Store, job: JobRecord):
    ship(store, make_draft(store, job, clauses=(("apache-2.0", "apache-2.0"),)))
    recall = affected(store, "apache-2.0")
    assert (recall.matched, recall.items, len(recall.files)) == (("clause", "licence"), 8, 8)


def test_what_was_never_shipped_is_an_unknown_name(store: Store):
    with unit_of_work(store.engine, read_only=True) as work:
        with pytest.raises(UnknownName, match="no shipment"):
            work.shipments.shipment("ship-none")
        with pytest.raises(UnknownName, match="No notices file"):
            work.shipments.notices("0" * 64)
