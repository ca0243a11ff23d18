"""A refusal that says everything at once: every denial with its clause, and what would work instead."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from policy.alternatives import as_asked, in_order, nearest, ordered, worded
from policy.ladder import Climb, Ground, Need
from policy.manifest import RenderManifest
from policy.menu import Absence, Menu, Offer
from policy.objections import Objection
from policy.plan import PlanRefusal
from policy.tiers import TIER_TABLE, ServiceTier
from policy.verdicts import Reason, Ruling
from policy.wording import names

NEAREST = 3  # alternatives a need
ADVISED = 20  # needs that get advice of their own; the reasons are never cut


# Reasons that say that the order itself is wrong, and not that something may not be.
WRONG_ORDERS = frozenset({"not_on_the_menu", "unknown_method", "empty_manifest", "shot_name_twice"})


def is_wrong_order(refusal: PlanRefusal) -> bool:
    """Whether the order cannot be meant, rather than may not be."""
    return any(reason.code in WRONG_ORDERS for reason in refusal.reasons)


@dataclass(frozen=True, kw_only=True, slots=True)
class Denied:
    """Shots of one need that nothing on the menu can run."""

    need: Need
    shots: tuple[str, ...]  # names, or places in the manifest
    climbed: Climb


def refuse(code: str, detail: str, *remedies: str) -> PlanRefusal:
    """A refusal with one reason."""
    return PlanRefusal(reasons=(Reason(code=code, ruling=Ruling.DENY, detail=detail),), remedies=remedies)


def malformed(manifest: RenderManifest) -> PlanRefusal | None:
    """What can be said of an order before any menu: it has shots, and each has a name of its own."""
    if not manifest.shots:
        return refuse("empty_manifest", "The manifest orders no shots.", "Add at least one shot.")
    if len({shot.name for shot in manifest.shots}) == len(manifest.shots):
        return None
    counted = Counter(shot.name for shot in manifest.shots)
    twice = [name for name, count in counted.items() if count > 1]
    return refuse(
        "shot_name_twice", f"Several shots are called {names(twice)}.", "Give every shot a name of its own."
    )


def refuse_denied(denied: Sequence[Denied], menu: Menu, ground: Ground) -> PlanRefusal:
    """Every denial of every need, and the nearest permitted alternatives."""
    reasons: dict[Reason, None] = {}
    remedies: dict[str, None] = {}
    for case in denied:
        reasons.update(dict.fromkeys(_reasons(case, menu)))
    for case in denied[:ADVISED]:
        remedies.update(dict.fromkeys(_alternatives(case, menu, ground)))
        remedies.update(dict.fromkeys(_advice(case, menu)))
    return PlanRefusal(reasons=tuple(reasons), remedies=tuple(remedies))


def _reasons(case: Denied, menu: Menu) -> list[Reason]:
    where = names(case.shots)
    told = [reason for objection in _telling(case) for reason in objection.as_reasons(where)]
    if told:
        return told
    if case.climbed.objections:
        known = sorted({objection.preset for objection in case.climbed.objections})
        what = ordered(case.need.model, case.need.loras)
        incomplete = [
            absence.detail for absence in _absences(case, menu) if absence.preset == case.need.method
        ]
        why = f" {incomplete[0]}" if incomplete else ""
        detail = f"No method {case.need.method} runs {what}; {names(known)} would.{why}"
        return [
            Reason(
                code="unknown_method",
                ruling=Ruling.DENY,
                detail=f"{where}: {detail}",
                component=case.need.model,
            )
        ]
    details = [absence.detail for absence in _absences(case, menu)]
    return [
        Reason(
            code="not_on_the_menu", ruling=Ruling.DENY, detail=f"{where}: {detail}", component=case.need.model
        )
        for detail in details or [f"Nothing on the menu runs {ordered(case.need.model, case.need.loras)}."]
    ]


def _telling(case: Denied) -> tuple[Objection, ...]:
    """The objections that say something: being another method than the one asked for does not."""
    return tuple(
        objection for objection in case.climbed.objections if objection.code != "another_method_asked"
    )


def _advice(case: Denied, menu: Menu) -> list[str]:
    told = [objection.remedy for objection in _telling(case)] + [
        absence.next_step
        for absence in _absences(case, menu)
        if case.need.method is None or absence.preset in {"", case.need.method}
    ]
    return told or [objection.remedy for objection in case.climbed.objections]


def _absences(case: Denied, menu: Menu) -> list[Absence]:
    return [
        absence
        for absence in menu.absences
        if (absence.model, absence.loras) == (case.need.model, case.need.loras)
    ]


def _alternatives(case: Denied, menu: Menu, ground: Ground) -> list[str]:
    """The permitted offers nearest to a need, priced; from tier batch where its own tier has none.

    An offer that was refused only for what the manifest asks of it is left to the advice
    that comes with its objection.
    """
    need = case.need
    advised = {objection.preset for objection in _telling(case)}
    own = [offer for offer in menu.offers if (offer.model, offer.loras) == (need.model, need.loras)]
    others = [offer for offer in menu.offers if offer not in own or offer.preset.name not in advised]
    grounds = [ground]
    if ground.rule.tier is not ServiceTier.BATCH:
        service = replace(ground.service, tier=ServiceTier.BATCH, latency_target_s=None)
        grounds.append(replace(ground, service=service, rule=TIER_TABLE[ServiceTier.BATCH]))
    for tried in grounds:
        offers = others if tried is ground else menu.offers
        possible = [found for offer in offers if (found := nearest(offer, need, tried)) is not None]
        if possible:
            elsewhere = "" if tried is ground else " at tier batch"
            asked = as_asked(_wanted(case, own), need, ground)
            nearest_first = in_order(possible, need, {offer.stack.pipeline for offer in own})
            return [worded(candidate, elsewhere, asked) for candidate in nearest_first[:NEAREST]]
    return []


def _wanted(case: Denied, own: Sequence[Offer]) -> list[Offer]:
    """What was asked for and is refused for its licence."""
    refused = {objection.preset for objection in case.climbed.objections if objection.grounds}
    wanted = [
        offer
        for offer in own
        if offer.preset.name in refused and case.need.method in {None, offer.preset.name}
    ]
    return sorted(wanted, key=lambda offer: offer.preset.name)
