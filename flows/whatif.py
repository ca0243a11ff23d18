"""What a change of the organisation, its territories or the act would break or open, stack by stack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from flows.bootstrap import House
from flows.bought import bought_for
from flows.planning import in_context, known_costs, pinned_models
from policy.alternatives import in_place_of
from policy.costs import CostProfile
from policy.menu import Offer
from policy.uses import Act, IntendedUse, Organisation
from policy.verdicts import SEVERITY, Reason, Ruling, Verdict
from registry.licences.described import DescribedStack
from registry.menu import PinnedModel, standing_offers

EVERY_COMMERCIAL_ACT = (Act.SHIP_OUTPUT_COMMERCIAL, Act.HOST_SERVICE_COMMERCIAL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Supposition:
    """What is supposed to be otherwise; None or empty: as it is."""

    annual_revenue_usd: int | None = None
    group_revenue_usd: int | None = None
    mau: int | None = None
    monthly_visits: int | None = None
    territories: tuple[str, ...] = ()  # in addition to those served today
    acts: tuple[Act, ...] = ()

    def of(self, organisation: Organisation) -> Organisation:
        """The organisation as it would be; a group makes at least what its entity makes."""
        revenue = _other(self.annual_revenue_usd, organisation.annual_revenue_usd)
        group = _other(self.group_revenue_usd, organisation.group_revenue_usd)
        if self.group_revenue_usd is None and self.annual_revenue_usd is not None:
            group = max(group or 0, self.annual_revenue_usd)
        return replace(
            organisation,
            annual_revenue_usd=revenue,
            group_revenue_usd=group,
            mau=_other(self.mau, organisation.mau),
            monthly_visits=_other(self.monthly_visits, organisation.monthly_visits),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A stack that would be judged otherwise."""

    effect: str  # breaks, opens, stricter or looser
    stack: str  # its artefacts, or the file that describes it
    method: str  # preset name; "" of a described stack
    act: str
    before: str  # permit, review or deny
    after: str
    reasons: tuple[Reason, ...]  # what would speak against it; of one that opens: what no longer would
    substitute: str  # of one that breaks or gets stricter: the nearest permitted way and its price; or ""


@dataclass(frozen=True, kw_only=True, slots=True)
class WhatIf:
    """What would change, the worst first."""

    today: Organisation
    supposed: Organisation
    context: str  # whose figures these are
    as_of: date | None  # day that today's figures are of
    territories: tuple[str, ...]  # supposed
    judged: int  # how many stacks were asked about, act by act
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Judged:
    stack: str
    verdict: Verdict
    offer: Offer | None = None  # None of a described stack: there is nothing to render

    @property
    def method(self) -> str:
        """Preset name; "" of a described stack."""
        return "" if self.offer is None else self.offer.preset.name


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prices:
    """What a plan of this house is priced by."""

    costs: tuple[CostProfile, ...]
    devices: tuple[str, ...]

    def instead(self, refused: Offer | None, offers: Sequence[Offer]) -> str:
        return "" if refused is None else in_place_of(refused, offers, self.costs, self.devices)


def what_if(
    house: House,
    supposition: Supposition,
    stacks: Sequence[tuple[str, DescribedStack]] = (),
    context: str = "",
) -> WhatIf:
    """Judge every pinned stack and every described one as things are in a context and as they would be."""
    changes: list[Change] = []
    judged = 0
    today, pinned = in_context(house, context), pinned_models(house)
    prices = _Prices(costs=known_costs(house), devices=house.settings.fleet.devices)
    supposed = supposition.of(today.organisation)
    served = tuple(dict.fromkeys((*today.territories, *supposition.territories)))
    for act in supposition.acts or EVERY_COMMERCIAL_ACT:
        before = _offered(house, pinned, replace(today, act=act))
        after = _offered(house, pinned, replace(today, act=act, organisation=supposed, territories=served))
        judged += len(after)
        changes += _changes(before, after, act, prices)
    for name, asked in stacks:
        judged += 1
        use = replace(
            asked.use,
            organisation=supposition.of(asked.use.organisation),
            territories=tuple(dict.fromkeys((*asked.use.territories, *supposition.territories))),
            act=supposition.acts[0] if supposition.acts else asked.use.act,
        )
        pair = [[_described(house, name, asked, each)] for each in (asked.use, use)]
        changes += _changes(pair[0], pair[1], use.act, prices)
    order = {"breaks": 0, "stricter": 1, "opens": 2, "looser": 3}
    changes.sort(key=lambda change: (order[change.effect], change.stack, change.method, change.act))
    return WhatIf(
        today=today.organisation,
        supposed=supposed,
        context=today.context.name,
        as_of=today.context.as_of,
        territories=served,
        judged=judged,
        changes=tuple(changes),
    )


def _offered(house: House, pinned: Mapping[str, PinnedModel], use: IntendedUse) -> list[_Judged]:
    return [
        _Judged(stack=offer.stack.name, verdict=offer.verdict, offer=offer)
        for offer in standing_offers(house.catalogue, pinned, use, bought_for(house, use.act))
    ]


def _described(house: House, name: str, asked: DescribedStack, use: IntendedUse) -> _Judged:
    verdict = house.catalogue.verdicts.judge(asked.components, use, asked.circumstances)
    return _Judged(stack=name, verdict=verdict)


def _changes(before: Sequence[_Judged], after: Sequence[_Judged], act: Act, prices: _Prices) -> list[Change]:
    offers = [one.offer for one in after if one.offer is not None]
    found = []
    for was, will in zip(before, after, strict=True):
        effect = _effect(was.verdict.ruling, will.verdict.ruling)
        if not effect:
            continue
        telling = was.verdict if effect in {"opens", "looser"} else will.verdict
        known = set((will if telling is was.verdict else was).verdict.against())
        found.append(
            Change(
                effect=effect,
                stack=will.stack,
                method=will.method,
                act=act.value,
                before=was.verdict.ruling.value,
                after=will.verdict.ruling.value,
                reasons=tuple(reason for reason in telling.against() if reason not in known),
                substitute=prices.instead(will.offer, offers) if effect in {"breaks", "stricter"} else "",
            )
        )
    return found


def _effect(before: Ruling, after: Ruling) -> str:
    if before is after:
        return ""
    if before is Ruling.PERMIT:
        return "breaks"
    if after is Ruling.PERMIT:
        return "opens"
    return "stricter" if SEVERITY[after] > SEVERITY[before] else "looser"


def _other(supposed: int | None, known: int | None) -> int | None:
    return known if supposed is None else supposed
