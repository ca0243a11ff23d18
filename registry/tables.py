"""The schema as typed tables without behaviour: one for SQLite and PostgreSQL.

Columns named ``*_json`` hold JSON text as it was written, never a type that a database would
reorder. Times are ``registry.instants`` text. The lease of a batch stands on the
batch and nowhere else: a take is *leased* when it is queued and its batch is leased.
"""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Named,
    Table,
    Text,
    TypedColumns,
    and_,
    text,
)

from policy.tasks import TakeState
from registry.instants import Instant

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

UNFINISHED_JOB = text("state IN ('queued', 'running', 'held', 'paused')")
LEASED_BATCH = text("state = 'leased'")
HEARD = text("sound_sha256 IS NOT NULL")
STANDING_TAKE = text("state <> 'failed'")
BEGUN_TURN = text("began_at IS NOT NULL")


# What we know of models: exact bytes, what is said about them, what was concluded.


class PinColumns(TypedColumns):
    pin_id: Named[str] = Column(primary_key=True)
    repo: Named[str]
    revision: Named[str]  # 40 hex
    role: Named[str]
    source: Named[str]  # the source it was read from
    pinned_by: Named[str]
    pinned_at: Named[datetime] = Column(Instant)


class PinFileColumns(TypedColumns):
    pin_id: Named[str] = Column(ForeignKey("pins.pin_id"), primary_key=True)
    path: Named[str] = Column(primary_key=True)
    sha256: Named[str]
    size: Named[int] = Column(BigInteger)


class LicenceTextColumns(TypedColumns):
    sha256: Named[str] = Column(primary_key=True)  # of the bytes as read
    normalised_sha256: Named[str]  # what identifies the licence
    body: Named[bytes]
    first_read_at: Named[datetime] = Column(Instant)


class LicenceClaimColumns(TypedColumns):
    claim_id: Named[str] = Column(primary_key=True)  # digest of what is claimed, by whom
    pin_id: Named[str] = Column(ForeignKey("pins.pin_id"))
    path: Named[str]  # "" speaks of the whole repository
    kind: Named[str]  # hub_tag, license_name, license_link, licence_file, base_model, ...
    value: Named[str] = Column(Text)
    text_sha256: Named[str | None] = Column(ForeignKey("licence_texts.sha256"))
    source: Named[str]
    read_by: Named[str]
    read_at: Named[datetime] = Column(Instant)


class LicenceConclusionColumns(TypedColumns):
    conclusion_id: Named[str] = Column(primary_key=True)
    pin_id: Named[str] = Column(ForeignKey("pins.pin_id"))
    path: Named[str]
    licences_json: Named[str] = Column(Text)  # licence ids; several mean all of them
    reason: Named[str] = Column(Text)
    evidence_json: Named[str] = Column(Text)  # [[name, sha256], ...] of kept files
    concluded_by: Named[str]
    concluded_at: Named[datetime] = Column(Instant)
    valid_until: Named[date | None]
    key_id: Named[str | None]  # None: claimed, not signed
    signature: Named[str | None]


pins = Table("pins", metadata, PinColumns, Index(None, "repo", "revision"))
pin_files = Table("pin_files", metadata, PinFileColumns, Index(None, "sha256"))
licence_texts = Table("licence_texts", metadata, LicenceTextColumns, Index(None, "normalised_sha256"))
licence_claims = Table("licence_claims", metadata, LicenceClaimColumns, Index(None, "pin_id"))
licence_conclusions = Table("licence_conclusions", metadata, LicenceConclusionColumns, Index(None, "pin_id"))


# Stacks that jobs use, taken apart so that a recall finds them by repository, pin or file.


class StackColumns(TypedColumns):
    stack_id: Named[str] = Column(primary_key=True)
    name: Named[str]
    pipeline: Named[str]
    dtype: Named[str]


class StackPartColumns(TypedColumns):
    stack_id: Named[str] = Column(ForeignKey("stacks.stack_id"), primary_key=True)
    position: Named[int] = Column(primary_key=True)
    pin_id: Named[str]
    repo: Named[str]
    revision: Named[str]
    role: Named[str]
    scale: Named[str | None]  # canonical decimal; None for the base


class StackFileColumns(TypedColumns):
    stack_id: Named[str] = Column(ForeignKey("stacks.stack_id"), primary_key=True)
    position: Named[int] = Column(primary_key=True)
    path: Named[str] = Column(primary_key=True)
    sha256: Named[str]


