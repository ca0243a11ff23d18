"""Tables of the evidence of a shipment: papers, terms as they stood, discharged duties; and revocations.

They belong to the schema of ``registry.tables`` and stand apart for their length alone.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Named, Table, Text, TypedColumns

from registry.instants import Instant
from registry.tables import metadata


class ShipmentStackColumns(TypedColumns):
    """How much of a shipment was made with a stack: a recall counts here, not item by item."""

    stack_id: Named[str] = Column(primary_key=True)
    shipment_id: Named[str] = Column(ForeignKey("shipments.shipment_id"), primary_key=True)
    item_count: Named[int]


class ShipmentPaperColumns(TypedColumns):
    shipment_id: Named[str] = Column(ForeignKey("shipments.shipment_id"), primary_key=True)
    name: Named[str] = Column(primary_key=True)  # in the folder of the shipment
    sha256: Named[str]
    size: Named[int] = Column(BigInteger)


class KeptFileColumns(TypedColumns):
    """Small files by content: term files, licence texts, what a signature or a discharge rests on."""

    sha256: Named[str] = Column(primary_key=True)
    body: Named[bytes]


class ShipmentTermColumns(TypedColumns):
    """What was held to be the terms of a licence when it was shipped under."""

    shipment_id: Named[str] = Column(ForeignKey("shipments.shipment_id"), primary_key=True)
    licence: Named[str] = Column(primary_key=True)
    terms_sha256: Named[str] = Column(ForeignKey("kept_files.sha256"))  # of the term file
    text_sha256: Named[str] = Column(ForeignKey("kept_files.sha256"))  # of the text's bytes


class ShipmentClauseColumns(TypedColumns):
    shipment_id: Named[str] = Column(ForeignKey("shipments.shipment_id"), primary_key=True)
    licence: Named[str] = Column(primary_key=True)
    clause: Named[str] = Column(primary_key=True)


class ShipmentContextColumns(TypedColumns):
    """What the licence rules looked at, so that they can be asked again."""

    shipment_id: Named[str] = Column(ForeignKey("shipments.shipment_id"), primary_key=True)
    stacks_json: Named[str] = Column(Text)  # per stack: its licensed components, with claims and descent


class DischargeColumns(TypedColumns):
    discharge_id: Named[str] = Column(primary_key=True)
    duty: Named[str]  # id of an obligation, or of evidence that terms ask for
    job_id: Named[str]  # "" where it holds for the whole house, as a registration does
    shipment_id: Named[str] = Column(ForeignKey("shipments.shipment_id"))  # the first that it served
    evidence_name: Named[str]
    evidence_sha256: Named[str] = Column(ForeignKey("kept_files.sha256"))
    actor: Named[str]
    discharged_at: Named[datetime] = Column(Instant)


class RevocationColumns(TypedColumns):
    revocation_id: Named[str] = Column(primary_key=True)
    repo: Named[str]
    revision: Named[str]  # "" for every one
    reason: Named[str] = Column(Text)
    actor: Named[str]
    revoked_at: Named[datetime] = Column(Instant)


kept_files = Table("kept_files", metadata, KeptFileColumns)
shipment_stacks = Table("shipment_stacks", metadata, ShipmentStackColumns, sqlite_with_rowid=False)
shipment_papers = Table("shipment_papers", metadata, ShipmentPaperColumns, Index(None, "sha256"))
shipment_terms = Table("shipment_terms", metadata, ShipmentTermColumns)
shipment_clauses = Table(
    "shipment_clauses", metadata, ShipmentClauseColumns, Index(None, "clause", "licence")
)
shipment_contexts = Table("shipment_contexts", metadata, ShipmentContextColumns)
discharges = Table("discharges", metadata, DischargeColumns, Index(None, "job_id", "duty"))
revocations = Table("revocations", metadata, RevocationColumns, Index(None, "repo"))
