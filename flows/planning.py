"""From an order to a plan: what exists, what may be used, what it costs; nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from flows.bootstrap import House
from flows.bought import bought_by, standing_among
from flows.clock_times import resolve_deadline
from flows.contexts import find_context
from flows.fitted_costs import fit_costs
from flows.known_models import Shelf
from policy.approvals import lift
from policy.costs import CostProfile
from policy.manifest import RenderManifest, Shot
from policy.menu import Menu
from policy.plan import ExecutionPlan, PlanRefusal
from policy.planner import make_plan
from policy.tiers import ServiceTier
from policy.uses import Act, Context, IntendedUse
from policy.wording import plural
from registry.known_registry import KnownRegistry, components_as_known, moved_upstream
from registry.licences.claims import LicensedComponent
from registry.menu import PinnedModel
from registry.model_registry import PinRecord
from registry.unit_of_work import unit_of_work
from workers.renderer import RendererKind, runtime_versions

COMMON_SIZE = (1024, 1024)  # what most of today's image models were trained at


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


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanningView:
    """What is known when an order is planned: of one moment, whatever it was read from."""

    shelf: Shelf
    costs: tuple[CostProfile, ...]


def plan_manifest(
    house: House, manifest: RenderManifest, overrides: Overrides | None = None
) -> ExecutionPlan | PlanRefusal:
    """Decide everything about an order, or refuse with every reason; a dry run."""
    order = apply_overrides(house, manifest, overrides or Overrides())
    view = PlanningView(shelf=shelf_of(house), costs=known_costs(house))
    outcome = plan_order(house, order, view)
    dropped = sum(asked != meant for asked, meant in zip(manifest.shots, order.shots, strict=True))
    if isinstance(outcome, PlanRefusal) or not dropped:
        return outcome
    told = (
        f"{plural(dropped, 'shot')} had steps or a method written for another tier: "
        f"policy chose them anew for {order.service.tier.value}."
    )
    return replace(outcome, warnings=(told, *outcome.warnings))


def plan_order(house: House, order: RenderManifest, view: PlanningView) -> ExecutionPlan | PlanRefusal:
    """The plan of an order as it is meant; nothing is read here but what is handed in."""
    now = house.clock()
    return make_plan(
        manifest=order,
        menu=menu_for(house, order, view.shelf, now),
        costs=view.costs,
        fleet=house.settings.fleet,
        runtime=runtime_versions(RendererKind(house.settings.renderer)),
        now=now,
    )


def menu_for(house: House, order: RenderManifest, shelf: Shelf, now: datetime) -> Menu:
    """What the order may choose from; a review that a standing approval answers is on offer."""
    act, registry = order.use.act, shelf.registry
    menu = shelf.menu(house.catalogue, order, bought_by(standing_among(registry.grants(act), act, now)))
    approvals = registry.lifting(act)
    if not approvals:
        return menu
    offers = tuple(
        replace(offer, verdict=lift(offer.verdict, offer.stack.stack_id, act, now, approvals))
        for offer in menu.offers
    )
    return replace(menu, offers=offers)


def known_registry(house: House) -> KnownRegistry:
    """Pins, claims, conclusions, findings, revocations and approvals as they are now."""
    with unit_of_work(house.engine, read_only=True) as work:
        return house.registry.at(work)


def shelf_of(house: House, registry: KnownRegistry | None = None) -> Shelf:
    """Every pinned repository that is in reach, with where it lies and what its licence rests on."""
    return house.shelf.of(registry or known_registry(house), lambda record: root_of(house, record))


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


def pin_records(house: House) -> Mapping[str, PinRecord]:
    """The newest pin of every repository."""
    return known_registry(house).pins


def pinned_models(house: House) -> Mapping[str, PinnedModel]:
    """Every pinned repository that is in reach, with where it lies and what its licence rests on."""
    return shelf_of(house).models


def native_size(house: House, repo: str) -> tuple[int, int]:
    """(width, height) that a model was trained at; a common size where it is not here or does not say."""
    model = pinned_models(house).get(repo)
    return (model and model.native_size) or COMMON_SIZE


def components_of(house: House, records: Mapping[str, PinRecord]) -> Mapping[str, LicensedComponent]:
    """These pins as the licence rules see them today, by name."""
    known = known_registry(house)
    if records is known.pins:
        return known.components
    return components_as_known(records, moved_upstream(known.findings), house.catalogue.text_ids)


def root_of(house: House, record: PinRecord) -> Path:
    """The folder with the files of a pin."""
    return house.source(record.source).locate(record.pin.repo, record.pin.revision)


def known_costs(house: House) -> tuple[CostProfile, ...]:
    """What was measured here, before the priors that came with the installation."""
    with unit_of_work(house.engine, read_only=True) as work:
        samples = work.ledger.cost_samples()
    return fit_costs(samples, house.catalogue.costs)
