"""Does the night fit, and if not, what gives?

The wall time is predicted by laying the batches onto the workers as the pool will: the
next batch to the worker that is free first, a load wherever its stack changes, p95
seconds throughout. Where it does not fit and the order allows it, steps are shed before
shots: the lowest priority first, evenly within a priority, down to the floor of the
tier's band; only then does a rung give way. Where even that does not fit, the answer
says when the night would end and which single change would make it fit.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from policy.batching import Portion, batch_cap, batch_sizes
from policy.costs import Fleet
from policy.ladder import Candidate
from policy.wording import duration, plural

MOST_WORKERS = 4096  # nobody is advised to hire more


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Pictures of one priority and need, and the ways they may run: the chosen one, then ever cheaper."""

    pictures: int
    priority: int
    choices: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Night:
    """The deadline in seconds from now, and what may be done to keep it."""

    seconds: float
    may_degrade: bool
    latency_target_s: float | None
    fleet: Fleet


@dataclass(frozen=True, kw_only=True, slots=True)
class Allotment:
    """What each group runs, in the order of the groups, and when that ends."""

    chosen: tuple[Candidate, ...]
    wall_p95: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """The night does not fit: when it would end as asked and at its floor, and what would make it fit."""

    wall_p95: float  # as asked
    floor_wall_p95: float  # after shedding everything that may be shed
    late_by: float  # seconds, at the floor
    remedies: tuple[str, ...]  # the cheapest change first


@dataclass(frozen=True, kw_only=True, slots=True)
class Laid:
    """Batches of one way to run, in the order in which they are handed out."""

    candidate: Candidate
    sizes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cut:
    """One thing that gives way: the most steps that a priority still gets, or how many rungs down it goes."""

    priority: int
    most_steps: int | None = None
    rungs_down: int = 0


def wall_seconds(laid: Sequence[Laid], fleet: Fleet) -> tuple[float, float]:
    """(p50, p95) seconds until the last worker is done, loads included."""
    return _makespan(laid, fleet, 0), _makespan(laid, fleet, 1)


def _makespan(laid: Sequence[Laid], fleet: Fleet, quantile: int) -> float:
    workers: list[tuple[float, int, str]] = [(0.0, number, "") for number in range(fleet.workers)]
    for part in laid:
        stack = part.candidate.offer.stack.stack_id
        seconds = {size: part.candidate.seconds(size)[quantile] for size in set(part.sizes)}
        for size in part.sizes:
            free, number, resident = workers[0]
            load = 0.0 if resident == stack else fleet.load_seconds
            heapq.heapreplace(workers, (free + load + seconds[size], number, stack))
    return max(free for free, _, _ in workers)


def lay_out(
    groups: Sequence[Group], chosen: Sequence[Candidate], fleet: Fleet, latency_target_s: float | None
) -> tuple[Laid, ...]:
    """The batches of every group under a choice, highest priority first."""
    portions = [
        Portion(candidate=candidate, pictures=group.pictures, cap=batch_cap(candidate, latency_target_s))
        for group, candidate in zip(groups, chosen, strict=True)
    ]
    sizes = batch_sizes(portions, fleet.workers)
    order = sorted(range(len(groups)), key=lambda index: -groups[index].priority)
    return tuple(Laid(candidate=chosen[index], sizes=sizes[index]) for index in order)


def ends(groups: Sequence[Group], chosen: Sequence[Candidate], night: Night) -> float:
    """p95 seconds until everything is rendered under a choice."""
    return _makespan(lay_out(groups, chosen, night.fleet, night.latency_target_s), night.fleet, 1)


def allot_night(groups: Sequence[Group], night: Night) -> Allotment | Shortfall:
    """The highest quality that ends in time, or why none does."""
    cuts = _cuts(groups) if night.may_degrade else []
    fitting = _first_fit(groups, cuts, night)
    if fitting is not None:
        return fitting
    floor = _apply(groups, cuts)
    at_floor = ends(groups, floor, night)
    return Shortfall(
        wall_p95=ends(groups, _apply(groups, []), night),
        floor_wall_p95=at_floor,
        late_by=at_floor - night.seconds,
        remedies=_remedies(groups, floor, at_floor, night),
    )


def _first_fit(groups: Sequence[Group], cuts: Sequence[_Cut], night: Night) -> Allotment | None:
    """As few cuts as fit, by bisection: each cut costs no more than the one before."""

    def fits(made: int) -> bool:
        return ends(groups, _apply(groups, cuts[:made]), night) <= night.seconds

    made = _smallest(fits, 0, len(cuts))
    if made is None:
        return None
    chosen = _apply(groups, cuts[:made])
    return Allotment(chosen=chosen, wall_p95=ends(groups, chosen, night))


