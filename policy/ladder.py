"""The ladder: full, cached, distilled, causal. The best rung that may be used and fits.

Licence is a hard filter before any optimisation. Then a preset must be the method that
was asked for, belong to the tier, suit the shot, take the steps and the guidance that
were asked for, reach the quality floor and meet the latency target. Of what stands, the
tier's first rung wins, on it the highest quality; everything else is kept as a rejected
alternative with its reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from policy.costs import CostKey, CostProfile, profile_for
from policy.guidance import Guidance, allowed, primary_knob, settle_guidance, takes
from policy.manifest import LoraRequest, Shot
from policy.menu import Offer
from policy.methods import MethodPreset
from policy.objections import Objection
from policy.plan import Rejection
from policy.step_counts import choose_steps, step_options
from policy.tiers import ServiceLevel, ServiceTier, TierRule, preference
from policy.verdicts import Ruling
from policy.wording import duration, number, plural, rounded, thing


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What decides how a shot runs; shots with equal needs share a decision."""

    model: str
    loras: tuple[LoraRequest, ...]
    method: str | None
    steps: int | None
    guidance: float | None
    width: int
    height: int
    frames: int
    fps: float | None = None  # None: what the method was trained at

    @classmethod
    def of(cls, shot: Shot) -> "Need":
        """The need of one shot."""
        return cls(
            model=shot.model,
            loras=shot.loras,
            method=shot.method,
            steps=shot.steps,
            guidance=shot.guidance,
            width=shot.width,
            height=shot.height,
            frames=shot.frames,
            fps=shot.asked_rate,
        )

    def frame_rate(self, preset: MethodPreset) -> float | None:
        """Frames a second of the clip that a method makes of it; None for a picture."""
        return None if self.frames == 1 else self.fps or preset.frame_rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """The facts the ladder stands on, the same for every shot of a manifest."""

    service: ServiceLevel
    rule: TierRule
    costs: tuple[CostProfile, ...]
    device: str  # that costs and targets are judged on
    others: tuple[str, ...] = ()  # further devices of the fleet, which may take batches too


