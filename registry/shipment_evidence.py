"""The evidence of a shipment in the database, written with it: papers, terms, clauses, discharges."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, or_, select

from policy.canonical import digest
from policy.discharges import RecordedDischarge
from policy.errors import UnknownName
from registry.bulk import add_rows
from registry.evidence_tables import (
    discharges,
    shipment_clauses,
    shipment_contexts,
    shipment_papers,
    shipment_stacks,
    shipment_terms,
)
from registry.kept_files import keep_files, kept_file
from registry.shipment_records import ShipmentContext, ShipmentDraft, ShippedPaper, TermsOfTheDay

DISCHARGES_FOR_THE_JOB = (
    select(discharges.c.duty, discharges.c.evidence_name, discharges.c.evidence_sha256, discharges.c.actor)
    .where(or_(discharges.c.job_id == bindparam("job_id"), discharges.c.job_id == ""))
    .order_by(discharges.c.discharged_at, discharges.c.discharge_id)
)


def write_evidence(
    connection: Connection, shipment_id: str, draft: ShipmentDraft, stacks: Iterable[str], now: datetime
) -> None:
    """Write everything that goes with a shipment; ``stacks`` names the stack of each of its items."""
    made_with = Counter(stacks)
    add_rows(
        connection,
        shipment_stacks,
        [
            {"stack_id": stack, "shipment_id": shipment_id, "item_count": items}
            for stack, items in made_with.items()
        ],
    )
    papers = [
        {"shipment_id": shipment_id, "name": one.name, "sha256": one.sha256, "size": one.size}
        for one in draft.papers
    ]
    add_rows(connection, shipment_papers, papers)
    clauses = [
        {"shipment_id": shipment_id, "licence": licence, "clause": clause}
        for licence, clause in sorted(set(draft.clauses))
    ]
    add_rows(connection, shipment_clauses, clauses)
    if draft.stacks_json:
        row = {"shipment_id": shipment_id, "stacks_json": draft.stacks_json}
        add_rows(connection, shipment_contexts, [row])
    _write_terms(connection, shipment_id, draft.terms)
    _write_discharges(connection, shipment_id, draft, now)


def _write_terms(connection: Connection, shipment_id: str, terms: Sequence[TermsOfTheDay]) -> None:
    kept = keep_files(connection, [body for one in terms for body in (one.terms, one.text)])
    rows = [
        {"shipment_id": shipment_id, "licence": one.licence, "terms_sha256": file, "text_sha256": text}
        for one, file, text in zip(terms, kept[::2], kept[1::2], strict=True)
    ]
    add_rows(connection, shipment_terms, rows)


def _write_discharges(connection: Connection, shipment_id: str, draft: ShipmentDraft, now: datetime) -> None:
    kept = keep_files(connection, [one.evidence for one in draft.discharges])
    rows = [
        {
            "discharge_id": digest("discharge", [shipment_id, one.duty, sha256]),
            "duty": one.duty,
            "job_id": one.job_id,
            "shipment_id": shipment_id,
            "evidence_name": one.evidence_name,
            "evidence_sha256": sha256,
            "actor": draft.actor,
            "discharged_at": now,
        }
        for one, sha256 in zip(draft.discharges, kept, strict=True)
    ]
    add_rows(connection, discharges, rows)


# Reading


def papers_of(connection: Connection, shipment_id: str) -> tuple[ShippedPaper, ...]:
    """The papers of a shipment, by name."""
    query = (
        select(shipment_papers.c.name, shipment_papers.c.sha256, shipment_papers.c.size)
        .where(shipment_papers.c.shipment_id == shipment_id)
        .order_by(shipment_papers.c.name)
    )
    return tuple(
        ShippedPaper(name=name, sha256=sha256, size=size) for name, sha256, size in connection.execute(query)
    )


def discharges_for(connection: Connection, job_id: str) -> tuple[RecordedDischarge, ...]:
    """What was recorded with earlier shipments of a job, and for the whole house; newest last."""
    return tuple(
        RecordedDischarge(duty=duty, evidence_name=name, evidence_sha256=sha256, actor=actor)
        for duty, name, sha256, actor in connection.execute(DISCHARGES_FOR_THE_JOB, {"job_id": job_id})
    )


def context_of(connection: Connection, shipment_id: str) -> ShipmentContext:
    """What the rules looked at on the day; UnknownName for a shipment of which it was not kept."""
    query = select(shipment_contexts.c.stacks_json).where(shipment_contexts.c.shipment_id == shipment_id)
    stacks_json = connection.execute(query).scalar_one_or_none()
    if stacks_json is None:
        raise UnknownName(
            f"What {shipment_id} was judged by was not kept.", "Only later shipments can be judged again."
        )
    terms = shipment_terms
    rows = connection.execute(
        select(terms.c.licence, terms.c.terms_sha256, terms.c.text_sha256)
        .where(terms.c.shipment_id == shipment_id)
        .order_by(terms.c.licence)
    ).all()
    return ShipmentContext(
        stacks_json=stacks_json,
        terms=tuple(
            TermsOfTheDay(
                licence=licence, terms=kept_file(connection, file), text=kept_file(connection, text)
            )
            for licence, file, text in rows
        ),
    )