# --- cutting -----------------------------------------------------------------------------


def _cuts(groups: Sequence[Group]) -> list[_Cut]:
    """Everything that may give way, in order: steps by rising priority, then rungs by rising priority."""
    by_priority: dict[int, list[Group]] = defaultdict(list)
    for group in groups:
        by_priority[group.priority].append(group)
    rising = sorted(by_priority.items())
    shed = [
        _Cut(priority=priority, most_steps=steps) for priority, some in rising for steps in _shorter(some)
    ]
    down = [
        _Cut(priority=priority, rungs_down=rungs)
        for priority, some in rising
        for rungs in range(1, max(len(group.choices) - len(_own(group)) for group in some) + 1)
    ]
    return shed + down


def _own(group: Group) -> tuple[Candidate, ...]:
    """The choices that only shed steps."""
    first = group.choices[0]
    return tuple(choice for choice in group.choices if choice.offer == first.offer)


def _shorter(groups: Sequence[Group]) -> list[int]:
    """Step counts below what the groups run now, falling."""
    most = max(group.choices[0].steps for group in groups)
    return sorted({choice.steps for group in groups for choice in _own(group)} - {most}, reverse=True)


def _apply(groups: Sequence[Group], cuts: Sequence[_Cut]) -> tuple[Candidate, ...]:
    caps = {cut.priority: cut.most_steps for cut in cuts if cut.most_steps is not None}
    rungs = {cut.priority: cut.rungs_down for cut in cuts if cut.rungs_down}
    return tuple(_choice(group, caps.get(group.priority), rungs.get(group.priority, 0)) for group in groups)


def _choice(group: Group, cap: int | None, down: int) -> Candidate:
    own = _own(group)
    others = group.choices[len(own) :]
    if down and others:
        return others[min(down, len(others)) - 1]
    return next((choice for choice in own if cap is None or choice.steps <= cap), own[-1])


# --- what would make it fit ----------------------------------------------------------------


def _remedies(
    groups: Sequence[Group], floor: Sequence[Candidate], at_floor: float, night: Night
) -> tuple[str, ...]:
    """Changes that would each fit alone, the cheapest first: shed quality, wait, hire, drop."""
    found = (
        _if_it_may_degrade(groups, night),
        f"Move the deadline {duration(at_floor - night.seconds)} later.",
        _if_more_work(groups, floor, night),
        _if_some_are_dropped(groups, floor, night),
    )
    return tuple(remedy for remedy in found if remedy)


def _if_it_may_degrade(groups: Sequence[Group], night: Night) -> str:
    fitting = None if night.may_degrade else _first_fit(groups, _cuts(groups), night)
    if fitting is None:
        return ""
    said = sorted(
        {f"{choice.offer.preset.name} at {plural(choice.steps, 'step')}" for choice in fitting.chosen}
    )
    return f"Set may_degrade = true: {' and '.join(said)} ends in {duration(fitting.wall_p95)}."


def _if_more_work(groups: Sequence[Group], floor: Sequence[Candidate], night: Night) -> str:
    def fits(workers: int) -> bool:
        fleet = replace(night.fleet, workers=workers)
        return ends(groups, floor, replace(night, fleet=fleet)) <= night.seconds

    needed = _smallest(fits, night.fleet.workers + 1, MOST_WORKERS)
    return "" if needed is None else f"Use {plural(needed, 'worker')} instead of {night.fleet.workers}."


def _if_some_are_dropped(groups: Sequence[Group], floor: Sequence[Candidate], night: Night) -> str:
    def fits(dropped: int) -> bool:
        left = zip(_without(groups, dropped), floor, strict=True)
        kept = [(group, choice) for group, choice in left if group.pictures]
        return ends([group for group, _ in kept], [choice for _, choice in kept], night) <= night.seconds

    needed = _smallest(fits, 1, sum(group.pictures for group in groups) - 1)
    return "" if needed is None else f"Leave out the {plural(needed, 'shot')} of lowest priority."


def _without(groups: Sequence[Group], dropped: int) -> list[Group]:
    """The groups with so many pictures fewer, the lowest priority first."""
    left = dropped
    kept = list(groups)
    for index in sorted(range(len(groups)), key=lambda index: groups[index].priority):
        gone = min(left, groups[index].pictures)
        left -= gone
        kept[index] = replace(groups[index], pictures=groups[index].pictures - gone)
    return kept


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
