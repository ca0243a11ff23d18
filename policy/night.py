"""Does the night fit, and if not, what gives?

Where the order fits as it was asked for, nothing changes. Where it does not and the order
allows it, steps go where they are worth least: by the weighted quality that a second of
device time buys, down to the floor of the tier's band, or to a lower rung where that
loses less. Where even the cheapest of everything does not fit, the answer says when the
night would end and which single change would make it fit. It fits when nineteen of
twenty such nights would end in time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from policy.allotment import Pile, Stage, Way, allot, asked, floor, fluid_quality, quality, seconds
from policy.costs import DeviceGroup, Fleet
from policy.finish import Finish
from policy.ladder import Candidate
from policy.layouts import Part, Priced, keeps, lay_out, least_seconds, price
from policy.quality_curves import curve_of
from policy.wording import duration, plural, rounded

MOST_WORKERS = 4096  # nobody is advised to hire more
ALIKE = 1 + 1e-9  # two ends that differ by less are the same end, added up in another order


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Pictures of one weight and need, and the ways they may run: the chosen one, then any that cost less."""

    pictures: int
    priority: int
    weight: float  # of the quality of one picture
    choices: tuple[Candidate, ...]
    kind: int = -1  # groups of one kind and priority share batches where they run alike; -1: with nobody


@dataclass(frozen=True, kw_only=True, slots=True)
class Night:
    """The deadline in seconds from now, and what may be done to keep it."""

    seconds: float
    may_degrade: bool
    latency_target_s: float | None
    fleet: Fleet


Portions = tuple[tuple[Candidate, int], ...]  # ways that a group runs, with how many pictures, best first


@dataclass(frozen=True, kw_only=True, slots=True)
class Allotment:
    """What each group runs, in the order of the groups, and when that ends."""

    portions: tuple[Portions, ...]
    finish: Finish
    quality: float  # summed over pictures, weighted
    fluid: float  # the optimum if pictures could be divided and batches had no tail


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """The night does not fit: when it would end as asked and at its floor, and what would make it fit."""

    wall_p95: float  # as asked
    floor_wall_p95: float  # after shedding everything that may be shed
    late_by: float  # seconds, at the floor
    remedies: tuple[str, ...]  # the cheapest change first


@dataclass(frozen=True, slots=True)
class _Table:
    """Groups as piles, and what each of their ways costs."""

    groups: tuple[Group, ...]
    piles: tuple[Pile, ...]
    priced: tuple[tuple[Priced, ...], ...]  # by group and way

    def parts(self, stage: Stage) -> list[Part]:
        merged: dict[tuple[int, int, int], Part] = {}
        for number, share in enumerate(stage):
            group = self.groups[number]
            kind = group.kind if group.kind >= 0 else -1 - number
            for way, units in share:
                before = merged.get((group.priority, kind, way))
                pictures = units + (before.pictures if before else 0)
                merged[group.priority, kind, way] = Part(priced=self.priced[number][way], pictures=pictures)
        return list(merged.values())

    def finish(self, stage: Stage, fleet: Fleet, within: float | None = None) -> Finish:
        return lay_out(self.parts(stage), fleet, within).finish

    def keeps(self, stage: Stage, fleet: Fleet, within: float) -> bool:
        return keeps(self.parts(stage), fleet, within)

    def capacity(self, fleet: Fleet, within: float) -> float:
        """Seconds of the device that ways were judged on, which no stage that ends within these exceeds."""
        if len(fleet.groups) == 1:
            return within * fleet.workers
        return within * math.fsum(group.workers * self._speed(group.device) for group in fleet.groups)

    def _speed(self, device: str) -> float:
        """How many seconds of the judging device one of this device does at most, whatever it takes."""
        here = [way for ways in self.priced for way in ways]
        there = [(way, other) for way in here if (other := way.on(device)) is not None and other.cap]
        own = len({way.family for way in here})
        others = len({other.family for _, other in there})
        return max(
            (least_seconds(way, own) / least_seconds(other, others) for way, other in there), default=0.0
        )


