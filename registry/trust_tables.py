"""Tables of who vouches for what: checkpoints, identities, approvals; and of what is kept of a job.

They belong to the schema of ``registry.tables`` and follow its rules.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Named, Table, Text, TypedColumns, text

from registry.instants import Instant
from registry.tables import metadata

CURRENT_KEY = text("revoked_at IS NULL")


class AuditCheckpointColumns(TypedColumns):
    size: Named[int] = Column(BigInteger, primary_key=True, autoincrement=False)
    key_id: Named[str] = Column(primary_key=True)
    root: Named[str]
    head: Named[str]
    at: Named[str]  # text, as it was signed
    signature: Named[str]
    peaks_json: Named[str] = Column(Text)  # whole subtrees: the next checkpoint goes on from them


class IdentityColumns(TypedColumns):
    key_id: Named[str] = Column(primary_key=True)
    name: Named[str]
    role: Named[str]
    public: Named[str]  # 64 hex digits
    valid_from: Named[datetime] = Column(Instant)
    valid_until: Named[datetime | None] = Column(Instant)
    made_by: Named[str]
    revoked_at: Named[datetime | None] = Column(Instant)
    revoked_by: Named[str | None]
    revoked_because: Named[str | None] = Column(Text)


class ApprovalRequestColumns(TypedColumns):
    request_id: Named[str] = Column(primary_key=True)
    kind: Named[str]  # approval, waiver or grant
    stack_id: Named[str]
    act: Named[str]
    answers_json: Named[str] = Column(Text)  # names of the reasons it is about
    paid_json: Named[str | None] = Column(Text)  # licensor, licence and repositories of a grant
    reason: Named[str] = Column(Text)
    requester: Named[str]
    requester_key_id: Named[str | None]  # None: claimed, not signed
    signature: Named[str | None]
    requested_at: Named[datetime] = Column(Instant)


class ApprovalColumns(TypedColumns):
    approval_id: Named[str] = Column(primary_key=True)
    request_id: Named[str] = Column(ForeignKey("approval_requests.request_id"))
    reason: Named[str] = Column(Text)
    evidence_json: Named[str] = Column(Text)  # [[name, sha256], ...] of kept files
    approver: Named[str]
    approver_key_id: Named[str]
    valid_from: Named[datetime] = Column(Instant)
    valid_until: Named[datetime] = Column(Instant)
    signature: Named[str]
    withdrawn_at: Named[datetime | None] = Column(Instant)
    withdrawn_by: Named[str | None]
    withdrawn_because: Named[str | None] = Column(Text)


class PromptKeepingColumns(TypedColumns):
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"), primary_key=True)
    salt: Named[str | None]  # 64 hex digits; None once the prompts are erased
    erased_at: Named[datetime | None] = Column(Instant)
    erased_by: Named[str | None]
    erased_because: Named[str | None] = Column(Text)


class LegalHoldColumns(TypedColumns):
    hold_id: Named[str] = Column(primary_key=True)
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"))
    reason: Named[str] = Column(Text)
    held_by: Named[str]
    held_at: Named[datetime] = Column(Instant)
    released_by: Named[str | None]
    released_at: Named[datetime | None] = Column(Instant)
    released_because: Named[str | None] = Column(Text)


class UnkeptArtefactColumns(TypedColumns):
    sha256: Named[str] = Column(primary_key=True)
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"), primary_key=True)  # after whose delivery it went
    actor: Named[str]
    because: Named[str]
    removed_at: Named[datetime] = Column(Instant)


audit_checkpoints = Table("audit_checkpoints", metadata, AuditCheckpointColumns)
identities = Table(
    "identities",
    metadata,
    IdentityColumns,
    Index(
        "uq_identities_current_name",
        "name",
        unique=True,
        sqlite_where=CURRENT_KEY,
        postgresql_where=CURRENT_KEY,
    ),
)
approval_requests = Table("approval_requests", metadata, ApprovalRequestColumns, Index(None, "stack_id"))
approvals = Table("approvals", metadata, ApprovalColumns, Index(None, "request_id"))
prompt_keeping = Table("prompt_keeping", metadata, PromptKeepingColumns)
unkept_artefacts = Table("unkept_artefacts", metadata, UnkeptArtefactColumns)
legal_holds = Table("legal_holds", metadata, LegalHoldColumns, Index(None, "job_id"))