def judged_on(ground: Ground, device: str) -> Ground:
    """The same facts, with costs and targets judged on another device of the fleet."""
    if device == ground.device:
        return ground
    devices = {ground.device, *ground.others}
    return replace(ground, device=device, others=tuple(sorted(devices - {device})))


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One way to run a need, with what it is worth and what it costs."""

    offer: Offer
    steps: int
    guidance: Guidance
    rows_per_picture: int
    forward_passes: int  # of one picture or whole clip
    timed_steps: int  # steps over the whole picture that take as long as all its forward passes
    quality: float
    profile: CostProfile  # of the device that it was judged on
    elsewhere: tuple[CostProfile, ...] = ()  # of the fleet's other devices

    def seconds(self, pictures: int = 1) -> tuple[float, float]:
        """(p50, p95) seconds of a batch of so many pictures."""
        return self.profile.batch_seconds(
            pictures=pictures, rows_per_picture=self.rows_per_picture, steps=self.timed_steps
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Climb:
    """What came of every offer for a need: those that stand, best first, and what is against the others."""

    standing: tuple[Candidate, ...]
    objections: tuple[Objection, ...]


# --- rules on an offer, before steps and guidance are settled --------------------------

OfferRule = Callable[[Offer, Need, Ground], Objection | None]


def the_licence_permits(offer: Offer, need: Need, ground: Ground) -> Objection | None:
    """Only a whole stack that is permitted for the use; a review is not a yes."""
    del need, ground
    if offer.verdict.is_permit:
        return None
    against = offer.verdict.against()
    named = sorted({reason.component for reason in against if reason.component})
    word = "denied" if offer.verdict.ruling is Ruling.DENY else "held for review"
    parts = " and ".join(named) or offer.stack.name
    return Objection(
        preset=offer.preset.name,
        code=f"licence_{offer.verdict.ruling}",
        detail=f"{offer.stack.name} is {word} for this use: "
        + " ".join(reason.detail for reason in against[:2]),
        remedy=f"Leave out {parts}, or state a use that its licence permits.",
        grounds=against,
    )


def the_method_is_the_one_asked_for(offer: Offer, need: Need, ground: Ground) -> Objection | None:
    """An explicit method is honoured: nothing else is tried in its place."""
    del ground
    if need.method in {None, offer.preset.name}:
        return None
    return Objection(
        preset=offer.preset.name,
        code="another_method_asked",
        detail=f"The manifest asks for method {need.method}.",
        remedy=f"Ask for method {offer.preset.name}, or leave method out.",
    )


def the_rung_belongs_to_the_tier(offer: Offer, need: Need, ground: Ground) -> Objection | None:
    """Each tier climbs its own rungs only."""
    del need
    preset, rule = offer.preset, ground.rule
    if rule.place(preset.rung, is_real_time_native=preset.is_real_time_native) is not None:
        return None
    wanted = " or ".join((*rule.rungs, "real-time native") if rule.admits_real_time_native else rule.rungs)
    return Objection(
        preset=preset.name,
        code="rung_not_in_tier",
        detail=f"Tier {rule.tier} runs {wanted} methods, and {preset.name} is {preset.rung}.",
        remedy=f"Ask for another tier than {rule.tier}, or for a method that is {wanted}.",
    )


def the_approximation_is_allowed(offer: Offer, need: Need, ground: Ground) -> Objection | None:
    """A cache draws other pixels than the full run: only where the order says that it may."""
    if offer.preset.cache is None or ground.service.may_approximate or need.method == offer.preset.name:
        return None
    return Objection(
        preset=offer.preset.name,
        code="approximation_not_allowed",
        detail=f"{offer.preset.name} skips work between steps, and the order does not allow that.",
        remedy="Set may_approximate = true, or name the method.",
    )


def the_frames_suit_the_method(offer: Offer, need: Need, ground: Ground) -> Objection | None:
    """An image method makes no clips."""
    del ground
    if need.frames == 1 or offer.preset.modality != "image":
        return None
    return Objection(
        preset=offer.preset.name,
        code="frames_need_video",
        detail=f"{need.frames} frames were asked for, and {offer.preset.name} makes single images.",
        remedy="Ask for one frame, or for a video model.",
    )


def the_clip_has_a_length_it_makes(offer: Offer, need: Need, ground: Ground) -> Objection | None:
    """A length between two latent frames, or between two chunks, would be cut or refused by the model."""
    del ground
    preset = offer.preset
    if preset.clip is None or preset.clip.takes_frames(need.frames):
        return None
    nearest = preset.clip.nearest_frames(need.frames)
    return Objection(
        preset=preset.name,
        code="frames_not_published",
        detail=f"{preset.name} makes {preset.clip.lengths()}, not {need.frames}.",
        remedy=f"Ask for {plural(nearest, 'frame')} with {preset.name}.",
    )


def the_frame_rate_suits_the_method(offer: Offer, need: Need, ground: Ground) -> Objection | None:
    """A method that is told its frame rate was trained at one; any other only plays its frames faster."""
    del ground
    preset = offer.preset
    if not preset.is_told_its_frame_rate or need.fps in {None, preset.frame_rate}:
        return None
    return Objection(
        preset=preset.name,
        code="fps_not_published",
        detail=f"{preset.name} makes {preset.frame_rate} frames a second, not {need.fps:g}.",
        remedy=f"Leave fps out, or ask for {preset.frame_rate} with {preset.name}.",
    )


def the_size_is_one_it_makes(offer: Offer, need: Need, ground: Ground) -> Objection | None:
    """Sides that do not divide into the model's patches are refused by its pipeline."""
    del ground
    preset = offer.preset
    if preset.clip is None:
        return None
    width, height = preset.clip.nearest_size(need.width, need.height)
    if (width, height) == (need.width, need.height):
        return None
    return Objection(
        preset=preset.name,
        code="size_not_published",
        detail=f"{preset.name} takes {preset.clip.sizes()}, not {need.width} x {need.height}.",
        remedy=f"Ask for {width} x {height} with {preset.name}.",
    )


