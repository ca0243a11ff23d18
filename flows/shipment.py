"""A shipment as one transaction: all of it leaves, or nothing does and everything is as it was.

Stage the files and hash them anew; ask the gate on what was really used; sign; commit
shipment and audit event together; move the folder to its place. Whoever is killed before the
commit has shipped nothing; after it, the next start moves the folder.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib.metadata import version

from flows.bootstrap import House
from flows.discharging import as_recorded, read_discharges, sort_out, undischarged
from flows.goods_files import (
    StagedFile,
    credential_notes,
    house_signer,
    refuse_unsignable,
    sign_files,
    stage_files,
)
from flows.house_keys import house_key
from flows.ship_papers import (
    credits_of,
    grants_used,
    notices_of,
    on_paper,
    rests_on,
    terms_of_the_day,
    write_papers,
)
from flows.shipping import Goods, gather, make_evidence, record_refusal, standing_of
from flows.staging import Draft, staged
from policy.approvals import Approval, Grant
from policy.clips import VideoKind
from policy.discharges import MetObligation, RecordedDischarge, ShipmentShows, meet
from policy.gates import relied_on_at_shipping, require, ship_gate
from policy.verdicts import Verdict, all_of
from registry.checkpoints import keep_copy
from registry.evidence.papers import FILES, PaperFile, ShipmentFacts
from registry.reevaluation import judged_json
from registry.shipment_records import (
    FreshDischarge,
    ShipmentDraft,
    ShipmentRecord,
    ShippedFile,
    ShippedLicence,
)
from registry.shipments import fresh_shipment_id
from registry.unit_of_work import unit_of_work


class Stage(StrEnum):
    """What has just been done."""

    STAGED = "staged"
    JUDGED = "judged"
    SIGNED = "signed"
    COMMITTED = "committed"
    PROMOTED = "promoted"


Tell = Callable[[str], None]
OnStage = Callable[[Stage], None]


def _say_nothing(_words: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counter:
    """The goods on the counter, judged: the verdict, what is owed and what meets it."""

    verdict: Verdict
    licences: tuple[ShippedLicence, ...]
    met: tuple[MetObligation, ...]
    notices: str
    discharges: tuple[FreshDischarge, ...]
    approvals: tuple[Approval | Grant, ...]  # what it rests on


def ship_job(
    house: House,
    job_id: str,
    recipients: Sequence[str] = (),
    *,
    discharges: Sequence[str] = (),
    videos: Sequence[VideoKind] = (),
    tell: Tell = _say_nothing,
    on_stage: OnStage = _say_nothing,
) -> ShipmentRecord:
    """Ship a finished job to its recipients; ``discharges`` are ``ID=FILE`` or ``ID=words``.

    Beside each clip leaves a copy of it in each of ``videos``: on record, and signed where it can be.

    A refusal writes one audit event and is raised as Refused with every reason. ``tell`` hears
    what a person should know, ``on_stage`` how far it is.
    """
    goods = gather(house, job_id)
    fresh = read_discharges(discharges, goods.job.job_id)
    goods = with_proofs(house, goods, fresh)
    signer = house_signer(house)
    now = house.clock()
    with staged(house.settings.shipments, fresh_shipment_id(now)) as draft:
        files = stage_files(house, goods, draft.folder / FILES, videos)
        on_stage(Stage.STAGED)
        judged = judge(house, goods, files, fresh)
        if not judged.verdict.is_permit:
            record_refusal(house, goods, judged.verdict)
        require(judged.verdict)
        refuse_unsignable(house, files)
        on_stage(Stage.JUDGED)
        notes = credential_notes(house, files)
        facts = facts_of(
            house, goods, judged, sign_files(goods, files, signer), shipment_id=draft.shipment_id, at=now
        )
        facts = replace(facts, notes=notes)
        papers = write_papers(house, goods, facts, judged.notices, house_key(house), draft.folder)
        draft.flush()
        on_stage(Stage.SIGNED)
        order = draft_of(house, goods, judged, facts, recipients or goods.job.recipients)
        shipment = _commit(house, draft, replace(order, papers=papers), on_stage)
        draft.promote()
    on_stage(Stage.PROMOTED)
    for note in notes:
        tell(note)
    return shipment


def judge(
    house: House,
    goods: Goods,
    files: Sequence[StagedFile],
    fresh: Sequence[FreshDischarge],
    *,
    hash_weights: bool = True,
) -> Counter:
    """Ask the gate about staged files; what is owed is met by the shipment itself or by evidence."""
    standings = [standing_of(house, goods, stack) for stack, _ in goods.stacks.values()]
    licences = tuple(used for standing in standings for used in standing.licences)
    owed = all_of(standing.verdict for standing in standings).obligations
    proofs = tuple(dict.fromkeys(proof for standing in standings for proof in standing.proofs))
    handed_in = sort_out(fresh, owed, proofs)
    recorded = (*goods.recorded, *as_recorded(handed_in, house.settings.actor))
    named = credits_of(house, goods, licences, _credit(house, recorded, handed_in))
    notices = notices_of(house, goods, named, (*owed, *proofs))
    shows = ShipmentShows(
        notices_sha256=_sha256(notices),
        credited=named.credited,
        copied=named.copied,
        files=len(files),
        unmarked=tuple(file.name for file in files if not file.is_marked),
        context=goods.use.context,
    )
    met = meet((*owed, *proofs), shows, recorded)
    found = {file.artefact_sha256: file.sha256 for file in files if not file.is_copy}
    missing = undischarged(met, goods.job.job_id)
    evidence = make_evidence(house, goods, found, missing, hash_weights=hash_weights)
    return Counter(
        verdict=ship_gate(evidence),
        licences=licences,
        met=met,
        notices=notices,
        discharges=handed_in,
        approvals=(*relied_on_at_shipping(evidence), *grants_used(goods.grants, evidence)),
    )


def _credit(house: House, recorded: Sequence[RecordedDischarge], handed_in: Sequence[FreshDischarge]) -> str:
    """The words of a recorded attribution: they go into the notices, which is where they discharge it."""
    words = {one.duty: one.evidence for one in handed_in}.get("attribution")
    if words is None:
        sha256 = {one.duty: one.evidence_sha256 for one in recorded}.get("attribution")
        if sha256 is None:
            return ""
        with unit_of_work(house.engine, read_only=True) as work:
            words = work.shipments.evidence(sha256)
    return words.decode(errors="replace")


def with_proofs(house: House, goods: Goods, fresh: Sequence[FreshDischarge]) -> Goods:
    """The goods with evidence that was shown: a registration in the ledger counts for the verdict."""
    asked = {proof.id for terms in house.catalogue.terms.values() for proof in terms.evidence}
    shown = ({one.duty for one in fresh} | {one.duty for one in goods.recorded}) & asked
    evidence = tuple(sorted({*goods.use.evidence, *shown}))
    return replace(goods, use=replace(goods.use, evidence=evidence))


def facts_of(
    house: House,
    goods: Goods,
    judged: Counter,
    files: tuple[PaperFile, ...],
    *,
    shipment_id: str,
    at: datetime,
) -> ShipmentFacts:
    """What is told of goods that the gate let through."""
    return ShipmentFacts(
        shipment_id=shipment_id,
        job_id=goods.job.job_id,
        plan_hash=goods.job.plan_hash,
        title=goods.job.name,
        actor=house.settings.actor,
        version=own_version(),
        at=at,
        use=goods.use,
        verdict=judged.verdict,
        stacks=tuple(stack for stack, _ in goods.stacks.values()),
        licences=judged.licences,
        met=judged.met,
        files=files,
        approvals=tuple(on_paper(one) for one in judged.approvals),
    )


@cache  # it does not change under a process that runs
def own_version() -> str:
    """The version that is told as the one that made a shipment."""
    return version("rightstep")


def draft_of(
    house: House, goods: Goods, judged: Counter, facts: ShipmentFacts, recipients: Sequence[str]
) -> ShipmentDraft:
    """The shipment as the registry keeps it; papers come on top where there are some."""
    return ShipmentDraft(
        shipment_id=facts.shipment_id,
        job_id=facts.job_id,
        actor=facts.actor,
        use=facts.use,
        verdict=facts.verdict,
        files=_shipped(facts.files, recipients),
        licences=judged.licences,
        notices=judged.notices,
        met=judged.met,
        terms=terms_of_the_day(house, judged.licences),
        clauses=rests_on(house, judged.verdict, judged.verdict.obligations),
        discharges=judged.discharges,
        approvals=tuple(one.approval_id for one in judged.approvals),
        stacks_json=judged_json(
            standing_of(house, goods, stack).judged_json for stack, _ in goods.stacks.values()
        ),
    )


def _shipped(files: Sequence[PaperFile], recipients: Sequence[str]) -> tuple[ShippedFile, ...]:
    """A row a file and recipient."""
    return tuple(
        ShippedFile(
            shot=file.shot,
            artefact_sha256=file.artefact_sha256,
            shipped_sha256=file.shipped_sha256,
            media_type=file.media_type,
            recipient=recipient,
        )
        for file in files
        for recipient in (recipients or ("",))
    )


def _commit(house: House, draft: Draft, order: ShipmentDraft, on_stage: OnStage) -> ShipmentRecord:
    """Shipment, audit event and a checkpoint over it in one transaction.

    From the commit on the folder is no draft any more.
    """
    key = house_key(house)
    with unit_of_work(house.engine) as work:
        shipment = work.shipments.ship(order, house.clock())
        checkpoint = work.checkpoints.make(key, house.clock())
        draft.is_committing = True
        work.commit()
    keep_copy(house.settings.checkpoints, checkpoint)
    on_stage(Stage.COMMITTED)
    return shipment


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