stacks = Table("stacks", metadata, StackColumns)
stack_parts = Table("stack_parts", metadata, StackPartColumns, Index(None, "pin_id"), Index(None, "repo"))
stack_files = Table("stack_files", metadata, StackFileColumns, Index(None, "sha256"))


# The ledger: jobs > shots > takes, and the batches that takes are rendered in.


class JobColumns(TypedColumns):
    job_id: Named[str] = Column(primary_key=True)
    job_key: Named[str]  # idempotency key, unique among unfinished jobs
    name: Named[str]
    state: Named[str]
    detail: Named[str] = Column(Text)  # why it is held, paused, failed or cancelled
    tier: Named[str]
    deadline: Named[datetime | None] = Column(Instant)
    owner: Named[str]
    labels_json: Named[str] = Column(Text)
    recipients_json: Named[str] = Column(Text)
    actor: Named[str]
    act: Named[str]  # the act of the intended use
    plan_hash: Named[str]
    policy_version: Named[str]
    header_json: Named[str] = Column(Text)  # the plan without its shots and batches
    shot_count: Named[int]
    max_failed_shots: Named[int | None]
    priority: Named[int] = Column(server_default="0")  # said by a person: its place among jobs of its tier
    gate: Named[int | None]  # rank from which on nothing is handed out before a person has looked
    budget_seconds: Named[float | None]  # of workers
    budget_end: Named[str] = Column(server_default="hold")  # what becomes of the job when it is spent
    submitted_at: Named[datetime] = Column(Instant)
    started_at: Named[datetime | None] = Column(Instant)
    ended_at: Named[datetime | None] = Column(Instant)


class BatchColumns(TypedColumns):
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"), primary_key=True)
    number: Named[int] = Column(primary_key=True)
    decision: Named[int]  # index into the decisions of the plan
    stack_id: Named[str] = Column(ForeignKey("stacks.stack_id"))
    rank: Named[int]  # order of rendering: priority first, then the plan's order
    width: Named[int]
    height: Named[int]
    frames: Named[int]
    pictures: Named[int]
    cached_by: Named[str] = Column(server_default="")  # preset whose cache it runs under; "" for none
    state: Named[str]
    runs: Named[int]  # how often it was leased
    holder: Named[str | None]
    lease: Named[str | None]  # token of the newest lease; a stale one never settles
    lease_expires_at: Named[datetime | None] = Column(Instant)


class ShotColumns(TypedColumns):
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"), primary_key=True)
    ordinal: Named[int] = Column(primary_key=True)  # place in the plan, from 0
    name: Named[str]
    shot_key: Named[str]
    decision: Named[int]
    batch: Named[int]
    position: Named[int]  # place in its batch
    prompt: Named[str] = Column(Text)
    negative: Named[str] = Column(Text)
    seed: Named[str]  # decimal: seeds go up to 2**64 - 1
    width: Named[int]
    height: Named[int]
    frames: Named[int]
    priority: Named[int]
    place: Named[str]  # where in the manifest it was asked for
    asked_json: Named[str | None] = Column(
        Text
    )  # steps, guidance, method, weight, fps, where the manifest named them
    inputs_json: Named[str | None] = Column(Text)


class TakeColumns(TypedColumns):
    job_id: Named[str] = Column(primary_key=True)
    ordinal: Named[int] = Column(primary_key=True)
    attempt: Named[int] = Column(primary_key=True)  # from 1
    batch: Named[int]
    state: Named[str]
    run: Named[int | None]  # the run of its batch that settled it
    worker: Named[str | None]
    artefact_sha256: Named[str | None]
    fault: Named[str | None]
    detail: Named[str] = Column(Text)
    seconds: Named[float | None]
    settled_at: Named[datetime | None] = Column(Instant)


class AttestationColumns(TypedColumns):
    attestation_id: Named[str] = Column(primary_key=True)  # digest of the rest
    stack_id: Named[str]
    worker: Named[str]
    device: Named[str]
    loaded_json: Named[str] = Column(Text)  # [[repo/path, sha256], ...] as hashed by the worker at load
    timesteps_json: Named[str] = Column(Text)
    versions_json: Named[str] = Column(Text)


class BatchRunColumns(TypedColumns):
    job_id: Named[str] = Column(primary_key=True)
    number: Named[int] = Column(primary_key=True)
    lease: Named[str] = Column(primary_key=True)
    run: Named[int]
    holder: Named[str]
    worker: Named[str]
    device: Named[str]
    attestation_id: Named[str] = Column(ForeignKey("attestations.attestation_id"))
    rows: Named[int]
    steps: Named[int]
    load_seconds: Named[float]
    denoise_seconds: Named[float]
    total_seconds: Named[float]
    is_late: Named[bool]  # its lease had passed to another: counted for nothing
    settled_at: Named[datetime] = Column(Instant)