def the_precision_is_published(offer: Offer, need: Need, ground: Ground) -> Objection | None:
    """A preset holds for the compute dtypes it was published for."""
    del need, ground
    if offer.stack.dtype in offer.preset.dtypes:
        return None
    return Objection(
        preset=offer.preset.name,
        code="dtype_not_published",
        detail=f"{offer.preset.name} runs in {' or '.join(offer.preset.dtypes)}, not in {offer.stack.dtype}.",
        remedy=f"Load the stack in {offer.preset.dtypes[0]}."
        if offer.preset.dtypes
        else "Choose another method.",
    )


OFFER_RULES: tuple[OfferRule, ...] = (
    the_licence_permits,
    the_method_is_the_one_asked_for,
    the_rung_belongs_to_the_tier,
    the_approximation_is_allowed,
    the_frames_suit_the_method,
    the_clip_has_a_length_it_makes,
    the_frame_rate_suits_the_method,
    the_size_is_one_it_makes,
    the_precision_is_published,
)


# --- rules on a candidate, with its steps and guidance ---------------------------------

CandidateRule = Callable[[Candidate, Ground], Objection | None]


def the_quality_floor_is_reached(candidate: Candidate, ground: Ground) -> Objection | None:
    """Never below what the manifest calls good enough, on the measured scale."""
    floor = ground.service.quality_floor
    if candidate.quality >= floor:
        return None
    preset = candidate.offer.preset
    best = max((preset.quality_at(steps) for steps in step_options(preset, ground.rule)), default=0.0)
    return Objection(
        preset=preset.name,
        steps=candidate.steps,
        code="below_quality_floor",
        detail=f"{preset.name} reaches {rounded(candidate.quality)} at {plural(candidate.steps, 'step')}, "
        f"under the floor of {number(floor)}.",
        remedy=f"Lower quality_floor to {rounded(max(best, candidate.quality))}, or take another tier.",
    )


def the_latency_target_is_met(candidate: Candidate, ground: Ground) -> Objection | None:
    """Nineteen of twenty pictures within the target, each in a batch of its own."""
    target = ground.service.latency_target_s
    p95 = candidate.seconds()[1]
    if target is None or p95 <= target:
        return None
    return Objection(
        preset=candidate.offer.preset.name,
        steps=candidate.steps,
        code="over_latency_target",
        detail=f"{candidate.offer.preset.name} at {plural(candidate.steps, 'step')} takes {duration(p95)}, "
        f"p95, over the target of {duration(target)}.",
        remedy=f"Allow a latency target of {duration(p95 * 1.05)}, a smaller size or a faster device.",
    )


CANDIDATE_RULES: tuple[CandidateRule, ...] = (the_quality_floor_is_reached, the_latency_target_is_met)


# --- climbing --------------------------------------------------------------------------


def climb(offers: Sequence[Offer], need: Need, ground: Ground) -> Climb:
    """Weigh every offer for a need and rank those that stand."""
    weighed = [weigh(offer, need, ground) for offer in sorted(offers, key=_offer_order)]
    standing = [candidate for candidate in weighed if isinstance(candidate, Candidate)]
    objections = [objection for objection in weighed if isinstance(objection, Objection)]
    return Climb(
        standing=tuple(sorted(standing, key=lambda candidate: _rank(candidate, need, ground.rule))),
        objections=tuple(_with_way_out(objection, offers, need) for objection in objections),
    )


def weigh(offer: Offer, need: Need, ground: Ground) -> Candidate | Objection:
    """One offer as a candidate, or the first thing that speaks against it."""
    for offer_rule in OFFER_RULES:
        if (objection := offer_rule(offer, need, ground)) is not None:
            return objection
    steps = choose_steps(offer.preset, ground.rule, need.steps, ground.service.quality_floor)
    if isinstance(steps, Objection):
        return steps
    candidate = candidate_at(offer, need, ground, steps)
    if isinstance(candidate, Objection) or (objection := speaks_against(candidate, ground)) is None:
        return candidate
    if need.steps is None or may_degrade_at_once(ground):
        for fewer in reversed([count for count in step_options(offer.preset, ground.rule) if count < steps]):
            shorter = candidate_at(offer, need, ground, fewer)
            if isinstance(shorter, Candidate) and speaks_against(shorter, ground) is None:
                return shorter
    return objection


