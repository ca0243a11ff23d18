"""What left the house, as frozen values."""

from dataclasses import dataclass
from datetime import datetime

from policy.discharges import MetObligation
from policy.uses import IntendedUse
from policy.verdicts import Verdict
from registry.live_records import LiveSession


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedFile:
    """One file to one recipient; signing changes bytes, so there are two digests."""

    shot: str
    artefact_sha256: str  # as the worker wrote it; of a copy, what it was made from
    shipped_sha256: str  # as it leaves
    media_type: str = ""  # "": that of the shot's artefact
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
class ShippedPaper:
    """A paper in the folder of a shipment: manifest, statement, bill of materials, notices."""

    name: str
    sha256: str
    size: int  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class TermsOfTheDay:
    """The terms of a licence as they were held on the day, and its text: both as bytes."""

    licence: str
    terms: bytes
    text: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class FreshDischarge:
    """Evidence for a duty, handed in with a shipment."""

    duty: str
    job_id: str  # "" where it holds for the whole house
    evidence_name: str
    evidence: bytes


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
    shipment_id: str = ""  # as its papers name it; "" for one that has none
    met: tuple[MetObligation, ...] = ()
    papers: tuple[ShippedPaper, ...] = ()
    terms: tuple[TermsOfTheDay, ...] = ()
    clauses: tuple[tuple[str, str], ...] = ()  # (licence, clause) that verdict and obligations rest on
    discharges: tuple[FreshDischarge, ...] = ()
    approvals: tuple[str, ...] = ()  # ids of the approvals, waivers and grants that it rests on
    stacks_json: str = ""  # what the licence rules looked at, by stack; "" where it was not kept


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
    papers: tuple[ShippedPaper, ...]  # files beside the shipped ones, under shipments/ID below the home
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
    media_type: str  # of a clip's files: which of them
    shipped_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall:
    """Every shipped file that used something: all of them counted, the newest of them listed."""

    needle: str
    matched: tuple[str, ...]  # what it is: file, repository, stack, pin, licence, text, clause, output, paper
    stacks: tuple[str, ...]
    jobs: tuple[str, ...]
    shipments: tuple[str, ...]  # newest first
    recipients: tuple[str, ...]  # of these shipments
    items: int  # how many shipped files it touches
    files: tuple[AffectedFile, ...]  # newest shipment first
    is_cut: bool  # there are more files than are listed
    live: tuple[LiveSession, ...] = ()  # sessions that delivered frames made with it, newest first


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptTerms:
    """A licence as a shipment went out under it."""

    licence: str
    terms_sha256: str
    text_sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ShipmentContext:
    """What the licence rules looked at when something was shipped."""

    stacks_json: str
    terms: tuple[TermsOfTheDay, ...]
