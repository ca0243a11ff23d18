"""The second gate, on what was REALLY used: gathering what it judges. The shipment is ``flows.shipment``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from flows.bootstrap import House
from flows.bought import bought_by, standing_among
from flows.drift import holds_among
from flows.judging import figures_of, judgements_of
from flows.planning import complete_use
from flows.rehashing import rehashed
from policy.approvals import Grant
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.discharges import RecordedDischarge
from policy.gates import QualityHold, ShipEvidence, ShippedItem, StackEvidence
from policy.plan import Decision
from policy.stacks import Stack
from policy.tasks import TakeState
from policy.uses import IntendedUse, asked_again
from policy.verdicts import Reason, Verdict
from registry.artefact_keeping import UnkeptArtefact
from registry.known_registry import KnownRegistry
from registry.licences.circumstances import ORDINARY, Circumstances, as_stated
from registry.licences.claims import LicensedComponent
from registry.model_registry import PinRecord
from registry.records import Attestation, HeldShot, JobRecord, PlanHeader, ShotRecord
from registry.stack_standing import Asked, StackStanding
from registry.unit_of_work import UnitOfWork, unit_of_work


@dataclass(frozen=True, kw_only=True)
class Goods:
    """A job as it lies on the counter: what was planned, made, attested and held."""

    job: JobRecord
    header: PlanHeader
    shots: tuple[ShotRecord, ...]
    attested: tuple[Attestation, ...]
    holds: tuple[HeldShot, ...]
    use: IntendedUse  # as planned, on today's day
    registry: KnownRegistry  # of the moment at which the rest was read
    grants: tuple[Grant, ...]  # paid licences that stand for the use
    recorded: tuple[RecordedDischarge, ...]  # evidence of the job and of the house, handed in before
    unkept: Mapping[str, UnkeptArtefact] = field(
        default_factory=dict[str, UnkeptArtefact]
    )  # by digest: whose bytes were removed on purpose

    @property
    def pinned(self) -> Mapping[str, PinRecord]:
        return self.registry.pins

    @property
    def components(self) -> Mapping[str, LicensedComponent]:
        return self.registry.components

    def circumstances(self, stack_id: str) -> Circumstances:
        """What the rules are told of a stack: licences that were bought, and how outputs are delivered."""
        return as_stated(self._bought.get(stack_id, ORDINARY), self.use)

    @cached_property
    def _bought(self) -> Mapping[str, Circumstances]:
        return bought_by(self.grants)

    @cached_property
    def stacks(self) -> dict[str, tuple[Stack, Decision]]:
        """Every stack that a made shot used, with a decision that runs on it."""
        used = {self.header.decisions[shot.decision].offer.stack.stack_id for shot in self.shots}
        return {
            decision.offer.stack.stack_id: (decision.offer.stack, decision)
            for decision in self.header.decisions
            if decision.offer.stack.stack_id in used
        }


def gather(house: House, job_id: str) -> Goods:
    """Everything that the ship gate looks at, read in one consistent view."""
    with unit_of_work(house.engine, read_only=True) as work:
        job = work.ledger.job(job_id)
        header, shots = work.ledger.header(job.job_id), work.ledger.shots(job.job_id)
        goods = gather_within(house, work, job, header, shots, registry=house.registry.at(work))
        unkept = work.keeping.removed_of(job.job_id)
    return replace(goods, unkept=unkept)


def gather_within(
    house: House,
    work: UnitOfWork,
    job: JobRecord,
    header: PlanHeader,
    shots: tuple[ShotRecord, ...],
    *,
    registry: KnownRegistry,
) -> Goods:
    """The same as a transaction sees it that has the job, its plan and its shots in hand already."""
    planned = header.manifest.use
    use = complete_use(house, asked_again(planned))
    return Goods(
        job=job,
        header=header,
        shots=shots,
        attested=work.ledger.attestations(job.job_id),
        holds=work.ledger.holds(job.job_id),
        use=use,
        registry=registry,
        grants=standing_among(registry.grants(planned.act), planned.act, house.clock()),
        recorded=work.shipments.discharges_for(job.job_id),
    )


def standing_of(house: House, goods: Goods, stack: Stack) -> StackStanding:
    """What a stack of the goods comes to today for their use."""
    asked = Asked(use=goods.use, circumstances=goods.circumstances(stack.stack_id))
    return goods.registry.standing(house.catalogue, stack, asked)


def make_evidence(
    house: House,
    goods: Goods,
    found: Mapping[str, str | None],
    missing: Sequence[Reason],
    *,
    hash_weights: bool = True,
) -> ShipEvidence:
    """What the gate judges: attested digests beside pinned ones, and ``found``, what recorded ones are now.

    The weights are hashed again too, unless what was attested at their load is enough. ``missing`` has a
    reason for every duty that nothing meets.
    """
    pins = [pin for stack, _ in goods.stacks.values() for pin in stack.pins]
    if hash_weights:
        components = rehashed(house, goods.components, goods.pinned, (pin.repo for pin in pins))
        goods = replace(goods, registry=replace(goods.registry, components=components))
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
        items=tuple(_items(goods, found)),
        undone=tuple(
            shot.name for shot in goods.shots if shot.artefact is None and shot.state is not TakeState.EATEN
        ),
        holds=quality_holds(house, goods),
        drift=holds_among(goods.registry.findings, pins),
        act=goods.use.act,
        at=house.clock(),
        approvals=goods.registry.lifting(goods.use.act),
        undischarged=tuple(missing),
    )


def stack_verdict(house: House, goods: Goods, stack: Stack) -> Verdict:
    """Today's verdict on a whole stack for the use; a part pinned otherwise or revoked by now denies."""
    return standing_of(house, goods, stack).verdict


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
        for judgement in (
            judgements_of(house, goods.header.decisions, figures_of(goods.shots)) if waived else ()
        )
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


