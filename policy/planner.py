"""make_plan: one order, one menu, one fleet; every choice for every shot, with its reasons."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from policy.batching import compose
from policy.costs import CostProfile, Fleet
from policy.courses import (
    Course,
    by_need,
    by_urgency,
    cheaper_ways,
    course_of,
    divided,
    in_order,
    joined,
    judged_as,
    may_shed,
    place,
)
from policy.decisions import decide
from policy.finish import device_seconds
from policy.ladder import Candidate, Climb, Ground, Need, climb, judged_on
from policy.layouts import Laid, Layout, Part, keeps, lay_out, price, sized
from policy.limits import told as told_limits
from policy.manifest import RenderManifest, Shot
from policy.menu import Menu, Offer
from policy.night import (
    ALIKE,
    Allotment,
    Group,
    Night,
    Shortfall,
    allot_night,
    why_it_does_not_fit,
    worth,
)
from policy.plan import (
    POLICY_VERSION,
    DeviceShare,
    ExecutionPlan,
    PlannedBatch,
    PlannedShot,
    PlanRefusal,
    PlanTotals,
)
from policy.plan_digests import plan_digest
from policy.prompts import inert_negatives, unknown_words
from policy.refusals import Denied, malformed, refuse, refuse_denied
from policy.shot_keys import Versions, run_digest, shot_key
from policy.sizes import strange_sizes
from policy.spans import Ending, whole_seconds
from policy.tiers import TIER_TABLE
from policy.verdicts import Reason, Ruling
from policy.wording import plural

STATEMENT_BYTES = 8192  # provenance beside each artefact, generously


def make_plan(
    *,
    manifest: RenderManifest,
    menu: Menu,
    costs: Sequence[CostProfile],
    fleet: Fleet,
    runtime: Versions,
    now: datetime,
) -> ExecutionPlan | PlanRefusal:
    """Decide everything, or refuse with every reason and what would make it work.

    ``runtime`` names the renderer and the library versions that determine pixels. The
    same arguments give the same ``plan_hash``, whatever the order of menu and costs.
    """
    refusal = malformed(manifest) or _too_late(manifest, fleet, now)
    if refusal is not None:
        return refusal
    fleet = fleet.in_order
    needs = by_need(manifest.shots)
    asked: list[Asked] = []
    denied: list[PlanRefusal] = []
    for ground in _grounds(manifest, costs, fleet):
        courses = _courses(manifest, needs, menu, ground)
        if isinstance(courses, PlanRefusal):
            denied.append(courses)
        else:
            asked.append(Asked(ground=ground, courses=courses))
    if not asked:
        return denied[0]
    found = _fit_the_night(manifest, menu, asked, fleet, now)
    if isinstance(found, PlanRefusal):
        return found
    return _written_down(manifest, menu, found, fleet, runtime, now)


def _too_late(manifest: RenderManifest, fleet: Fleet, now: datetime) -> PlanRefusal | None:
    deadline = manifest.service.deadline
    if fleet.workers < 1:
        return refuse("no_workers", "There is no worker to render on.", "Use at least one worker.")
    if deadline is not None and deadline <= now:
        return refuse(
            "deadline_passed",
            f"The deadline of {deadline:%Y-%m-%d %H:%M %Z} has passed.",
            "Give a later deadline.",
        )
    return None


# --- what each shot needs ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A night as it was asked for, judged on one device of the fleet."""

    ground: Ground
    courses: tuple[Course, ...]


def _grounds(manifest: RenderManifest, costs: Sequence[CostProfile], fleet: Fleet) -> tuple[Ground, ...]:
    """The facts as judged on each device of the fleet.

    Which device a night is judged on decides what is asked and in which order it is cut.
    Each is tried, so that a device that joins the fleet only adds to what there was.
    """
    service = manifest.service
    return tuple(
        Ground(
            service=service,
            rule=TIER_TABLE[service.tier],
            costs=tuple(costs),
            device=device,
            others=tuple(other for other in fleet.devices if other != device),
        )
        for device in fleet.devices
    )


def _courses(
    manifest: RenderManifest, needs: Mapping[Need, Sequence[int]], menu: Menu, ground: Ground
) -> tuple[Course, ...] | PlanRefusal:
    """One course for every distinct need, the most urgent first."""
    offers: dict[tuple[str, object], list[Offer]] = defaultdict(list)
    for offer in menu.offers:
        offers[offer.model, offer.loras].append(offer)
    shots, courses, denied = manifest.shots, list[Course](), list[Denied]()
    for need, indexes in needs.items():
        climbed = _climbed(offers[need.model, need.loras], need, ground)
        if climbed.standing:
            courses.append(course_of(shots, need, climbed, indexes, climbed.standing[0]))
        else:
            denied.append(
                Denied(need=need, shots=tuple(place(shots[index]) for index in indexes), climbed=climbed)
            )
    return refuse_denied(denied, menu, ground) if denied else in_order(shots, courses)


