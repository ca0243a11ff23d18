"""Tables of what a hub said of a pinned repository, then and since.

They belong to the schema of ``registry.tables`` and stand apart for their length alone.
"""

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Index, Named, Table, Text, TypedColumns

from registry.instants import Instant
from registry.tables import metadata


class PinSnapshotColumns(TypedColumns):
    pin_id: Named[str] = Column(ForeignKey("pins.pin_id"), primary_key=True)
    endpoint: Named[str]
    resolved_repo: Named[str]  # what the hub called it: another name where it was renamed
    asked_revision: Named[str]
    gated: Named[str]  # "auto", "manual", or "" where it was open
    facts_json: Named[str] = Column(Text)  # licence triple, alarms, every file of the commit
    texts_json: Named[str] = Column(Text)  # [[path, sha256], ...] of the archived licences, notices and card
    taken_by: Named[str]  # whose token passed the gate
    taken_at: Named[datetime] = Column(Instant)


class DriftFindingColumns(TypedColumns):
    finding_id: Named[str] = Column(
        primary_key=True
    )  # digest of pin, kind, subject and what stands there now
    pin_id: Named[str] = Column(ForeignKey("pins.pin_id"))
    kind: Named[str]
    severity: Named[str]  # info, review, hold
    subject: Named[str]  # file or field it is about; "" for the repository
    pinned: Named[str] = Column(Text)
    upstream: Named[str] = Column(Text)
    detail: Named[str] = Column(Text)
    found_at: Named[datetime] = Column(Instant)
    concluded_by: Named[str | None]
    concluded_at: Named[datetime | None] = Column(Instant)
    concluded_because: Named[str | None] = Column(Text)
    key_id: Named[str | None]  # of whoever concluded it; None: claimed, not signed
    signature: Named[str | None]


pin_snapshots = Table("pin_snapshots", metadata, PinSnapshotColumns)
drift_findings = Table("drift_findings", metadata, DriftFindingColumns, Index(None, "pin_id"))
