"""Which of many piles of pictures gets how many steps, where not all can have all they asked for.

The optimum of the fluid relaxation takes steps where they add most weighted quality a
second. Here the same order is climbed in whole pictures: from everything at its cheapest,
one rise after another, to everything as asked. The stages of that climb depend on the
piles alone. The answer is the highest stage that fits, so that more time or more workers
can only lead higher, whatever a batch or a tail costs. A small night is searched through
as well, since there one picture is much.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise

SMALL_NIGHT = 8  # units: searched through
SEARCHED = 8192  # combinations, at most
TINY = 1e-12  # a gain that is none
PARTS = 64  # in which a rise of one pile is climbed, at least a unit each


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One way to run a unit of a pile."""

    steps: int
    quality: float
    seconds: float  # at the least: what no batch undercuts


@dataclass(frozen=True, kw_only=True, slots=True)
class Pile:
    """Units that are alike, and the ways they may run, from the cheapest to the one that was asked for."""

    units: int
    weight: float  # of the quality of one unit
    ways: tuple[Way, ...]


Share = tuple[tuple[int, int], ...]  # (way, units) of one pile, the best way first
Stage = tuple[Share, ...]  # one share a pile
Fits = Callable[[Stage], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rise:
    """A pile goes from one way to the next better one on its hull."""

    pile: int
    low: int
    high: int
    seconds: float  # more, for one unit
    worth: float  # weighted quality gained, for one unit

    @property
    def rate(self) -> float:
        """Weighted quality a second; what costs nothing more is worth everything."""
        if self.seconds <= 0:
            return math.inf
        return float(f"{self.worth / self.seconds:.9g}")  # equal rates are to be equal


def hull(pile: Pile) -> tuple[int, ...]:
    """The ways worth taking: each adds less a second than the one before; ties keep every step count."""
    kept: list[int] = []
    for way in sorted(
        range(len(pile.ways)), key=lambda way: (pile.ways[way].seconds, pile.ways[way].quality, way)
    ):
        if kept and pile.ways[way].quality < pile.ways[kept[-1]].quality:
            continue
        while kept and pile.ways[way].seconds <= pile.ways[kept[-1]].seconds:
            kept.pop()
        while len(kept) > 1 and _rise(pile, 0, kept[-2], kept[-1]).rate < _rise(pile, 0, kept[-1], way).rate:
            kept.pop()
        kept.append(way)
    return tuple(kept)


def rises(piles: Sequence[Pile]) -> tuple[Rise, ...]:
    """Every rise of every pile, the most quality a second first; equal ones evenly, low counts first."""
    found = [
        (rank, _rise(pile, number, low, high))
        for number, pile in enumerate(piles)
        for rank, (low, high) in enumerate(pairwise(hull(pile)))
    ]
    found.sort(key=lambda item: (-item[1].rate, piles[item[1].pile].ways[item[1].high].steps, item[0]))
    return tuple(rise for _, rise in found)


def _rise(pile: Pile, number: int, low: int, high: int) -> Rise:
    below, above = pile.ways[low], pile.ways[high]
    return Rise(
        pile=number,
        low=low,
        high=high,
        seconds=above.seconds - below.seconds,
        worth=(above.quality - below.quality) * pile.weight,
    )


def floor(piles: Sequence[Pile]) -> Stage:
    """Everything at its cheapest."""
    return tuple(((hull(pile)[0], pile.units),) for pile in piles)


def asked(piles: Sequence[Pile]) -> Stage:
    """Everything as it was asked for."""
    return tuple(((len(pile.ways) - 1, pile.units),) for pile in piles)


def quality(piles: Sequence[Pile], stage: Stage) -> float:
    """The weighted quality of a stage."""
    return math.fsum(
        pile.weight * pile.ways[way].quality * units
        for pile, share in zip(piles, stage, strict=True)
        for way, units in share
    )


def seconds(piles: Sequence[Pile], stage: Stage) -> float:
    """The least device time of a stage."""
    return math.fsum(
        pile.ways[way].seconds * units
        for pile, share in zip(piles, stage, strict=True)
        for way, units in share
    )


def fluid_quality(piles: Sequence[Pile], capacity: float) -> float | None:
    """The optimum where a unit may be divided at will: no whole plan of so much device time is better."""
    start = floor(piles)
    spent, best = seconds(piles, start), quality(piles, start)
    if spent > capacity:
        return None
    for rise in rises(piles):
        units = piles[rise.pile].units
        part = min(1.0, (capacity - spent) / (rise.seconds * units)) if rise.seconds > 0 else 1.0
        best += part * units * rise.worth
        spent += part * units * rise.seconds
        if part < 1.0:
            break
    return best


def allot(piles: Sequence[Pile], capacity: float, fits: Fits) -> Stage | None:
    """The best stage that fits; None where not even the cheapest does.

    ``capacity`` is device time that no fitting stage exceeds: it spares asking about what
    cannot fit. ``fits`` may know tails, loads and odds; it is asked from the top down.
    """
    found = _highest(piles, capacity, fits)
    if sum(pile.units for pile in piles) <= SMALL_NIGHT:
        return _searched(piles, capacity, fits, found)
    return found


def _highest(piles: Sequence[Pile], capacity: float, fits: Fits) -> Stage | None:
    top = asked(piles)
    if seconds(piles, top) <= capacity and fits(top):
        return top
    climb, spent = rises(piles), [seconds(piles, floor(piles))]
    for rise in climb:
        spent.append(spent[-1] + rise.seconds * piles[rise.pile].units)
    # Where each pile stands above every rise, walked from the top down.
    at = [hull(pile)[-1] for pile in piles]
    for place in range(len(climb) - 1, -1, -1):
        rise = climb[place]
        units = piles[rise.pile].units
        for lifted in _portions(units):
            if spent[place] + rise.seconds * lifted <= capacity:
                stage = _stage(piles, at, rise, lifted)
                if fits(stage):
                    return stage
        at[rise.pile] = rise.low
    bottom = floor(piles)
    return bottom if spent[0] <= capacity and fits(bottom) else None


def _portions(units: int) -> Iterator[int]:
    """How many units of a pile may have risen, most first."""
    parts = min(PARTS, units)
    return (part * units // parts for part in range(parts, 0, -1))


def _stage(piles: Sequence[Pile], at: Sequence[int], rise: Rise, lifted: int) -> Stage:
    shares: list[Share] = [((way, pile.units),) for way, pile in zip(at, piles, strict=True)]
    left = piles[rise.pile].units - lifted
    shares[rise.pile] = ((rise.high, lifted), (rise.low, left)) if left else ((rise.high, lifted),)
    return tuple(shares)


# --- small nights ------------------------------------------------------------------------


def _searched(piles: Sequence[Pile], capacity: float, fits: Fits, found: Stage | None) -> Stage | None:
    """The best of all combinations (of a few ways a pile, where there are too many) that fits."""
    best = -math.inf if found is None else quality(piles, found)
    better = list(_better(piles, _shares(piles), capacity, best))
    better.sort(key=lambda stage: (-quality(piles, stage), -_steps(piles, stage), stage))
    return next((stage for stage in better if fits(stage)), found)


def _better(
    piles: Sequence[Pile], shares: Sequence[Sequence[Share]], capacity: float, best: float
) -> Iterator[Stage]:
    """Every combination within the capacity that is better than what is known already."""
    told = [
        [(share, quality([pile], (share,)), seconds([pile], (share,))) for share in some]
        for pile, some in zip(piles, shares, strict=True)
    ]
    most, least = [0.0], [0.0]  # what the piles after this one may add, and what they cost at the least
    for some in reversed(told):
        most.append(most[-1] + max(worth for _, worth, _ in some))
        least.append(least[-1] + min(cost for _, _, cost in some))

    def walk(number: int, gained: float, spent: float, made: Stage) -> Iterator[Stage]:
        after = len(told) - number
        if gained + most[after] <= best * (1 + TINY) or spent + least[after] > capacity:
            return
        if not after:
            yield made
            return
        for share, worth, cost in told[number]:
            yield from walk(number + 1, gained + worth, spent + cost, (*made, share))

    return walk(0, 0.0, 0.0, ())


def _shares(piles: Sequence[Pile]) -> list[list[Share]]:
    """Every division of every pile over its ways, with as many ways as can be searched through."""
    most = max(len(pile.ways) for pile in piles)
    while most > 1 and math.prod(_divisions(pile, most) for pile in piles) > SEARCHED:
        most -= 1
    return [[_counted(some) for some in _divided(pile, most)] for pile in piles]


def _divisions(pile: Pile, most: int) -> int:
    return math.comb(min(most, len(pile.ways)) + pile.units - 1, pile.units)


def _divided(pile: Pile, most: int) -> Iterator[tuple[int, ...]]:
    return combinations_with_replacement(_spread(pile, most), pile.units)


def _spread(pile: Pile, most: int) -> tuple[int, ...]:
    """At most so many ways, the first and the last among them, as even in quality as there are."""
    ways = range(len(pile.ways))
    if len(ways) <= most:
        return tuple(reversed(ways))
    low, high = pile.ways[0].quality, pile.ways[-1].quality
    wanted = [low + (high - low) * place / max(most - 1, 1) for place in range(most)]
    near = {min(ways, key=lambda way: (abs(pile.ways[way].quality - aim), way)) for aim in wanted}
    return tuple(sorted({0, *near, len(ways) - 1} if most > 1 else {0}, reverse=True))


def _counted(some: tuple[int, ...]) -> Share:
    return tuple((way, some.count(way)) for way in sorted(set(some), reverse=True))


def _steps(piles: Sequence[Pile], stage: Stage) -> int:
    return sum(
        pile.ways[way].steps * units for pile, share in zip(piles, stage, strict=True) for way, units in share
    )
