"""From an order to a plan: what exists, what may be used, what it costs; nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from pathlib import Path

from flows.bootstrap import House
from flows.bought import bought_for
from flows.clock_times import resolve_deadline
from flows.contexts import find_context
from policy.approvals import Approval, lift
from policy.costs import CostProfile, CostSample, fit_profile, profile_for
from policy.errors import UnknownName
from policy.manifest import RenderManifest, Shot
from policy.menu import Menu
from policy.plan import ExecutionPlan, PlanRefusal
from policy.planner import make_plan
from policy.tiers import ServiceTier
from policy.uses import Act, Context, IntendedUse
from policy.wording import plural
from registry.components import PinnedClaims, licensed_components
from registry.drift import DriftKind
from registry.licences.claims import LicensedComponent
from registry.menu import PinnedModel, build_menu
from registry.model_registry import PinRecord
from registry.sources import read_vocabulary
from registry.unit_of_work import unit_of_work
from workers.renderer import RendererKind, runtime_versions

PRIOR_SAMPLES = 3  # batches of a key before its own measurements replace the prior


@dataclass(frozen=True, kw_only=True, slots=True)
class Overrides:
    """What a command says over its manifest."""

    tier: ServiceTier | None = None
    deadline: str | None = None  # ISO, or HH:MM in the manifest's zone
    use: Act | None = None
    context: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Preflight:
    """What a plan needs before it starts, and what is there."""

    seconds_p50: float  # of wall clock, on this fleet
    seconds_p95: float
    device_seconds: float
    forward_passes: int
    price: float | None
    currency: str
    disk_needed: int  # bytes
    disk_free: int
    warnings: tuple[str, ...]

    @property
    def fits_on_disk(self) -> bool:
        return self.disk_needed <= self.disk_free


def plan_manifest(
    house: House, manifest: RenderManifest, overrides: Overrides | None = None
) -> ExecutionPlan | PlanRefusal:
    """Decide everything about an order, or refuse with every reason; a dry run."""
    now = house.clock()
    order = apply_overrides(house, manifest, overrides or Overrides())
    outcome = make_plan(
        manifest=order,
        menu=menu_for(house, order),
        costs=known_costs(house),
        fleet=house.settings.fleet,
        runtime=runtime_versions(RendererKind(house.settings.renderer)),
        now=now,
    )
    dropped = sum(asked != meant for asked, meant in zip(manifest.shots, order.shots, strict=True))
    if isinstance(outcome, PlanRefusal) or not dropped:
        return outcome
    told = (
        f"{plural(dropped, 'shot')} had steps or a method written for another tier: "
        f"policy chose them anew for {order.service.tier.value}."
    )
    return replace(outcome, warnings=(told, *outcome.warnings))


def menu_for(house: House, order: RenderManifest) -> Menu:
    """What the order may choose from; a review that a standing approval answers is on offer."""
    with unit_of_work(house.engine, read_only=True) as work:
        revocations = work.revocations.all()
    menu = build_menu(
        manifest=order,
        catalogue=house.catalogue,
        pinned=pinned_models(house),
        use=order.use,
        revocations=revocations,
        bought=bought_for(house, order.use.act),
    )
    approvals, act, now = approvals_for(house, order.use.act), order.use.act, house.clock()
    offers = tuple(
        replace(offer, verdict=lift(offer.verdict, offer.stack.stack_id, act, now, approvals))
        for offer in menu.offers
    )
    return replace(menu, offers=offers)


def approvals_for(house: House, act: Act) -> tuple[Approval, ...]:
    """Every approval and waiver for an act, standing or not: the gates judge them."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.approvals.lifting(act)


def apply_overrides(house: House, manifest: RenderManifest, overrides: Overrides) -> RenderManifest:
    """The order as it is meant: overrides applied, organisation and day filled in.

    Another tier is another question, so the step counts that were written for the
    manifest's own tier are left to policy.
    """
    service = manifest.service
    shots = manifest.shots
    if overrides.tier is not None and overrides.tier is not service.tier:
        service = replace(service, tier=overrides.tier)
        shots = tuple(_without_steps(shot) for shot in shots)
    if overrides.deadline is not None:
        service = replace(
            service, deadline=resolve_deadline(overrides.deadline, manifest.timezone, house.clock())
        )
    use = manifest.use
    if overrides.use is not None:
        use = replace(use, act=overrides.use)
    if overrides.context is not None:
        use = replace(use, context=Context(name=overrides.context))
    use = complete_use(house, use)
    return replace(manifest, service=service, shots=shots, use=use)


