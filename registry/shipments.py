"""Shipments: what left, to whom, under which licences; and the way back from a licence to what left.

A shipment, its items, its notices and its audit event are one transaction. Every item is
checked against the ledger here, last of all: only the artefact that stands for a made shot
of the job can be shipped, the sound that was made with it, and copies that name it.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, select

from policy.audit import AuditEvent
from policy.canonical import canonical_json, digest
from policy.codec import decode, encode
from policy.discharges import MetObligation, RecordedDischarge
from policy.errors import LedgerFault, UnknownName, WrongMoment
from policy.gates import require
from policy.quarantine import quarantined
from policy.tasks import TakeState
from policy.uses import IntendedUse
from policy.verdicts import Obligation, Verdict
from registry import ledger_reading, recall, shipment_evidence, tables
from registry.audit_log import AuditLog
from registry.bulk import add_rows, insert_many, insert_unknown, write_many
from registry.kept_files import kept_file
from registry.records import JobRecord
from registry.revocations import Revocations
from registry.shipment_records import (
    Recall,
    ShipmentContext,
    ShipmentDraft,
    ShipmentItem,
    ShipmentRecord,
    ShippedLicence,
)


class Shipments:
    """Shipments of one database, inside one transaction."""

    __slots__ = ("_audit", "_connection")

    def __init__(self, connection: Connection, audit: AuditLog) -> None:
        self._connection = connection
        self._audit = audit

    def ship(self, draft: ShipmentDraft, now: datetime, *, job: JobRecord | None = None) -> ShipmentRecord:
        """Write shipment, items, licences, obligations, papers and audit event; or nothing.

        ``job`` spares reading it again, where the same transaction has just done so.

        A verdict that does not permit is Refused, and so is a model that was revoked since. A
        file that is not the standing artefact of a made shot of the job, or an empty shipment,
        is a LedgerFault.
        """
        revocations = Revocations(self._connection, self._audit).all()
        require(quarantined(draft.verdict, draft.licences, revocations))
        job = job or ledger_reading.job(self._connection, draft.job_id)
        items = _items(draft, _made_shots(self._connection, job.job_id))
        shipment_id = draft.shipment_id or fresh_shipment_id(now)
        notices_sha256 = hashlib.sha256(draft.notices.encode()).hexdigest()
        payload = _payload(shipment_id, job, draft, items, notices_sha256)
        event = AuditEvent(
            tag="shipment:job:shipped", actor=draft.actor, subject=shipment_id, payload=payload
        )
        chained = self._audit.append(event, now)
        recipients = tuple(sorted({item.recipient for item in items if item.recipient}))
        self._write_notices(notices_sha256, draft.notices)
        add_rows(
            self._connection,
            tables.shipments,
            [
                {
                    "shipment_id": shipment_id,
                    "job_id": job.job_id,
                    "plan_hash": job.plan_hash,
                    "owner": job.owner,
                    "labels_json": json.dumps(job.labels),
                    "recipients_json": json.dumps(recipients),
                    "actor": draft.actor,
                    "use_json": json.dumps(encode(draft.use)),
                    "verdict_json": json.dumps(encode(draft.verdict)),
                    "notices_sha256": notices_sha256,
                    "item_count": len(items),
                    "audit_seq": chained.seq,
                    "shipped_at": now,
                }
            ],
        )
        self._write_items(shipment_id, job.job_id, items)
        self._refuse_removed(shipment_id)
        self._write_licences(shipment_id, draft)
        self._write_obligations(shipment_id, draft)
        shipment_evidence.write_evidence(
            self._connection, shipment_id, draft, (item.stack_id for item in items), now
        )
        return ShipmentRecord(
            shipment_id=shipment_id,
            job_id=job.job_id,
            plan_hash=job.plan_hash,
            owner=job.owner,
            labels=job.labels,
            recipients=recipients,
            actor=draft.actor,
            use=draft.use,
            verdict=draft.verdict,
            notices_sha256=notices_sha256,
            items=items,
            licences=tuple(sorted(draft.licences, key=lambda used: (used.stack_id, used.repo, used.licence))),
            obligations=draft.met,
            papers=tuple(sorted(draft.papers, key=lambda paper: paper.name)),
            audit_seq=chained.seq,
            shipped_at=now,
        )

    def _write_notices(self, sha256: str, body: str) -> None:
        statement = insert_unknown(self._connection, tables.notices)
        write_many(self._connection, statement, [{"sha256": sha256, "body": body}])

    def _write_items(self, shipment_id: str, job_id: str, items: tuple[ShipmentItem, ...]) -> None:
        rows = [
            {
                "shipment_id": shipment_id,
                "position": item.position,
                "job_id": job_id,
                "ordinal": item.ordinal,
                "shot": item.shot,
                "shot_key": item.shot_key,
                "stack_id": item.stack_id,
                "artefact_sha256": item.artefact_sha256,
                "shipped_sha256": item.shipped_sha256,
                "media_type": item.media_type,
                "recipient": item.recipient,
            }
            for item in items
        ]
        insert_many(self._connection, tables.shipment_items, rows)

    def _refuse_removed(self, shipment_id: str) -> None:
        """What was shipped is never removed: so nothing ships that was removed since it was looked at."""
        removed = self._connection.execute(REMOVED_ITEM, {"shipment_id": shipment_id}).scalar_one_or_none()
        if removed is not None:
            raise WrongMoment(
                f"The time of shot {removed} was over, and its bytes were removed meanwhile.",
                "Render it again.",
            )

    def _write_licences(self, shipment_id: str, draft: ShipmentDraft) -> None:
        rows = [
            {
                "shipment_id": shipment_id,
                "stack_id": used.stack_id,
                "pin_id": used.pin_id,
                "licence": used.licence,
                "repo": used.repo,
                "revision": used.revision,
                "text_sha256": used.text_sha256,
            }
            for used in draft.licences
        ]
        add_rows(self._connection, tables.shipment_licences, rows)

    def _write_obligations(self, shipment_id: str, draft: ShipmentDraft) -> None:
        rows = [
            {
                "shipment_id": shipment_id,
                "position": position,
                "obligation": met.obligation.id,
                "component": met.obligation.component,
                "licence": met.obligation.licence,
                "trigger": met.obligation.when,
                "wording": met.obligation.text,
                "discharged_by": met.discharged_by,
            }
            for position, met in enumerate(draft.met)
        ]
        add_rows(self._connection, tables.shipment_obligations, rows)

    def shipment(self, shipment_id: str) -> ShipmentRecord:
        """A committed shipment with everything under it; else UnknownName."""
        query = select(tables.shipments).where(tables.shipments.c.shipment_id == shipment_id)
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            raise UnknownName(f"There is no shipment {shipment_id!r}.", "See: rightstep audit report.")
        return self._record(row)

    def shipments_of(self, job_id: str) -> tuple[ShipmentRecord, ...]:
        """Shipments of a job, oldest first."""
        query = (
            select(tables.shipments)
            .where(tables.shipments.c.job_id == job_id)
            .order_by(tables.shipments.c.shipped_at, tables.shipments.c.shipment_id)
        )
        return tuple(self._record(row) for row in self._connection.execute(query).mappings().all())

    def latest(self, limit: int = 100) -> tuple[ShipmentRecord, ...]:
        """Shipments of every job, newest first."""
        query = (
            select(tables.shipments)
            .order_by(tables.shipments.c.shipped_at.desc(), tables.shipments.c.shipment_id)
            .limit(limit)
        )
        return tuple(self._record(row) for row in self._connection.execute(query).mappings().all())

    def all(self) -> tuple[ShipmentRecord, ...]:
        """Every shipment in the order of the audit log."""
        query = select(tables.shipments).order_by(tables.shipments.c.audit_seq)
        return tuple(self._record(row) for row in self._connection.execute(query).mappings().all())

    def _record(self, row: Any) -> ShipmentRecord:
        shipment_id = row["shipment_id"]
        return ShipmentRecord(
            shipment_id=shipment_id,
            job_id=row["job_id"],
            plan_hash=row["plan_hash"],
            owner=row["owner"],
            labels=tuple((key, value) for key, value in json.loads(row["labels_json"])),
            recipients=tuple(json.loads(row["recipients_json"])),
            actor=row["actor"],
            use=decode(IntendedUse, json.loads(row["use_json"])),
            verdict=decode(Verdict, json.loads(row["verdict_json"])),
            notices_sha256=row["notices_sha256"],
            items=self._items_of(shipment_id),
            licences=self._licences_of(shipment_id),
            obligations=self._obligations_of(shipment_id),
            papers=shipment_evidence.papers_of(self._connection, shipment_id),
            audit_seq=row["audit_seq"],
            shipped_at=row["shipped_at"],
        )

    def _items_of(self, shipment_id: str) -> tuple[ShipmentItem, ...]:
        items = tables.shipment_items
        query = select(items).where(items.c.shipment_id == shipment_id).order_by(items.c.position)
        return tuple(
            ShipmentItem(
                position=row["position"],
                shot=row["shot"],
                ordinal=row["ordinal"],
                shot_key=row["shot_key"],
                stack_id=row["stack_id"],
                artefact_sha256=row["artefact_sha256"],
                shipped_sha256=row["shipped_sha256"],
                media_type=row["media_type"],
                recipient=row["recipient"],
            )
            for row in self._connection.execute(query).mappings()
        )

    def _licences_of(self, shipment_id: str) -> tuple[ShippedLicence, ...]:
        used = tables.shipment_licences
        query = (
            select(used)
            .where(used.c.shipment_id == shipment_id)
            .order_by(used.c.stack_id, used.c.repo, used.c.licence)
        )
        return tuple(
            ShippedLicence(
                stack_id=row["stack_id"],
                pin_id=row["pin_id"],
                repo=row["repo"],
                revision=row["revision"],
                licence=row["licence"],
                text_sha256=row["text_sha256"],
            )
            for row in self._connection.execute(query).mappings()
        )

    def _obligations_of(self, shipment_id: str) -> tuple[MetObligation, ...]:
        owed = tables.shipment_obligations
        query = select(owed).where(owed.c.shipment_id == shipment_id).order_by(owed.c.position)
        return tuple(
            MetObligation(
                obligation=Obligation(
                    id=row["obligation"],
                    text=row["wording"],
                    when=row["trigger"],
                    component=row["component"],
                    licence=row["licence"],
                ),
                discharged_by=row["discharged_by"],
            )
            for row in self._connection.execute(query).mappings()
        )

    def notices(self, sha256: str) -> str:
        """The text of a notices file that was shipped; else UnknownName."""
        query = select(tables.notices.c.body).where(tables.notices.c.sha256 == sha256)
        body = self._connection.execute(query).scalar_one_or_none()
        if body is None:
            raise UnknownName(f"No notices file {sha256[:12]} was shipped.", "See: rightstep audit report.")
        return body

    def affected(self, needle: str, *, limit: int = recall.PAGE) -> Recall:
        """Shipped files that used a file, text, pin, stack, repository, licence or clause, or are it."""
        return recall.affected(self._connection, needle, limit)

    def known(self, shipment_ids: Sequence[str]) -> frozenset[str]:
        """Which of these shipments were committed."""
        column = tables.shipments.c.shipment_id
        return frozenset(self._connection.execute(select(column).where(column.in_(shipment_ids))).scalars())

    def discharges_for(self, job_id: str) -> tuple[RecordedDischarge, ...]:
        """Evidence that was recorded for a job, and for the whole house; newest last."""
        return shipment_evidence.discharges_for(self._connection, job_id)

    def context(self, shipment_id: str) -> ShipmentContext:
        """What the licence rules looked at when this was shipped; UnknownName where that was not kept."""
        return shipment_evidence.context_of(self._connection, shipment_id)

    def evidence(self, sha256: str) -> bytes:
        """A kept file by its digest: a term file, a licence text, the evidence of a discharge."""
        return kept_file(self._connection, sha256)


def fresh_shipment_id(now: datetime) -> str:
    """A name that no other shipment has, with the day in front for people."""
    return f"ship-{now:%Y%m%d}-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class _MadeShot:
    """A made shot as the ledger has it."""

    ordinal: int
    shot_key: str
    stack_id: str
    sha256: str
    media_type: str
    sound_sha256: str | None


_OF_THE_ITEM = tables.artefacts.c.sha256 == tables.shipment_items.c.artefact_sha256
REMOVED_ITEM = (
    select(tables.shipment_items.c.shot)
    .where(
        tables.shipment_items.c.shipment_id == bindparam("shipment_id"),
        exists().where(_OF_THE_ITEM, tables.artefacts.c.removed_at.is_not(None)),
        ~exists().where(_OF_THE_ITEM, tables.artefacts.c.removed_at.is_(None)),
    )
    .limit(1)
)
MADE_SHOTS = (
    select(
        tables.shots.c.name,
        tables.shots.c.ordinal,
        tables.shots.c.shot_key,
        tables.batches.c.stack_id,
        tables.artefacts.c.sha256,
        tables.artefacts.c.media_type,
        tables.artefacts.c.sound_sha256,
    )
    .select_from(tables.takes)
    .join(
        tables.shots,
        and_(
            tables.shots.c.job_id == tables.takes.c.job_id, tables.shots.c.ordinal == tables.takes.c.ordinal
        ),
    )
    .join(tables.batches, ledger_reading.BATCH_OF_A_TAKE)
    .join(
        tables.artefacts,
        and_(
            tables.artefacts.c.shot_key == tables.shots.c.shot_key,
            tables.artefacts.c.sha256 == tables.takes.c.artefact_sha256,
        ),
    )
    .where(
        tables.takes.c.job_id == bindparam("job_id"),
        tables.takes.c.state.in_([TakeState.DONE.value, TakeState.REUSED.value]),
    )
)


def _made_shots(connection: Connection, job_id: str) -> dict[str, _MadeShot]:
    return {
        name: _MadeShot(ordinal, shot_key, stack_id, sha256, media_type, sound_sha256)
        for name, ordinal, shot_key, stack_id, sha256, media_type, sound_sha256 in connection.execute(
            MADE_SHOTS, {"job_id": job_id}
        )
    }


def _items(draft: ShipmentDraft, made: dict[str, _MadeShot]) -> tuple[ShipmentItem, ...]:
    """Every file of the draft with what the ledger knows of it."""
    if not draft.files:
        raise LedgerFault("A shipment needs at least one file.", "Render the job first.")
    items: list[ShipmentItem] = []
    for position, file in enumerate(draft.files):
        shot = made.get(file.shot)
        if shot is None or file.artefact_sha256 not in {shot.sha256, shot.sound_sha256}:
            raise LedgerFault(
                f"{file.shot}: {file.artefact_sha256[:12]} is not its finished picture.",
                "Ship what the ledger lists: rightstep job show.",
            )
        item = ShipmentItem(
            position=position,
            shot=file.shot,
            ordinal=shot.ordinal,
            shot_key=shot.shot_key,
            stack_id=shot.stack_id,
            artefact_sha256=file.artefact_sha256,
            shipped_sha256=file.shipped_sha256,
            media_type=file.media_type or shot.media_type,
            recipient=file.recipient,
        )
        items.append(item)
    return tuple(items)


def _payload(
    shipment_id: str,
    job: JobRecord,
    draft: ShipmentDraft,
    items: tuple[ShipmentItem, ...],
    notices_sha256: str,
) -> str:
    """What the chain says of a shipment; names of recipients stay out of it, so that they can be erased."""
    files = [[item.shot, item.stack_id, item.artefact_sha256, item.shipped_sha256] for item in items]
    return canonical_json(
        {
            "shipment_id": shipment_id,
            "job_id": job.job_id,
            "plan_hash": job.plan_hash,
            "act": draft.use.act,
            "context": draft.use.context,
            "organisation": draft.use.organisation,
            "ruling": draft.verdict.ruling,
            "items": len(items),
            "items_sha256": digest("shipment-items", files),
            "notices_sha256": notices_sha256,
            "licences": sorted(
                [used.repo, used.revision, used.licence, used.text_sha256 or ""] for used in draft.licences
            ),
            "obligations": sorted({met.obligation.id for met in draft.met}),
            "discharges": sorted([met.obligation.id, met.discharged_by or ""] for met in draft.met),
            "approvals": sorted(draft.approvals),
            "papers": sorted([paper.name, paper.sha256] for paper in draft.papers),
        }
    )
