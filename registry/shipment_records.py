"""What left the house, as frozen values."""

from dataclasses import dataclass
from datetime import datetime

from policy.uses import IntendedUse
from policy.verdicts import Obligation, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedFile:
    """One file to one recipient; signing changes bytes, so there are two digests."""

    shot: str
    artefact_sha256: str  # as the worker wrote it
    shipped_sha256: str  # as it leaves
    recipient: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedLicence:
    """Under which licence text a part of a stack was used on that day."""

    stack_id: str
    pin_id: str
    repo: str
    revision: str
    licence: str
    text_sha256: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShipmentDraft:
    """A shipment that the gate let through, before it is committed."""

    job_id: str
    actor: str
    use: IntendedUse
    verdict: Verdict
    files: tuple[ShippedFile, ...]
    licences: tuple[ShippedLicence, ...]
    notices: str  # the text of the notices file
    discharges: tuple[tuple[str, str], ...] = ()  # (obligation id, what meets it); the notices meet the rest


@dataclass(frozen=True, kw_only=True, slots=True)
class ShipmentItem:
    """One shipped file with what it was made from."""

    position: int
    shot: str
    ordinal: int
    shot_key: str
    stack_id: str
    artefact_sha256: str
    shipped_sha256: str
    media_type: str
    recipient: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MetObligation:
    """An obligation of a shipment and what met it."""

    obligation: Obligation
    discharged_by: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShipmentRecord:
    """A committed shipment."""

    shipment_id: str
    job_id: str
    plan_hash: str
    owner: str
    labels: tuple[tuple[str, str], ...]
    recipients: tuple[str, ...]
    actor: str
    use: IntendedUse
    verdict: Verdict
    notices_sha256: str
    items: tuple[ShipmentItem, ...]
    licences: tuple[ShippedLicence, ...]
    obligations: tuple[MetObligation, ...]
    audit_seq: int
    shipped_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class AffectedFile:
    """A shipped file that a recall touches."""

    shipment_id: str
    job_id: str
    shot: str
    stack_id: str
    artefact_sha256: str
    shipped_sha256: str
    recipient: str
    shipped_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall:
    """Every shipped file that used something."""

    needle: str
    matched: tuple[
        str, ...
    ]  # what the needle is: "file", "repository", "stack", "pin", "licence", "text", "output"
    stacks: tuple[str, ...]
    files: tuple[AffectedFile, ...]
    is_cut: bool  # there are more files than were asked for

    @property
    def recipients(self) -> tuple[str, ...]:
        return tuple(sorted({file.recipient for file in self.files if file.recipient}))