def allot_night(groups: Sequence[Group], night: Night, lower: Sequence[Group] = ()) -> Allotment | Shortfall:
    """The highest quality that ends in time, or why none does.

    Groups come with the most urgent first. ``lower`` are the same without a quality floor,
    where one was asked for: they tell whether a lower floor would help.
    """
    table = _table(groups, night.latency_target_s, may_degrade=night.may_degrade)
    stage = _best(table, night)
    if stage is not None:
        return _allotment(table, stage, night)
    at_floor = table.finish(floor(table.piles), night.fleet, night.seconds).p95
    return Shortfall(
        wall_p95=table.finish(asked(table.piles), night.fleet, night.seconds).p95,
        floor_wall_p95=at_floor,
        late_by=at_floor - night.seconds,
        remedies=_remedies(groups, lower, table, at_floor, night),
    )


def _best(table: _Table, night: Night) -> Stage | None:
    within = night.seconds * ALIKE

    def fits(stage: Stage) -> bool:
        return table.keeps(stage, night.fleet, within)

    return allot(table.piles, table.capacity(night.fleet, within), fits)


def _allotment(table: _Table, stage: Stage, night: Night) -> Allotment:
    capacity = table.capacity(night.fleet, night.seconds * ALIKE)
    reached = quality(table.piles, stage)
    fluid = fluid_quality(table.piles, capacity)
    return Allotment(
        portions=tuple(
            tuple((priced[way].candidate, units) for way, units in share)
            for priced, share in zip(table.priced, stage, strict=True)
        ),
        finish=table.finish(stage, night.fleet, night.seconds * ALIKE),
        quality=reached,
        fluid=reached if fluid is None else max(fluid, reached),
    )


def _table(groups: Sequence[Group], latency_target_s: float | None, *, may_degrade: bool) -> _Table:
    """Each group's ways from the cheapest up; only the asked one where nothing may give way.

    The asked way is the best by the ladder, so none that costs less counts for more, and
    none that costs as much is any help.
    """
    priced: list[tuple[Priced, ...]] = []
    for group in groups:
        first, *others = (
            price(choice, latency_target_s) for choice in group.choices[: None if may_degrade else 1]
        )
        cheaper = [other for other in others if other.least < first.least]
        priced.append((*sorted(cheaper, key=_dearness), first))
    families = len({way.family for ways in priced for way in ways})
    piles = tuple(
        Pile(units=group.pictures, weight=group.weight, ways=_ways(ways, families))
        for group, ways in zip(groups, priced, strict=True)
    )
    return _Table(tuple(groups), piles, tuple(priced))


def _dearness(priced: Priced) -> tuple[float, int, str]:
    return priced.least, priced.candidate.steps, priced.candidate.offer.preset.name


def _ways(ways: tuple[Priced, ...], families: int) -> tuple[Way, ...]:
    most = worth(ways[-1].candidate)
    return tuple(
        Way(
            steps=way.candidate.steps,
            quality=min(most, worth(way.candidate)),
            seconds=least_seconds(way, families),
        )
        for way in ways
    )


def worth(candidate: Candidate) -> float:
    """What a way to run counts for: its preset's curve at its steps."""
    return curve_of(candidate.offer.preset).at(candidate.steps)


# --- what would make it fit ----------------------------------------------------------------


def _remedies(
    groups: Sequence[Group], lower: Sequence[Group], table: _Table, at_floor: float, night: Night
) -> tuple[str, ...]:
    """Changes that would each fit alone, the cheapest first: shed quality, wait, hire, drop."""
    found = (
        _if_it_may_degrade(groups, night),
        _if_the_floor_is_lower(lower, night),
        f"Move the deadline {duration(at_floor - night.seconds)} later.",
        _if_more_work(table, night),
        _if_some_are_dropped(table, night),
    )
    return tuple(remedy for remedy in found if remedy)