def may_degrade_at_once(ground: Ground) -> bool:
    """Whether explicit steps may become fewer where somebody waits; a night sheds by its own rules."""
    return ground.service.may_degrade and ground.rule.tier is not ServiceTier.BATCH


def candidate_at(offer: Offer, need: Need, ground: Ground, steps: int) -> Candidate | Objection:
    """An offer at a step count, priced; an objection where its guidance is not the caller's to set."""
    guidance = settle_guidance(offer.preset, need.guidance, steps)
    if isinstance(guidance, Objection):
        return guidance
    cache = offer.preset.cache
    key = CostKey(
        stack_id=offer.stack.stack_id,
        pipeline=offer.stack.pipeline,
        width=need.width,
        height=need.height,
        frames=need.frames,
        device=ground.device,
        cached_by=offer.preset.name if cache else "",
    )
    preset, knobs = offer.preset, dict(guidance)
    share = cache.step_share if cache else 1.0
    profiles = tuple(
        profile_for(ground.costs, replace(key, device=device), share)
        for device in (ground.device, *ground.others)
    )
    return Candidate(
        offer=offer,
        steps=steps,
        guidance=guidance,
        rows_per_picture=preset.rows_per_picture(knobs),
        forward_passes=preset.forward_passes(steps, knobs, need.frames),
        timed_steps=preset.timed_steps(steps, knobs),
        quality=preset.quality_at(steps),
        profile=profiles[0],
        elsewhere=profiles[1:],
    )


def speaks_against(candidate: Candidate, ground: Ground) -> Objection | None:
    """The first rule that a priced candidate breaks."""
    return next((found for rule in CANDIDATE_RULES if (found := rule(candidate, ground)) is not None), None)


def rejections(chosen: Candidate, climbed: Climb) -> tuple[Rejection, ...]:
    """Everything that was not chosen, with its reason: what stood second first."""
    second = [_second_best(chosen, other) for other in climbed.standing if other is not chosen]
    return (*second, *(objection.as_rejection() for objection in climbed.objections))


def _second_best(chosen: Candidate, other: Candidate) -> Rejection:
    passes = plural(other.forward_passes, "forward pass")
    made = thing(chosen.profile.key.frames)
    return Rejection(
        preset=other.offer.preset.name,
        steps=other.steps,
        code="not_the_best_rung",
        detail=f"Also possible: {plural(other.steps, 'step')}, quality {rounded(other.quality)} against "
        f"{rounded(chosen.quality)}, {passes} a {made} against {chosen.forward_passes}.",
    )


def _rank(candidate: Candidate, need: Need, rule: TierRule) -> tuple[int, float, int, float, float, str, str]:
    """The preferred family, the rung, default steps, quality; quality first where steps were asked for.

    A family may publish a file for each step count: somebody who waits is given the tier's
    default of them and not the longest.
    """
    preset = candidate.offer.preset
    place = rule.place(preset.rung, is_real_time_native=preset.is_real_time_native)
    rung, quality = float(len(rule.rungs) if place is None else place), -candidate.quality
    first, second = (quality, rung) if need.steps is not None else (rung, quality)
    is_open = rule.default_steps is not None and need.steps is None
    return (
        preference(preset.family, candidate.steps, rule),
        first,
        abs(candidate.steps - (rule.default_steps or 0)) if is_open else 0,
        second,
        candidate.seconds()[0],
        preset.name,
        candidate.offer.stack.stack_id,
    )


def _offer_order(offer: Offer) -> tuple[str, int, str]:
    return offer.preset.name, offer.preset.version, offer.stack.stack_id


def _with_way_out(objection: Objection, offers: Sequence[Offer], need: Need) -> Objection:
    """Beside a refused guidance value, name the permitted preset that takes it."""
    if objection.code != "guidance_not_the_callers" or need.guidance is None:
        return objection
    for offer in sorted(offers, key=_offer_order):
        knob = primary_knob(offer.preset)
        if offer.verdict.is_permit and knob is not None and takes(knob, need.guidance):
            way_out = f" Or ask for method {offer.preset.name} at tier batch, which takes {allowed(knob)}."
            return replace(objection, remedy=objection.remedy + way_out)
    return objection