def _without_steps(shot: Shot) -> Shot:
    return shot if shot.steps is None and shot.method is None else replace(shot, steps=None, method=None)


def complete_use(house: House, use: IntendedUse) -> IntendedUse:
    """A use with who and when: what its context says today, and today; UnknownName where there is none."""
    known = find_context(house.settings, use.context.name, today(house))
    return replace(
        use,
        organisation=known.organisation,
        territories=use.territories or known.territories,
        on=use.on or today(house),
        context=known.context,
    )


def in_context(house: House, name: str = "", act: Act = Act.SHIP_OUTPUT_COMMERCIAL) -> IntendedUse:
    """A use that nobody ordered: an act in a context, or in that of an order that names none."""
    return complete_use(house, IntendedUse(act=act, context=Context(name=name)))


def today(house: House) -> date:
    """The day by the house's clock, in UTC."""
    return house.clock().date()


def preflight(house: House, plan: ExecutionPlan) -> Preflight:
    """Time, device time, money and disk of a plan, beside what is free."""
    totals = plan.totals
    free = house.store.free_bytes()
    short = (
        ()
        if totals.bytes_on_disk <= free
        else (f"The job needs {totals.bytes_on_disk >> 20} MB; {house.settings.artefacts} has {free >> 20}.",)
    )
    return Preflight(
        seconds_p50=totals.wall_seconds_p50,
        seconds_p95=totals.wall_seconds_p95,
        device_seconds=totals.seconds_p50,
        forward_passes=totals.forward_passes,
        price=totals.price,
        currency=totals.currency,
        disk_needed=totals.bytes_on_disk,
        disk_free=free,
        warnings=(*plan.warnings, *short),
    )


def pin_records(house: House) -> dict[str, PinRecord]:
    """The newest pin of every repository."""
    with unit_of_work(house.engine, read_only=True) as work:
        records = work.models.pins()
    newest: dict[str, PinRecord] = {}
    for record in sorted(records, key=lambda record: record.pinned_at):
        newest[record.pin.repo] = record
    return newest


def pinned_models(house: House) -> Mapping[str, PinnedModel]:
    """Every pinned repository that is in reach, with where it lies and what its licence rests on.

    One whose folder is gone stops the orders that ask for it, and no others.
    """
    records = pin_records(house)
    components = components_of(house, records)
    found = {}
    for repo, record in records.items():
        try:
            root = root_of(house, record)
        except UnknownName:
            continue
        found[repo] = PinnedModel(
            pin=record.pin,
            component=components[repo],
            root=str(root),
            vocabulary=read_vocabulary(root, repo),
        )
    return found


def components_of(house: House, records: Mapping[str, PinRecord]) -> dict[str, LicensedComponent]:
    """Every pinned repository as the licence rules see it today, by name."""
    with unit_of_work(house.engine, read_only=True) as work:
        findings = work.upstream.findings(open_only=True)
    moved = {found.pin_id for found in findings if found.finding.kind is DriftKind.BYTES}
    return licensed_components(
        [
            PinnedClaims(
                pin=record.pin,
                claims=record.claims,
                conclusions=record.conclusions,
                gated=bool(record.gated),
                gate_passed_by=record.gate_passed_by if record.gated else "",
                moved=record.pin.pin_id in moved,
            )
            for record in records.values()
        ],
        house.catalogue.text_ids,
    )


def root_of(house: House, record: PinRecord) -> Path:
    """The folder with the files of a pin."""
    return house.source(record.source).locate(record.pin.repo, record.pin.revision)


def known_costs(house: House) -> tuple[CostProfile, ...]:
    """What was measured here, before the priors that came with the installation."""
    with unit_of_work(house.engine, read_only=True) as work:
        samples = work.ledger.cost_samples()
    return (*_fitted(samples, house.catalogue.costs), *house.catalogue.costs)


def _fitted(samples: tuple[CostSample, ...], priors: tuple[CostProfile, ...]) -> list[CostProfile]:
    def name(sample: CostSample) -> tuple[str, ...]:
        key = sample.key
        size = (str(key.width), str(key.height), str(key.frames))
        return (key.stack_id, key.pipeline, key.device, key.cached_by, *size)

    fitted = []
    for _, group in groupby(sorted(samples, key=name), key=name):
        taken = tuple(group)
        if len(taken) >= PRIOR_SAMPLES:
            fitted.append(fit_profile(taken, profile_for(priors, taken[0].key)))
    return fitted