def _if_it_may_degrade(groups: Sequence[Group], night: Night) -> str:
    if night.may_degrade:
        return ""
    table = _table(groups, night.latency_target_s, may_degrade=True)
    stage = _best(table, night)
    if stage is None:
        return ""
    fitting = _allotment(table, stage, night)
    said = sorted(
        {
            f"{choice.offer.preset.name} at {plural(choice.steps, 'step')}"
            for portions in fitting.portions
            for choice, _ in portions
        }
    )
    shown = " and ".join(said if len(said) <= 3 else [said[0], said[-1]])
    return f"Set may_degrade = true: {shown} ends in {duration(fitting.finish.p95)}."


def _if_the_floor_is_lower(lower: Sequence[Group], night: Night) -> str:
    if not lower or not night.may_degrade:
        return ""
    table = _table(lower, night.latency_target_s, may_degrade=True)
    stage = _best(table, night)
    if stage is None:
        return ""
    fitting = _allotment(table, stage, night)
    least = min(choice.quality for portions in fitting.portions for choice, _ in portions)
    return f"Lower quality_floor to {rounded(least)}: it ends in {duration(fitting.finish.p95)}."


def _if_more_work(table: _Table, night: Night) -> str:
    stage = floor(table.piles)
    within = night.seconds * ALIKE
    found: list[tuple[float, int, str]] = []  # dearness, more workers, advice
    groups = night.fleet.groups
    is_priced = all(group.price_per_device_hour is not None for group in groups)
    for place, group in enumerate(groups):

        def fits(workers: int, place: int = place, group: DeviceGroup = group) -> bool:
            more = (*groups[:place], replace(group, workers=workers), *groups[place + 1 :])
            fleet = replace(night.fleet, groups=more)
            if seconds(table.piles, stage) > table.capacity(fleet, within):
                return False
            return table.keeps(stage, fleet, within)

        needed = _smallest(fits, group.workers + 1, MOST_WORKERS)
        if needed is not None:
            more = needed - group.workers
            dearness = more * (group.price_per_device_hour or 0.0) if is_priced else 0.0
            whose = f" of {group.device}" if len(groups) > 1 else ""
            found.append(
                (dearness, more, f"Use {plural(needed, 'worker')}{whose} instead of {group.workers}.")
            )
    return min(found, default=(0.0, 0, ""))[2]


def _if_some_are_dropped(table: _Table, night: Night) -> str:
    within = night.seconds * ALIKE
    stage = floor(table.piles)

    def fits(dropped: int) -> bool:
        return table.keeps(_without(table, stage, dropped), night.fleet, within)

    needed = _smallest(fits, 1, sum(group.pictures for group in table.groups) - 1)
    return "" if needed is None else f"Leave out the {plural(needed, 'shot')} of lowest priority."


def _without(table: _Table, stage: Stage, dropped: int) -> Stage:
    """A stage with so many pictures fewer, the lowest priority first, and of that the lightest."""
    left = dropped
    kept = [list(share) for share in stage]
    groups = table.groups
    for index in sorted(range(len(groups)), key=lambda index: (groups[index].priority, groups[index].weight)):
        (way, units) = kept[index][0]
        gone = min(left, units)
        left -= gone
        kept[index] = [(way, units - gone)] if gone < units else []
    return tuple(tuple(share) for share in kept)


def _smallest(fits: Callable[[int], bool], low: int, high: int) -> int | None:
    """The smallest number in the range that fits, where more always fits better."""
    if low > high or not fits(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if fits(middle):
            high = middle
        else:
            low = middle + 1
    return high


def why_it_does_not_fit(shortfall: Shortfall, deadline: datetime, now: datetime) -> str:
    """The sentence of the refusal: the estimated end, the deadline, and by how much it is missed."""
    end = (now + timedelta(seconds=shortfall.floor_wall_p95)).astimezone(deadline.tzinfo)
    shed = ", even with every step shed that may be" if shortfall.floor_wall_p95 < shortfall.wall_p95 else ""
    precise = "%Y-%m-%d %H:%M:%S %Z" if shortfall.late_by < 600 else "%Y-%m-%d %H:%M %Z"
    return (
        f"The night does not fit: it would end at {end:{precise}} (p95){shed}, "
        f"{duration(shortfall.late_by)} after the deadline of {deadline:{precise}}."
    )
