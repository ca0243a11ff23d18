"""Courses: shots that share a need, and how they will run; split and cut where a night is short."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from policy.ladder import Candidate, Climb, Ground, Need, candidate_at, judged_on, speaks_against
from policy.manifest import Shot
from policy.step_counts import FAITHFUL, step_options
from policy.tiers import ServiceTier

MOST_BANDS = 16
BAND_FACTOR = 2.0  # what a picture counts for more than one in the band below


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """Shots that share a need (and, where a night is cut, a priority), and how they will run."""

    need: Need
    climbed: Climb
    shots: tuple[int, ...]  # indexes into the manifest, highest priority first
    priority: int  # the highest of its shots
    run: Candidate
    weight: float = 1.0  # of one picture's quality, where a night is cut


def by_need(shots: Sequence[Shot]) -> dict[Need, list[int]]:
    """The indexes of the shots of every distinct need, in the order in which the manifest first has it."""
    seen: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, shot in enumerate(shots):
        size = (shot.width, shot.height, shot.frames, shot.asked_rate)
        seen[shot.model, shot.loras, shot.method, shot.steps, shot.guidance, size].append(index)
    return {Need.of(shots[indexes[0]]): indexes for indexes in seen.values()}


def course_of(
    shots: Sequence[Shot], need: Need, climbed: Climb, indexes: Sequence[int], run: Candidate
) -> Course:
    """The course of some shots, the most urgent first."""
    ordered = tuple(sorted(indexes, key=lambda index: -shots[index].priority))
    return Course(need=need, climbed=climbed, shots=ordered, priority=shots[ordered[0]].priority, run=run)


def place(shot: Shot) -> str:
    """How a message names a shot: by its name, and where it was written."""
    return f"{shot.name} ({shot.where})" if shot.where else shot.name


def by_urgency(shots: Sequence[Shot], courses: Sequence[Course]) -> tuple[Course, ...]:
    """The courses split so that each holds shots of one band of priority and about one weight.

    A picture counts by its own weight, and twice as much as one in the band below. What
    comes out does not depend on the order in which the manifest has its shots.
    """
    bands = _bands(sorted({shot.priority for shot in shots}))
    ranks = {band: rank for rank, band in enumerate(sorted(set(bands.values())))}
    split: list[Course] = []
    for course in courses:
        parts: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index in course.shots:
            shot = shots[index]
            parts[bands[shot.priority], _weight_class(shot.weight)].append(index)
        for (band, _), indexes in parts.items():
            weight = math.fsum(shots[index].weight for index in indexes) / len(indexes)
            split.append(
                replace(
                    course,
                    shots=tuple(sorted(indexes, key=lambda index: _urgency(shots[index]))),
                    priority=band,
                    weight=weight * BAND_FACTOR ** ranks[band],
                )
            )
    return in_order(shots, split)


def in_order(shots: Sequence[Shot], courses: Sequence[Course]) -> tuple[Course, ...]:
    """The most urgent first, then the heaviest, then by name: whatever the order of the manifest."""

    def order(course: Course) -> tuple[int, float, str]:
        return -course.priority, -course.weight, min(shots[index].name for index in course.shots)

    return tuple(sorted(courses, key=order))


def _urgency(shot: Shot) -> tuple[int, float, str]:
    return -shot.priority, -shot.weight, shot.name


def _weight_class(weight: float) -> int:
    """Weights within a factor of about 1.4 are weighed alike, so that shots can still share batches."""
    return round(2 * math.log2(weight))


def divided(course: Course, portions: Sequence[tuple[Candidate, int]]) -> tuple[Course, ...]:
    """A course over the ways that it was allotted: the most urgent shots get the best."""
    parts: list[Course] = []
    start = 0
    for run, pictures in portions:
        parts.append(replace(course, run=run, shots=course.shots[start : start + pictures]))
        start += pictures
    return tuple(parts)


def joined(courses: Sequence[Course]) -> tuple[Course, ...]:
    """Courses of one priority and need that came to run alike, as one, so that they share batches."""
    found: dict[tuple[int, Need, int], Course] = {}
    for course in courses:
        key = (course.priority, course.need, id(course.run))
        before = found.get(key)
        found[key] = course if before is None else replace(before, shots=before.shots + course.shots)
    return tuple(found.values())


def _bands(priorities: Sequence[int]) -> dict[int, int]:
    """Each priority with the highest of its band; a few bands, so that shots can still share batches."""
    if len(priorities) <= MOST_BANDS:
        return {priority: priority for priority in priorities}
    width = math.ceil(len(priorities) / MOST_BANDS)
    return {
        priority: priorities[min(rank // width * width + width, len(priorities)) - 1]
        for rank, priority in enumerate(priorities)
    }


def may_shed(ground: Ground) -> bool:
    """Whether a night may take steps away: where the order allows it, and nobody waits for a picture."""
    return ground.service.may_degrade and ground.rule.tier is ServiceTier.BATCH


def judged_as(course: Course, ground: Ground) -> Ground:
    """The facts as judged on the device that a course was judged on."""
    return judged_on(ground, course.run.profile.key.device)


def cheaper_ways(course: Course, ground: Ground) -> tuple[Candidate, ...]:
    """What may run instead when the night is short: fewer steps, then lower rungs; explicit steps stay.

    A cache saves less than half of a step, so it is worth something beside fewer steps of the
    full run and not only below them: it brings every step count of its own.
    """
    need, first = course.need, course.run
    if need.steps is not None or ground.rule.tier is not ServiceTier.BATCH:
        return ()
    standing = _shorter(first, need, ground)
    rungs = ground.rule.rungs
    below = [
        other
        for other in course.climbed.standing
        if rungs.index(other.offer.preset.rung) > rungs.index(first.offer.preset.rung)
    ]
    cached = [
        way
        for other in below
        if other.offer.preset.cache is not None
        for way in (other, *_shorter(other, need, ground))
    ]
    others = [other for other in below if other.offer.preset.cache is None]
    return (*standing, *cached, *_falling([*standing, *cached, first], others))


def _shorter(run: Candidate, need: Need, ground: Ground) -> list[Candidate]:
    """The same method at fewer steps, the most first."""
    fewer = [steps for steps in step_options(run.offer.preset, ground.rule) if steps < run.steps]
    if run.offer.preset.rung not in FAITHFUL:
        fewer = [steps for steps in fewer if steps >= ground.rule.min_steps]
    shorter = (candidate_at(run.offer, need, ground, steps) for steps in reversed(fewer))
    return [
        choice
        for choice in shorter
        if isinstance(choice, Candidate) and speaks_against(choice, ground) is None
    ]


def _falling(above: Sequence[Candidate], below: Sequence[Candidate]) -> list[Candidate]:
    """The lower rungs that really cost less than everything above them, dearest first."""
    least = min(choice.seconds()[1] for choice in above)
    cheaper = [choice for choice in below if choice.seconds()[1] < least]
    return sorted(cheaper, key=lambda choice: -choice.seconds()[1])
