"""The second gate, on what was REALLY used, and the shipment behind it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flows.bootstrap import House
from flows.judging import judge_pictures
from flows.planning import complete_use, pin_records
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.gates import QualityHold, ShipEvidence, ShippedItem, StackEvidence, require, ship_gate
from policy.plan import Decision
from policy.stacks import AdapterPin, Stack
from policy.uses import IntendedUse
from policy.verdicts import Reason, Ruling, Verdict, from_reasons
from registry.components import PinnedClaims, licensed_components
from registry.evidence.notices import LicenceCopy, NoticedPart, make_notices
from registry.licences.claims import LicensedComponent
from registry.model_registry import PinRecord
from registry.records import Attestation, HeldShot, JobRecord, PlanHeader, ShotRecord
from registry.shipment_records import ShipmentDraft, ShipmentRecord, ShippedFile, ShippedLicence
from registry.unit_of_work import unit_of_work
from registry.verification import sha256_file


@dataclass(frozen=True, kw_only=True)
class Goods:
    """A job as it lies on the counter: what was planned, made, attested and held."""

    job: JobRecord
    header: PlanHeader
    shots: tuple[ShotRecord, ...]
    attested: tuple[Attestation, ...]
    holds: tuple[HeldShot, ...]
    use: IntendedUse  # as planned, on today's day
    pinned: Mapping[str, PinRecord]
    components: Mapping[str, LicensedComponent]

    @property
    def stacks(self) -> dict[str, tuple[Stack, Decision]]:
        """Every stack that a made shot used, with a decision that runs on it."""
        used = {self.header.decisions[shot.decision].offer.stack.stack_id for shot in self.shots}
        return {
            decision.offer.stack.stack_id: (decision.offer.stack, decision)
            for decision in self.header.decisions
            if decision.offer.stack.stack_id in used
        }


def ship_job(house: House, job_id: str, recipients: Sequence[str] = ()) -> ShipmentRecord:
    """Re-verify digests and licences on what was used, then ship in one transaction.

    Shipment, notices and audit event are written together. A refusal writes one audit event
    and is raised as Refused with every reason.
    """
    goods = gather(house, job_id)
    verdict = ship_gate(make_evidence(house, goods))
    if not verdict.is_permit:
        _record_refusal(house, goods, verdict)
    require(verdict)
    draft = ShipmentDraft(
        job_id=goods.job.job_id,
        actor=house.settings.actor,
        use=goods.use,
        verdict=verdict,
        files=_files(goods, recipients or goods.job.recipients),
        licences=_licences(goods),
        notices=notices_of(house, goods, verdict),
    )
    with unit_of_work(house.engine) as work:
        shipment = work.shipments.ship(draft, house.clock())
        work.commit()
    return shipment


def gather(house: House, job_id: str) -> Goods:
    """Everything that the ship gate looks at, read in one consistent view."""
    records = pin_records(house)
    with unit_of_work(house.engine, read_only=True) as work:
        job = work.ledger.job(job_id)
        header = work.ledger.header(job.job_id)
        shots = work.ledger.shots(job.job_id)
        attested = work.ledger.attestations(job.job_id)
        holds = work.ledger.holds(job.job_id)
    planned = header.manifest.use
    use = complete_use(
        house, IntendedUse(act=planned.act, territories=planned.territories, evidence=planned.evidence)
    )
    return Goods(
        job=job,
        header=header,
        shots=shots,
        attested=attested,
        holds=holds,
        use=use,
        pinned=records,
        components=licensed_components(
            [
                PinnedClaims(
                    pin=record.pin,
                    claims=record.claims,
                    conclusions=record.conclusions,
                )
                for record in records.values()
            ],
            house.catalogue.text_ids,
        ),
    )


def make_evidence(house: House, goods: Goods) -> ShipEvidence:
    """What the gate judges: attested digests beside pinned ones, artefacts hashed again just now."""
    return ShipEvidence(
        stacks=tuple(
            StackEvidence(
                stack_id=stack_id,
                name=stack.name,
                expected=_pinned_digests(stack),
                loaded=_loaded(stack_id, goods.attested),
                verdict=stack_verdict(house, goods, stack),
            )
            for stack_id, (stack, _) in goods.stacks.items()
        ),
        items=tuple(_items(house, goods)),
        undone=tuple(shot.name for shot in goods.shots if shot.artefact is None),
        holds=quality_holds(house, goods),
    )


def stack_verdict(house: House, goods: Goods, stack: Stack) -> Verdict:
    """Today's verdict on a whole stack for the use; a part that is pinned otherwise by now denies."""
    parts = []
    for pin in stack.pins:
        component = goods.components.get(pin.repo)
        known = goods.pinned.get(pin.repo)
        if component is None or known is None or known.pin.pin_id != pin.pin_id:
            return from_reasons(
                [
                    Reason(
                        code="unpinned_revision",
                        ruling=Ruling.DENY,
                        detail=f"{pin.repo} at {pin.revision[:12]} is not what is pinned today.",
                        component=pin.repo,
                    )
                ]
            )
        parts.append(component.at_path(pin.file if isinstance(pin, AdapterPin) else ""))
    return house.catalogue.verdicts.judge(parts, goods.use)


