"""The papers of a shipment that name everything else: the manifest, and what the house signs. Pure.

The manifest lists every file with its digest, for people and programs. The signed statement
has the files as subjects and says from which pinned bytes they were made, under which
licence texts, for which use, on whose approval; it names the other papers by digest.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policy.approvals import Evidence
from policy.canonical import canonical_value
from policy.discharges import MetObligation
from policy.stacks import Stack
from policy.uses import IntendedUse
from policy.verdicts import Verdict
from registry.evidence.intoto import make_statement
from registry.shipment_records import ShippedLicence

PREDICATE_TYPE = "urn:rightstep:shipment:v1"
MANIFEST, STATEMENT, BOM, NOTICES = "manifest.json", "statement.dsse.json", "bom.cdx.json", "NOTICES.txt"
FILES = "files"  # folder of the shipped files


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperFile:
    """A shipped file as its papers name it."""

    name: str  # below FILES
    shot: str
    shot_key: str
    stack_id: str
    media_type: str
    size: int  # bytes, as it leaves
    artefact_sha256: str
    shipped_sha256: str
    has_credentials: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperApproval:
    """Who let something through that the terms alone do not, on what, and until when."""

    approval_id: str
    kind: str  # approval, waiver or grant
    stack_id: str
    requested_by: str
    approved_by: str
    key_id: str  # of the approver
    reason: str
    evidence: tuple[Evidence, ...]
    valid_until: datetime


@dataclass(frozen=True, kw_only=True)
class ShipmentFacts:
    """Everything that the papers tell of a shipment."""

    shipment_id: str
    job_id: str
    plan_hash: str
    title: str
    actor: str
    version: str  # of this product
    at: datetime  # when it was put together; the ledger has when it was committed
    use: IntendedUse
    verdict: Verdict
    stacks: tuple[Stack, ...]
    licences: tuple[ShippedLicence, ...]
    met: tuple[MetObligation, ...]
    files: tuple[PaperFile, ...]
    approvals: tuple[PaperApproval, ...] = ()
    notes: tuple[str, ...] = ()  # what a recipient should know: files without credentials


def make_manifest(facts: ShipmentFacts, papers: Mapping[str, str]) -> bytes:
    """The manifest as JSON; ``papers`` are digests by name. Prompts and recipients stay out of it."""
    document: dict[str, Any] = {
        "shipment_id": facts.shipment_id,
        "title": facts.title,
        "job_id": facts.job_id,
        "plan_hash": facts.plan_hash,
        "shipped_by": facts.actor,
        "prepared_at": facts.at,
        "made_by": f"Rightstep {facts.version}",
        "use": facts.use,
        "ruling": facts.verdict.ruling,
        "files": [{**canonical_value(file), "name": f"{FILES}/{file.name}"} for file in facts.files],
        "papers": [{"name": name, "sha256": sha256} for name, sha256 in sorted(papers.items())],
        "models": _models(facts),
        "licences": facts.licences,
        "obligations": facts.met,
        "approvals": facts.approvals,
        "notes": facts.notes,
    }
    return (json.dumps(canonical_value(document), indent=2, ensure_ascii=False) + "\n").encode()


def make_shipment_statement(facts: ShipmentFacts, papers: Mapping[str, str]) -> bytes:
    """The canonical bytes of the in-toto statement about the shipped files."""
    predicate = {
        "shipment_id": facts.shipment_id,
        "job_id": facts.job_id,
        "plan_hash": facts.plan_hash,
        "shipped_by": facts.actor,
        "prepared_at": facts.at,
        "use": facts.use,
        "verdict": {
            "ruling": facts.verdict.ruling,
            "reasons": facts.verdict.reasons,
            "obligations": facts.met,
        },
        "approvals": facts.approvals,
        "made_from": [
            {"name": name, "digest": {"sha256": artefact}}
            for name, artefact in sorted((f"{FILES}/{one.name}", one.artefact_sha256) for one in facts.files)
        ],
        "materials": [
            {
                "uri": f"pkg:huggingface/{pin.repo}@{pin.revision}#{file.path}",
                "digest": {"sha256": file.sha256},
                "pin_id": pin.pin_id,
                "role": pin.role,
            }
            for pin in {pin.pin_id: pin for stack in facts.stacks for pin in stack.pins}.values()
            for file in pin.files
        ],
        "stacks": [{"stack_id": stack.stack_id, "name": stack.name} for stack in facts.stacks],
        "licence_texts": facts.licences,
        "papers": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sorted(papers.items())],
    }
    subjects = [(f"{FILES}/{file.name}", file.shipped_sha256) for file in facts.files]
    return make_statement(subjects, PREDICATE_TYPE, predicate)


def _models(facts: ShipmentFacts) -> list[dict[str, Any]]:
    pins = {pin.pin_id: pin for stack in facts.stacks for pin in stack.pins}
    return [
        {"repo": pin.repo, "revision": pin.revision, "pin_id": pin.pin_id, "role": pin.role}
        for pin in sorted(pins.values(), key=lambda pin: (pin.repo, pin.revision))
    ]
