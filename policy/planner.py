"""make_plan: one order, one menu, one fleet; every choice for every shot, with its reasons."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
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
    may_shed,
    place,
)
from policy.decisions import decide
from policy.finish import device_seconds
from policy.ladder import Candidate, Ground, Need, climb
from policy.layouts import Laid, Layout, Part, lay_out, price, sized, works_of
from policy.manifest import RenderManifest, Shot
from policy.menu import Menu, Offer
from policy.night import ALIKE, Group, Night, Shortfall, allot_night, why_it_does_not_fit
from policy.plan import (
    POLICY_VERSION,
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
    service = manifest.service
    ground = Ground(service=service, rule=TIER_TABLE[service.tier], costs=tuple(costs), device=fleet.device)
    refusal = malformed(manifest) or _too_late(manifest, fleet, now)
    if refusal is not None:
        return refusal
    courses = _courses(manifest, menu, ground)
    if isinstance(courses, PlanRefusal):
        return courses
    allotted = _fit_the_night(manifest, menu, courses, ground, fleet, now)
    if isinstance(allotted, PlanRefusal):
        return allotted
    return _written_down(manifest, menu, allotted, ground, fleet, runtime, now)


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


def _courses(manifest: RenderManifest, menu: Menu, ground: Ground) -> tuple[Course, ...] | PlanRefusal:
    """One course for every distinct need, the most urgent first."""
    offers: dict[tuple[str, object], list[Offer]] = defaultdict(list)
    for offer in menu.offers:
        offers[offer.model, offer.loras].append(offer)
    shots, courses, denied = manifest.shots, list[Course](), list[Denied]()
    for need, indexes in by_need(shots).items():
        climbed = climb(offers[need.model, need.loras], need, ground)
        if climbed.standing:
            courses.append(course_of(shots, need, climbed, indexes, climbed.standing[0]))
        else:
            denied.append(
                Denied(need=need, shots=tuple(place(shots[index]) for index in indexes), climbed=climbed)
            )
    return refuse_denied(denied, menu, ground) if denied else in_order(shots, courses)


# --- the night -------------------------------------------------------------------------------


def _fit_the_night(
    manifest: RenderManifest,
    menu: Menu,
    courses: tuple[Course, ...],
    ground: Ground,
    fleet: Fleet,
    now: datetime,
) -> tuple[Course, ...] | PlanRefusal:
    """The courses as they are where there is time for them; cut where the order allows it; else a refusal."""
    within = _time_left(ground, now)
    if within is None or _laid(courses, ground, fleet, within)[1].finish.p95 <= within:
        return courses
    split = by_urgency(manifest.shots, courses)
    groups = _groups(split, _cheaper(courses, ground))
    night = Night(
        seconds=within,
        may_degrade=may_shed(ground),
        latency_target_s=ground.service.latency_target_s,
        fleet=fleet,
    )
    outcome = allot_night(groups, night, _without_a_floor(menu, courses, split, ground))
    if isinstance(outcome, Shortfall):
        deadline = ground.service.deadline or now
        reason = Reason(
            code="night_does_not_fit", ruling=Ruling.DENY, detail=why_it_does_not_fit(outcome, deadline, now)
        )
        return PlanRefusal(reasons=(reason,), remedies=outcome.remedies)
    return joined(
        [
            part
            for course, portions in zip(split, outcome.portions, strict=True)
            for part in divided(course, portions)
        ]
    )


def _time_left(ground: Ground, now: datetime) -> float | None:
    deadline = ground.service.deadline
    return None if deadline is None else (deadline - now).total_seconds()


def _cheaper(courses: Sequence[Course], ground: Ground) -> dict[Need, tuple[Candidate, ...]]:
    return {course.need: cheaper_ways(course, ground) for course in courses}


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
            course, climbed=climb(menu.offers_for(course.need.model, course.need.loras), course.need, free)
        )
        for course in courses
    ]
    return _groups(split, _cheaper(lowered, free))


# --- writing it down ---------------------------------------------------------------------------


def _written_down(
    manifest: RenderManifest,
    menu: Menu,
    courses: tuple[Course, ...],
    ground: Ground,
    fleet: Fleet,
    runtime: Versions,
    now: datetime,
) -> ExecutionPlan:
    parts, layout = _laid(courses, ground, fleet, _time_left(ground, now))
    laid = sized(parts, layout)
    offer_digests: dict[Offer, str] = {}
    decisions = tuple(
        decide(course, part, ground, offer_digests) for course, part in zip(courses, laid, strict=True)
    )
    shots = _planned_shots(manifest.shots, courses, runtime)
    batches = _batches(manifest.shots, courses, laid)
    return ExecutionPlan(
        plan_hash=plan_digest(manifest, decisions, shots, batches),
        policy_version=POLICY_VERSION,
        manifest=manifest,
        decisions=decisions,
        shots=shots,
        batches=batches,
        totals=_totals(courses, parts, layout, fleet),
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
            course.run, width=need.width, height=need.height, frames=need.frames, runtime=runtime
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


def _laid(
    courses: Sequence[Course], ground: Ground, fleet: Fleet, within: float | None
) -> tuple[list[Part], Layout]:
    """Courses as batches, the most urgent first; cut so that they end in time where that can be."""
    parts = [
        Part(priced=price(course.run, ground.service.latency_target_s), pictures=len(course.shots))
        for course in courses
    ]
    return parts, lay_out(parts, fleet, None if within is None else within * ALIKE)


def _totals(courses: Sequence[Course], parts: Sequence[Part], layout: Layout, fleet: Fleet) -> PlanTotals:
    device = device_seconds(works_of(parts, layout))
    per_hour = fleet.price_per_device_hour
    return PlanTotals(
        shots=sum(len(course.shots) for course in courses),
        forward_passes=sum(course.run.forward_passes * len(course.shots) for course in courses),
        seconds_p50=device.p50,
        seconds_p95=device.p95,
        wall_seconds_p50=layout.finish.p50,
        wall_seconds_p95=layout.finish.p95,
        bytes_on_disk=sum(len(course.shots) * _picture_bytes(course.need) for course in courses),
        price=None if per_hour is None else device.p50 / 3600 * per_hour,
        currency=fleet.currency,
    )


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
    return (*night, *deaf, *unknown_words(manifest.shots, menu), *waived)