class ArtefactColumns(TypedColumns):
    shot_key: Named[str] = Column(primary_key=True)
    sha256: Named[str] = Column(primary_key=True)  # a second digest for one shot is a second row
    size: Named[int] = Column(BigInteger)
    media_type: Named[str]
    provenance_sha256: Named[str | None]
    stack_id: Named[str]
    job_id: Named[str]  # with batch and run: the run that made it, and so what was loaded
    ordinal: Named[int]
    batch: Named[int]
    run: Named[int]
    saturation: Named[float | None]
    clipping: Named[float | None]
    contrast: Named[float | None]
    luminance: Named[float | None]
    motion: Named[float | None]  # of a clip
    sound_sha256: Named[str | None]  # what is heard with a clip
    loudness: Named[float | None]
    sound_clipping: Named[float | None]
    made_at: Named[datetime] = Column(Instant)
    removed_at: Named[datetime | None] = Column(
        Instant
    )  # None: nobody removed its bytes since they were made


class QualityHoldColumns(TypedColumns):
    job_id: Named[str] = Column(primary_key=True)
    ordinal: Named[int] = Column(primary_key=True)
    code: Named[str] = Column(primary_key=True)
    detail: Named[str] = Column(Text)
    held_at: Named[datetime] = Column(Instant)
    released_by: Named[str | None]
    released_at: Named[datetime | None] = Column(Instant)
    released_because: Named[str | None] = Column(Text)


class ReplanningColumns(TypedColumns):
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"), primary_key=True)
    number: Named[int] = Column(primary_key=True)  # from 1
    at: Named[datetime] = Column(Instant)
    left_seconds: Named[float]  # to the deadline
    p50: Named[float]  # seconds until the end, with the changes
    p95: Named[float]
    at_risk: Named[bool]
    changes_json: Named[str] = Column(Text)  # what changed, and why


class TurnColumns(TypedColumns):
    fleet: Named[str] = Column(
        primary_key=True
    )  # host and folder of Ray: the workers that one driver has at a time
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"), primary_key=True)
    holder: Named[str] = Column(primary_key=True)  # the driver
    picture_p50: Named[float]  # seconds a picture on the whole fleet, as planned
    picture_p95: Named[float]
    expires_at: Named[datetime] = Column(Instant)
    began_at: Named[datetime | None] = Column(Instant)  # None: it waits


jobs = Table(
    "jobs",
    metadata,
    JobColumns,
    Index(None, "submitted_at"),
    Index(
        "uq_jobs_unfinished_key",
        "job_key",
        unique=True,
        sqlite_where=UNFINISHED_JOB,
        postgresql_where=UNFINISHED_JOB,
    ),
)
batches = Table(
    "batches",
    metadata,
    BatchColumns,
    Index(None, "job_id", "state", "rank"),
    Index(None, "job_id", "state", "stack_id", "rank"),
    Index("ix_batches_leased", "lease_expires_at", sqlite_where=LEASED_BATCH, postgresql_where=LEASED_BATCH),
    sqlite_with_rowid=False,
)
shots = Table(
    "shots",
    metadata,
    ShotColumns,
    Index(None, "job_id", "name", unique=True),
    Index(None, "job_id", "batch", "position", unique=True),
    Index(None, "shot_key"),
    sqlite_with_rowid=False,
)
takes = Table(
    "takes",
    metadata,
    TakeColumns,
    ForeignKeyConstraint(["job_id", "ordinal"], ["shots.job_id", "shots.ordinal"]),
    Index(None, "job_id", "state", "batch"),
    Index(
        "uq_takes_standing",
        "job_id",
        "ordinal",
        unique=True,
        sqlite_where=STANDING_TAKE,
        postgresql_where=STANDING_TAKE,
    ),
    sqlite_with_rowid=False,
)
# A shot beside the take that stands for it; those that failed before it do not.
STANDS_FOR_SHOT = and_(
    takes.c.job_id == shots.c.job_id, takes.c.ordinal == shots.c.ordinal, takes.c.state != TakeState.FAILED
)
attestations = Table("attestations", metadata, AttestationColumns)
batch_runs = Table(
    "batch_runs",
    metadata,
    BatchRunColumns,
    ForeignKeyConstraint(["job_id", "number"], ["batches.job_id", "batches.number"]),
    Index(None, "settled_at"),
)
artefacts = Table(
    "artefacts",
    metadata,
    ArtefactColumns,
    Index(None, "sha256"),
    Index(None, "sound_sha256", sqlite_where=HEARD, postgresql_where=HEARD),
    sqlite_with_rowid=False,
)
quality_holds = Table(
    "quality_holds",
    metadata,
    QualityHoldColumns,
    ForeignKeyConstraint(["job_id", "ordinal"], ["shots.job_id", "shots.ordinal"]),
)

