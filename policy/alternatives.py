"""What is permitted and nearest to something that is refused, in the planner's order and at its price."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from policy.costs import CostProfile
from policy.ladder import Candidate, Ground, Need, candidate_at, weigh
from policy.manifest import LoraRequest
from policy.menu import Offer
from policy.methods import MethodPreset
from policy.objections import Objection
from policy.step_counts import choose_steps
from policy.tiers import TIER_TABLE, Rung, ServiceLevel, ServiceTier, TierRule
from policy.wording import duration, plural, rounded, thing

HOME = {Rung.CAUSAL: ServiceTier.LIVE, Rung.DISTILLED: ServiceTier.INTERACTIVE}  # others: batch
ALIKE = 0.05  # of the seconds: nobody would choose by less
ANY_SIZE = (512, 512)  # what a method that holds at any size is priced at


def nearest(offer: Offer, need: Need, ground: Ground) -> Candidate | None:
    """An offer for a need that asks for nothing but its size, or None where it would be refused too."""
    free = replace(need, model=offer.model, loras=offer.loras, method=None, steps=None, guidance=None)
    weighed = weigh(offer, free, ground)
    return weighed if isinstance(weighed, Candidate) else None


def in_order(found: Iterable[Candidate], need: Need, kin: Collection[str]) -> list[Candidate]:
    """The nearest first: the same model, else one of its kind; its LoRAs and method; then the best.

    ``kin``: pipelines that run what was asked for. Quality is told against a model's own full
    steps, so it says little about which of two unlike models is the better one.
    """
    return sorted(found, key=lambda candidate: _farness(candidate, need, kin))


def as_asked(offers: Iterable[Offer], need: Need, ground: Ground) -> Candidate | None:
    """The first of these offers, by the tier's rungs, that can be priced: only to compare with."""
    for offer in sorted(offers, key=lambda offer: _place(offer.preset, ground.rule)):
        steps = choose_steps(offer.preset, ground.rule, need.steps, ground.service.quality_floor)
        found = steps if isinstance(steps, Objection) else candidate_at(offer, need, ground, steps)
        if isinstance(found, Candidate):
            return found
    return None


def in_place_of(
    refused: Offer, offers: Sequence[Offer], costs: Sequence[CostProfile], devices: Sequence[str]
) -> str:
    """The nearest of these offers as a sentence: method, steps, quality, seconds; "" where none will do.

    Looked for at the tier that the refused method is for, then at the others; priced on the
    first device, each at the size that it was trained for.
    """
    home = HOME.get(refused.preset.rung, ServiceTier.BATCH)
    alike = [offer for offer in offers if offer.preset.modality == refused.preset.modality]
    for tier in dict.fromkeys((home, *ServiceTier)):
        ground = Ground(
            service=ServiceLevel(tier=tier),
            rule=TIER_TABLE[tier],
            costs=tuple(costs),
            device=devices[0],
            others=tuple(devices[1:]),
        )
        asked = _need_of(refused, refused.preset)
        tried = (nearest(offer, _need_of(refused, offer.preset), ground) for offer in alike)
        found = in_order((one for one in tried if one is not None), asked, {refused.stack.pipeline})
        if found:
            made = found[0].profile.key
            elsewhere = f" at {made.width} x {made.height}" + ("" if tier is home else f" at tier {tier}")
            at_home = replace(ground, service=ServiceLevel(tier=home), rule=TIER_TABLE[home])
            return worded(found[0], elsewhere, as_asked((refused,), asked, at_home))
    return ""


def worded(candidate: Candidate, elsewhere: str, asked: Candidate | None) -> str:
    """One alternative as advice, with its price; against what was asked for where that can be priced."""
    offer = candidate.offer
    return (
        f"Use {ordered(offer.model, offer.loras)} with method {offer.preset.name}{elsewhere}: permitted, "
        f"{plural(candidate.steps, 'step')}, quality {rounded(candidate.quality)}, "
        f"about {duration(candidate.seconds()[0])} a {thing(candidate.profile.key.frames)}"
        f"{_against(candidate, asked)}."
    )


def ordered(model: str, loras: tuple[LoraRequest, ...]) -> str:
    """A model with its LoRAs, in words."""
    return model if not loras else f"{model} with {' and '.join(lora.repo for lora in loras)}"


def _place(preset: MethodPreset, rule: TierRule) -> int:
    """The place of a method in a tier's order of preference; what the tier does not run comes last."""
    place = rule.place(preset.rung, is_real_time_native=preset.is_real_time_native)
    return len(Rung) if place is None else place


def _need_of(refused: Offer, preset: MethodPreset) -> Need:
    """The refused offer as an order, in the size and length of a method."""
    width, height = preset.size or refused.preset.size or ANY_SIZE
    frames = refused.preset.frames
    if preset.clip is not None:
        width, height = preset.clip.nearest_size(width, height)
        frames = preset.clip.nearest_frames(frames)
    return Need(
        model=refused.model,
        loras=refused.loras,
        method=refused.preset.name,
        steps=None,
        guidance=None,
        width=width,
        height=height,
        frames=frames,
    )


def _farness(
    candidate: Candidate, need: Need, kin: Collection[str]
) -> tuple[bool, bool, int, bool, float, str, str]:
    offer = candidate.offer
    return (
        offer.model != need.model,
        offer.stack.pipeline not in kin,
        len(set(need.loras) ^ set(offer.loras)),
        offer.preset.name != need.method,
        -candidate.quality,
        offer.preset.name,
        offer.stack.stack_id,
    )


def _against(candidate: Candidate, asked: Candidate | None) -> str:
    """What an alternative costs in quality and time against what was refused."""
    if asked is None:
        return ""
    gained = candidate.quality - asked.quality
    quality = (
        "as good" if abs(gained) < 5e-4 else f"quality {'+' if gained > 0 else '-'}{rounded(abs(gained))}"
    )
    factor = candidate.seconds()[0] / asked.seconds()[0] if asked.seconds()[0] > 0 else 1.0
    speed = "as quick" if abs(factor - 1) < ALIKE else f"{rounded(factor)} times the seconds"
    return f"; against {asked.offer.preset.name} at {plural(asked.steps, 'step')}: {quality}, {speed}"
