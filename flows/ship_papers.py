"""The papers of a shipment: notices, bill of materials, manifest and signed statement, from the goods."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.bootstrap import House
from flows.shipping import Goods
from flows.staging import write_durably
from policy.approvals import Approval, ApprovalKind, Grant
from policy.gates import ShipEvidence
from policy.stacks import AdapterPin, FilePin, ModelPin
from policy.verdicts import Obligation, Verdict
from policy.wording import number
from registry.evidence.bom import BomInput, BomLicence, BomModel, make_bom, validate_bom
from registry.evidence.dsse import seal
from registry.evidence.intoto import PAYLOAD_TYPE
from registry.evidence.keys import SigningKey
from registry.evidence.notices import LicenceCopy, NoticedPart, make_notices
from registry.evidence.papers import (
    BOM,
    MANIFEST,
    NOTICES,
    STATEMENT,
    PaperApproval,
    ShipmentFacts,
    make_manifest,
    make_shipment_statement,
)
from registry.model_registry import PinRecord
from registry.shipment_records import ShippedLicence, ShippedPaper, TermsOfTheDay
from registry.sources import ModelSource

MOST_TEXTS = 256
PINNED_TEXTS: dict[str, str] = {}  # NOTICE files that were read and found to be the pinned ones, by sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class Credits:
    """Who is credited in the notices, and whose text stands there in full."""

    parts: tuple[NoticedPart, ...]
    credited: frozenset[str]  # components
    copied: frozenset[str]  # licence ids


def credits_of(house: House, goods: Goods, licences: Sequence[ShippedLicence], credit: str = "") -> Credits:
    """The parts as the notices name them; ``credit`` is for those that bring no NOTICE of their own."""
    of_pin: dict[str, set[str]] = defaultdict(set)
    for used in licences:
        of_pin[used.pin_id].add(used.licence)
    changes = _changes(goods)
    pins = {pin.pin_id: pin for stack, _ in goods.stacks.values() for pin in stack.pins}
    parts = tuple(
        _noticed(house, pin, goods.pinned.get(pin.repo), of_pin[pin.pin_id], changes[pin.pin_id], credit)
        for pin in sorted(pins.values(), key=lambda pin: (pin.repo, pin.revision))
    )
    copied = {licence for part in parts for licence in part.licences}
    return Credits(
        parts=parts,
        credited=frozenset(part.repo for part in parts if part.own_notice or part.attribution),
        copied=frozenset(copied),
    )


def _noticed(
    house: House, pin: ModelPin, record: PinRecord | None, licences: set[str], changes: set[str], credit: str
) -> NoticedPart:
    own = "" if record is None else _own_notice(house, record)
    return NoticedPart(
        repo=pin.repo,
        revision=pin.revision,
        role=pin.role.value,
        licences=tuple(sorted(licences & house.catalogue.terms.keys())),
        attribution="" if own else credit,
        changes="; ".join(sorted(changes)),
        own_notice=own,
    )


def _changes(goods: Goods) -> dict[str, set[str]]:
    """What was done to each work, as licences ask to be told: no file is changed, weights are combined."""
    told: dict[str, set[str]] = defaultdict(set)
    for stack, decision in goods.stacks.values():
        how = "merged into" if decision.offer.preset.fuse else "applied to"
        for pin in stack.adapters:
            told[pin.pin_id].add(f"files unchanged; {how} {stack.base.repo} in memory{_scaled(pin)}")
        added = ", ".join(f"{pin.repo}{_scaled(pin)}" for pin in stack.adapters)
        if added:
            told[stack.base.pin_id].add(f"files unchanged; in memory combined with {added}")
        else:
            told[stack.base.pin_id].add("files unchanged")
    return told


def _scaled(pin: AdapterPin) -> str:
    return f" at scale {number(pin.scale)}"


def _own_notice(house: House, record: PinRecord) -> str:
    """The NOTICE files of a repository, read from its pinned folder."""
    files = [file for file in record.pin.files if file.path.upper().startswith("NOTICE")]
    if not files:
        return ""
    source = house.source(record.source)
    return "\n\n".join(text for file in files if (text := _pinned_text(source, record.pin, file)))


def _pinned_text(source: ModelSource, pin: ModelPin, file: FilePin) -> str:
    """The words of a file; none where it is not there, or is not the pinned one."""
    known = PINNED_TEXTS.get(file.sha256)
    if known is not None:  # a text goes by its digest: the pinned words are these, whatever lies there now
        return known
    try:
        body = (source.locate(pin.repo, pin.revision) / file.path).read_bytes()
    except OSError:
        return ""
    if hashlib.sha256(body).hexdigest() != file.sha256:
        return ""
    text = body.decode("utf-8", errors="replace").strip()
    if len(PINNED_TEXTS) < MOST_TEXTS:
        PINNED_TEXTS[file.sha256] = text
    return text


def notices_of(house: House, goods: Goods, named: Credits, owed: Iterable[Obligation]) -> str:
    """The notices file: attributions, changes, obligations and every licence text in full."""
    copies = [
        LicenceCopy(
            licence=licence,
            sha256=house.catalogue.terms_of(licence).source.text_sha256,
            text=house.catalogue.text_of(licence).decode("utf-8", errors="replace"),
        )
        for licence in sorted(named.copied)
    ]
    return make_notices(
        title=f"Notices for {goods.job.name}", parts=named.parts, obligations=owed, copies=copies
    )


def terms_of_the_day(house: House, licences: Iterable[ShippedLicence]) -> tuple[TermsOfTheDay, ...]:
    """The term file and the text of every licence, as bytes to keep."""
    known = sorted({used.licence for used in licences} & house.catalogue.terms.keys())
    return tuple(
        TermsOfTheDay(
            licence=licence,
            terms=house.catalogue.term_file_of(licence),
            text=house.catalogue.text_of(licence),
        )
        for licence in known
    )


def rests_on(house: House, verdict: Verdict, owed: Iterable[Obligation]) -> tuple[tuple[str, str], ...]:
    """Every (licence, clause) that the verdict or a duty rests on: a changed clause finds the shipment."""
    reasons = {(reason.licence, reason.clause) for reason in verdict.reasons if reason.licence}
    duties = {
        (duty.licence, term.clause)
        for duty in owed
        if duty.licence in house.catalogue.terms
        for term in house.catalogue.terms[duty.licence].duties
        if term.id == duty.id
    }
    return tuple(
        sorted(
            {
                (licence, clause)
                for licence, clauses in reasons | duties
                for clause in _clauses(clauses)
                if clause
            }
        )
    )


def _clauses(written: str) -> set[str]:
    """What may be asked for: "4(b); 2, 3" as a whole, and each clause in it."""
    parts = written.split(";")
    return {one.strip() for one in (written, *parts, *(piece for part in parts for piece in part.split(",")))}


def grants_used(grants: Iterable[Grant], evidence: ShipEvidence) -> tuple[Grant, ...]:
    """The paid licences that a verdict says it rests on."""
    applied = {
        (stack.stack_id, reason.component)
        for stack in evidence.stacks
        for reason in stack.verdict.reasons
        if reason.code == "grant_applies"
    }
    return tuple(
        grant
        for grant in grants
        if any(
            stack_id == grant.stack_id and any(_lies_in(place, repo) for repo in grant.paid.repos)
            for stack_id, place in applied
        )
    )


def _lies_in(place: str, repo: str) -> bool:
    """A component is named by its repository, or by a file in it."""
    return place == repo or place.startswith(f"{repo}/")


def on_paper(one: Approval | Grant) -> PaperApproval:
    """An approval, waiver or grant as the papers of a shipment name it."""
    return PaperApproval(
        approval_id=one.approval_id,
        kind=(ApprovalKind.GRANT if isinstance(one, Grant) else one.kind).value,
        stack_id=one.stack_id,
        requested_by=one.requester.name,
        approved_by=one.approver.name,
        key_id=one.approver.key_id,
        reason=one.reason,
        evidence=one.evidence,
        valid_until=one.valid_until,
    )


def write_papers(
    house: House, goods: Goods, facts: ShipmentFacts, notices: str, key: SigningKey, folder: Path
) -> tuple[ShippedPaper, ...]:
    """Write every paper durably; the statement comes last and signs the others by their digests."""
    bom = make_bom(
        shipment_id=facts.shipment_id,
        title=facts.title,
        now=facts.at,
        version=facts.version,
        models=_bom_models(house, goods, facts.licences),
        stacks=facts.stacks,
        inputs=[
            BomInput(path=one.path, sha256=one.sha256, role=one.role, rights=one.rights)
            for shot in goods.shots
            for one in shot.inputs
        ],
    )
    validate_bom(bom)
    papers = [_write(folder, NOTICES, notices.encode()), _write(folder, BOM, bom)]
    papers.append(_write(folder, MANIFEST, make_manifest(facts, _named(papers))))
    statement = make_shipment_statement(facts, _named(papers))
    papers.append(_write(folder, STATEMENT, seal(statement, PAYLOAD_TYPE, key)))
    return tuple(papers)


def _bom_models(house: House, goods: Goods, licences: Sequence[ShippedLicence]) -> list[BomModel]:
    pins = {pin.pin_id: pin for stack, _ in goods.stacks.values() for pin in stack.pins}
    return [
        BomModel(
            pin=pin,
            licences=tuple(
                _bom_licence(house, licence)
                for licence in sorted({used.licence for used in licences if used.pin_id == pin_id})
                if licence in house.catalogue.terms
            ),
            parents=tuple(
                sorted({edge.to for edge in goods.components[pin.repo].edges})
                if pin.repo in goods.components
                else ()
            ),
        )
        for pin_id, pin in pins.items()
    ]


def _bom_licence(house: House, licence: str) -> BomLicence:
    terms = house.catalogue.terms[licence]
    return BomLicence(
        id=terms.id,
        name=terms.name,
        spdx=terms.spdx or None,
        url=terms.source.url,
        text_sha256=terms.source.text_sha256,
    )


def _named(papers: Iterable[ShippedPaper]) -> Mapping[str, str]:
    return {paper.name: paper.sha256 for paper in papers}


def _write(folder: Path, name: str, body: bytes) -> ShippedPaper:
    write_durably(folder / name, body)
    return ShippedPaper(name=name, sha256=hashlib.sha256(body).hexdigest(), size=len(body))