replannings = Table("replannings", metadata, ReplanningColumns)
turns = Table(
    "turns",
    metadata,
    TurnColumns,
    Index("uq_turns_begun", "fleet", unique=True, sqlite_where=BEGUN_TURN, postgresql_where=BEGUN_TURN),
)


# What left the house, and the chain of what happened.


class NoticeColumns(TypedColumns):
    sha256: Named[str] = Column(primary_key=True)
    body: Named[str] = Column(Text)


class ShipmentColumns(TypedColumns):
    shipment_id: Named[str] = Column(primary_key=True)
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"))
    plan_hash: Named[str]
    owner: Named[str]
    labels_json: Named[str] = Column(Text)
    recipients_json: Named[str] = Column(Text)
    actor: Named[str]
    use_json: Named[str] = Column(Text)
    verdict_json: Named[str] = Column(Text)
    notices_sha256: Named[str] = Column(ForeignKey("notices.sha256"))
    item_count: Named[int]
    audit_seq: Named[int] = Column(BigInteger)
    shipped_at: Named[datetime] = Column(Instant)


class ShipmentItemColumns(TypedColumns):
    shipment_id: Named[str] = Column(ForeignKey("shipments.shipment_id"), primary_key=True)
    position: Named[int] = Column(primary_key=True)
    job_id: Named[str]
    ordinal: Named[int]
    shot: Named[str]
    shot_key: Named[str]
    stack_id: Named[str]
    artefact_sha256: Named[str]  # as the worker wrote it
    shipped_sha256: Named[str]  # as it left: signing changes bytes
    media_type: Named[str]
    recipient: Named[str]


class ShipmentLicenceColumns(TypedColumns):
    shipment_id: Named[str] = Column(ForeignKey("shipments.shipment_id"), primary_key=True)
    stack_id: Named[str] = Column(primary_key=True)
    pin_id: Named[str] = Column(primary_key=True)
    licence: Named[str] = Column(primary_key=True)
    repo: Named[str]
    revision: Named[str]
    text_sha256: Named[str | None]  # the licence text that stood on that day


class ShipmentObligationColumns(TypedColumns):
    shipment_id: Named[str] = Column(ForeignKey("shipments.shipment_id"), primary_key=True)
    position: Named[int] = Column(primary_key=True)
    obligation: Named[str]
    component: Named[str]
    licence: Named[str]
    trigger: Named[str]  # the act that triggers it
    wording: Named[str] = Column(Text)
    discharged_by: Named[str | None] = Column(Text)  # "notices:SHA256", an address, ...


class AuditEventColumns(TypedColumns):
    seq: Named[int] = Column(BigInteger, primary_key=True, autoincrement=False)
    ts: Named[str]
    actor: Named[str]
    tag: Named[str]  # source:subject:action
    subject: Named[str]
    payload: Named[str] = Column(Text)  # canonical JSON text, as hashed
    payload_hash: Named[str]
    prev_hash: Named[str]
    hash: Named[str] = Column(unique=True)


class AuditHeadColumns(TypedColumns):
    id: Named[int] = Column(primary_key=True, autoincrement=False)
    seq: Named[int] = Column(BigInteger)
    hash: Named[str]


notices = Table("notices", metadata, NoticeColumns)
shipments = Table("shipments", metadata, ShipmentColumns, Index(None, "job_id"))
shipment_items = Table(
    "shipment_items",
    metadata,
    ShipmentItemColumns,
    Index(None, "stack_id", "shipment_id"),
    Index(None, "artefact_sha256"),
    Index(None, "shipped_sha256"),
    sqlite_with_rowid=False,
)
shipment_licences = Table(
    "shipment_licences",
    metadata,
    ShipmentLicenceColumns,
    Index(None, "licence"),
    Index(None, "text_sha256"),
)
shipment_obligations = Table("shipment_obligations", metadata, ShipmentObligationColumns)
audit_events = Table("audit_events", metadata, AuditEventColumns, Index(None, "subject"))
audit_head = Table("audit_head", metadata, AuditHeadColumns, CheckConstraint("id = 1", name="single"))