def quality_holds(house: House, goods: Goods) -> tuple[QualityHold, ...]:
    """Open holds by check, and what the output checks still find, waived or not."""
    waived = goods.header.manifest.waive_output_checks
    found = [
        QualityHold(
            stack=judgement.stack,
            check=judgement.sample.kind,
            shots=judgement.shots,
            detail="; ".join(judgement.sample.reasons),
            waived=True,
        )
        for judgement in (judge_pictures(house, goods.job.job_id) if waived else ())
        if judgement.sample.kind not in {"good", "unjudged"}
    ]
    by_check: dict[tuple[str, str], list[str]] = {}
    for hold in goods.holds:
        if not hold.is_released:
            by_check.setdefault((hold.code, hold.detail), []).append(hold.shot)
    names = {shot.name: goods.header.decisions[shot.decision].offer.stack.name for shot in goods.shots}
    return (
        *found,
        *(
            QualityHold(stack=names[shots[0]], check=code, shots=tuple(shots), detail=detail)
            for (code, detail), shots in by_check.items()
        ),
    )


def notices_of(house: House, goods: Goods, verdict: Verdict) -> str:
    """The notices file: attributions, obligations and every licence text in full."""
    pins = {pin.pin_id: pin for stack, _ in goods.stacks.values() for pin in stack.pins}
    parts, licences = [], set()
    for pin in sorted(pins.values(), key=lambda pin: pin.repo):
        ids = goods.components[pin.repo].licence_texts
        licences |= set(ids)
        own = _own_notice(house, goods.pinned[pin.repo])
        parts.append(
            NoticedPart(
                repo=pin.repo, revision=pin.revision, role=pin.role.value, licences=ids, own_notice=own
            )
        )
    copies = [
        LicenceCopy(
            licence=licence,
            sha256=house.catalogue.terms_of(licence).source.text_sha256,
            text=house.catalogue.text_of(licence).decode("utf-8", errors="replace"),
        )
        for licence in sorted(licences)
    ]
    return make_notices(
        title=f"Notices for {goods.job.name}", parts=parts, obligations=verdict.obligations, copies=copies
    )


def _own_notice(house: House, record: PinRecord) -> str:
    """The NOTICE files of a repository, read from its pinned folder."""
    source = house.source(record.source)
    root = source.locate(record.pin.repo, record.pin.revision)
    texts = []
    for file in record.pin.files:
        path = root / file.path
        if file.path.upper().startswith("NOTICE") and path.is_file() and sha256_file(path) == file.sha256:
            texts.append(path.read_text(encoding="utf-8", errors="replace").strip())
    return "\n\n".join(texts)


def _pinned_digests(stack: Stack) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((f"{pin.repo}/{file.path}", file.sha256) for pin in stack.pins for file in pin.files))


def _loaded(stack_id: str, attested: Iterable[Attestation]) -> tuple[tuple[str, str], ...]:
    """Every (file, digest) that any worker attested for the stack: two digests of one file both show."""
    return tuple(sorted({pair for one in attested if one.stack_id == stack_id for pair in one.loaded}))


def _items(house: House, goods: Goods) -> Iterable[ShippedItem]:
    for shot in goods.shots:
        if shot.artefact is not None:
            path = house.store.path_of(shot.artefact.sha256)
            yield ShippedItem(
                shot=shot.name,
                stack_id=goods.header.decisions[shot.decision].offer.stack.stack_id,
                recorded_sha256=shot.artefact.sha256,
                found_sha256=sha256_file(path) if path.is_file() else None,
            )


def _files(goods: Goods, recipients: Sequence[str]) -> tuple[ShippedFile, ...]:
    """A file a shot and recipient; nothing is signed yet, so what leaves is what the worker wrote."""
    return tuple(
        ShippedFile(
            shot=shot.name,
            artefact_sha256=shot.artefact.sha256,
            shipped_sha256=shot.artefact.sha256,
            recipient=recipient,
        )
        for shot in goods.shots
        if shot.artefact is not None
        for recipient in (recipients or ("",))
    )


def _licences(goods: Goods) -> tuple[ShippedLicence, ...]:
    found = []
    for stack_id, (stack, _) in goods.stacks.items():
        for pin in stack.pins:
            component = goods.components[pin.repo]
            texts = {claim.text_sha256 for claim in component.claims if claim.text_sha256}
            found += [
                ShippedLicence(
                    stack_id=stack_id,
                    pin_id=pin.pin_id,
                    repo=pin.repo,
                    revision=pin.revision,
                    licence=licence,
                    text_sha256=next(iter(sorted(texts)), None) if len(texts) == 1 else None,
                )
                for licence in component.licence_texts
            ]
    return tuple(found)


def _record_refusal(house: House, goods: Goods, verdict: Verdict) -> None:
    payload = canonical_json(
        {
            "act": goods.use.act,
            "ruling": verdict.ruling,
            "reasons": [[reason.code, reason.component, reason.detail] for reason in verdict.against()],
        }
    )
    event = AuditEvent(
        tag="shipment:gate:refused", actor=house.settings.actor, subject=goods.job.job_id, payload=payload
    )
    with unit_of_work(house.engine) as work:
        work.audit.append(event, house.clock())
        work.commit()