def _climbed(offers: Sequence[Offer], need: Need, ground: Ground) -> Climb:
    """What stands on the judging device; where nothing does, on the first other one that has something.

    A target that one device misses is met where another one takes the batch.
    """
    first = climb(offers, need, ground)
    if first.standing:
        return first
    others = (climb(offers, need, judged_on(ground, device)) for device in ground.others)
    return next((other for other in others if other.standing), first)


# --- the night -------------------------------------------------------------------------------


def _fit_the_night(
    manifest: RenderManifest, menu: Menu, asked: Sequence[Asked], fleet: Fleet, now: datetime
) -> Asked | PlanRefusal:
    """As asked where there is time for it; cut where the order allows it; else a refusal.

    Of what fits as judged on the several devices, the best: quality first, then the end.
    """
    within = _time_left(manifest, now)
    fitting = [one for one in asked if within is None or keeps(_parts(one), fleet, within)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting or within is None:
        return min(fitting, key=lambda one: (-_worth_asked(one), _laid(one, fleet, within)[1].finish.p95))
    nights: list[tuple[float, Asked]] = []
    shortfalls: list[Shortfall] = []
    by_band = by_urgency(manifest.shots, asked[0].courses)
    for one in asked:
        split = _judged_alike(by_band, one.courses)
        outcome = _allotted(menu, one, split, fleet, within)
        if isinstance(outcome, Shortfall):
            shortfalls.append(outcome)
        else:
            nights.append((outcome.quality, replace(one, courses=_as_allotted(split, outcome))))
    if nights:
        return max(nights, key=lambda night: night[0])[1]
    outcome = min(shortfalls, key=lambda shortfall: shortfall.floor_wall_p95)
    deadline = manifest.service.deadline or now
    reason = Reason(
        code="night_does_not_fit", ruling=Ruling.DENY, detail=why_it_does_not_fit(outcome, deadline, now)
    )
    return PlanRefusal(reasons=(reason,), remedies=outcome.remedies)


def _worth_asked(asked: Asked) -> float:
    return math.fsum(len(course.shots) * worth(course.run) for course in asked.courses)


def _allotted(
    menu: Menu, asked: Asked, split: Sequence[Course], fleet: Fleet, within: float
) -> Allotment | Shortfall:
    ground = asked.ground
    groups = _groups(split, _cheaper(asked.courses, ground))
    night = Night(
        seconds=within,
        may_degrade=may_shed(ground),
        latency_target_s=ground.service.latency_target_s,
        fleet=fleet,
    )
    return allot_night(groups, night, _without_a_floor(menu, asked.courses, split, ground))


def _judged_alike(split: Sequence[Course], courses: Sequence[Course]) -> list[Course]:
    """A split of the night, with how its needs run as judged on another device."""
    runs = {course.need: course for course in courses}
    return [replace(part, climbed=runs[part.need].climbed, run=runs[part.need].run) for part in split]


def _as_allotted(split: Sequence[Course], allotment: Allotment) -> tuple[Course, ...]:
    return joined(
        [
            part
            for course, portions in zip(split, allotment.portions, strict=True)
            for part in divided(course, portions)
        ]
    )


def _time_left(manifest: RenderManifest, now: datetime) -> float | None:
    deadline = manifest.service.deadline
    return None if deadline is None else (deadline - now).total_seconds()


def _cheaper(courses: Sequence[Course], ground: Ground) -> dict[Need, tuple[Candidate, ...]]:
    return {course.need: cheaper_ways(course, judged_as(course, ground)) for course in courses}


def _groups(split: Sequence[Course], cheaper: dict[Need, tuple[Candidate, ...]]) -> list[Group]:
    kinds = {need: kind for kind, need in enumerate(cheaper)}
    return [
        Group(
            pictures=len(course.shots),
            priority=course.priority,
            weight=course.weight,
            choices=(course.run, *cheaper[course.need]),
            kind=kinds[course.need],
        )
        for course in split
    ]


def _without_a_floor(
    menu: Menu, courses: Sequence[Course], split: Sequence[Course], ground: Ground
) -> list[Group]:
    """The same night where no quality floor was asked for; nothing where none was."""
    if not ground.service.quality_floor:
        return []
    free = replace(ground, service=replace(ground.service, quality_floor=0.0))
    lowered = [
        replace(
            course,
            climbed=climb(
                menu.offers_for(course.need.model, course.need.loras), course.need, judged_as(course, free)
            ),
        )
        for course in courses
    ]
    return _groups(split, _cheaper(lowered, free))


# --- writing it down ---------------------------------------------------------------------------


def _written_down(
    manifest: RenderManifest,
    menu: Menu,
    asked: Asked,
    fleet: Fleet,
    runtime: Versions,
    now: datetime,
) -> ExecutionPlan:
    parts, layout = _laid(asked, fleet, _time_left(manifest, now))
    laid = sized(parts, layout)
    courses, ground = asked.courses, asked.ground
    decisions = tuple(decide(course, part, ground) for course, part in zip(courses, laid, strict=True))
    shots = _planned_shots(manifest.shots, courses, runtime)
    batches = _batches(manifest.shots, courses, laid)
    return ExecutionPlan(
        plan_hash=plan_digest(manifest, decisions, shots, batches),
        policy_version=POLICY_VERSION,
        manifest=manifest,
        decisions=decisions,
        shots=shots,
        batches=batches,
        totals=_totals(courses, layout.ending, fleet),
        warnings=_warnings(manifest, menu, courses),
        made_at=now,
    )


def _planned_shots(
    shots: Sequence[Shot], courses: Sequence[Course], runtime: Versions
) -> tuple[PlannedShot, ...]:
    planned: list[PlannedShot | None] = [None] * len(shots)
    for decision, course in enumerate(courses):
        need = course.need
        run = run_digest(
            course.run,
            width=need.width,
            height=need.height,
            frames=need.frames,
            runtime=runtime,
            fps=need.frame_rate(course.run.offer.preset),
        )
        for index in course.shots:
            shot = shots[index]
            planned[index] = PlannedShot(shot=shot, decision=decision, shot_key=shot_key(run, shot))
    return tuple(shot for shot in planned if shot is not None)


def _batches(
    shots: Sequence[Shot], courses: Sequence[Course], laid: Sequence[Laid]
) -> tuple[PlannedBatch, ...]:
    """Every batch, those of the highest priority first."""
    composed = [
        PlannedBatch(decision=index, shots=batch)
        for index, (course, part) in enumerate(zip(courses, laid, strict=True))
        for batch in compose(course.shots, part.sizes)
    ]
    return tuple(sorted(composed, key=lambda batch: -shots[batch.shots[0]].priority))


def _laid(asked: Asked, fleet: Fleet, within: float | None) -> tuple[list[Part], Layout]:
    """Courses as batches, the most urgent first; cut so that they end in time where that can be."""
    parts = _parts(asked)
    return parts, lay_out(parts, fleet, None if within is None else within * ALIKE)


def _parts(asked: Asked) -> list[Part]:
    return [
        Part(priced=price(course.run, asked.ground.service.latency_target_s), pictures=len(course.shots))
        for course in asked.courses
    ]


def _totals(courses: Sequence[Course], ending: Ending, fleet: Fleet) -> PlanTotals:
    device = whole_seconds(ending)
    shares = _shares(ending, fleet)
    prices = [share.price for share in shares if share.batches]
    return PlanTotals(
        shots=sum(len(course.shots) for course in courses),
        forward_passes=sum(course.run.forward_passes * len(course.shots) for course in courses),
        seconds_p50=device.p50,
        seconds_p95=device.p95,
        wall_seconds_p50=ending.finish.p50,
        wall_seconds_p95=ending.finish.p95,
        bytes_on_disk=sum(len(course.shots) * _picture_bytes(course.need) for course in courses),
        price=None if None in prices else math.fsum(price for price in prices if price is not None),
        currency=fleet.currency,
        devices=shares,
    )


def _shares(ending: Ending, fleet: Fleet) -> tuple[DeviceShare, ...]:
    """What each device is predicted to do, in the order of the fleet."""
    shares: list[DeviceShare] = []
    for group, works in zip(fleet.groups, ending.shares, strict=True):
        seconds, per_hour = device_seconds(works), group.price_per_device_hour
        shares.append(
            DeviceShare(
                device=group.device,
                workers=group.workers,
                batches=sum(run.batches for work in works for run in work.runs),
                seconds_p50=seconds.p50,
                seconds_p95=seconds.p95,
                price=None if per_hour is None else seconds.p50 / 3600 * per_hour,
            )
        )
    return tuple(shares)


def _picture_bytes(need: Need) -> int:
    """What a picture and its statement take at most: raw RGB, since noise does not compress."""
    return need.width * need.height * need.frames * 3 + STATEMENT_BYTES


def _warnings(manifest: RenderManifest, menu: Menu, courses: Sequence[Course]) -> tuple[str, ...]:
    cut = sum(len(course.shots) for course in courses if course.run != course.climbed.standing[0])
    night = (
        (f"{plural(cut, 'shot')} run fewer steps than asked, so that the night ends in time.",) if cut else ()
    )
    deaf = [
        warning
        for course in courses
        for warning in inert_negatives([manifest.shots[index] for index in course.shots], course.run)
    ]
    waived = ("Output checks are waived in the manifest.",) if manifest.waive_output_checks else ()
    strange = (*unknown_words(manifest.shots, menu), *strange_sizes(manifest.shots, menu))
    return (*night, *deaf, *strange, *waived, *told_limits(manifest.limits))