def _pinned_digests(stack: Stack) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((f"{pin.repo}/{file.path}", file.sha256) for pin in stack.pins for file in pin.files))


def _loaded(stack_id: str, attested: Iterable[Attestation]) -> tuple[tuple[str, str], ...]:
    """Every (file, digest) that any worker attested for the stack: two digests of one file both show."""
    return tuple(sorted({pair for one in attested if one.stack_id == stack_id for pair in one.loaded}))


def _items(goods: Goods, found: Mapping[str, str | None]) -> Iterable[ShippedItem]:
    for shot in goods.shots:
        if shot.artefact is None:
            continue
        made = {shot.name: shot.artefact.sha256, f"{shot.name} (sound)": shot.artefact.sound_sha256}
        for name, sha256 in made.items():
            if sha256 is not None:
                yield ShippedItem(
                    shot=name,
                    stack_id=goods.header.decisions[shot.decision].offer.stack.stack_id,
                    recorded_sha256=sha256,
                    found_sha256=found.get(sha256),
                    was_kept=sha256 not in goods.unkept,
                )


def record_refusal(house: House, goods: Goods, verdict: Verdict) -> None:
    """Say in the audit log that nothing was shipped, and why."""
    with unit_of_work(house.engine) as work:
        work.audit.append(refusal_event(house, goods, verdict), house.clock())
        work.commit()


def refusal_event(house: House, goods: Goods, verdict: Verdict) -> AuditEvent:
    """What the log says of goods that the gate kept back."""
    payload = canonical_json(
        {
            "act": goods.use.act,
            "context": goods.use.context.name,
            "ruling": verdict.ruling,
            "reasons": [[reason.code, reason.component, reason.detail] for reason in verdict.against()],
        }
    )
    return AuditEvent(
        tag="shipment:gate:refused", actor=house.settings.actor, subject=goods.job.job_id, payload=payload
    )
