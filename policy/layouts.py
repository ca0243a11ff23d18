"""How parts of a night become batches, and when those end.

A part is pictures that run one way. It is cut into batches for some number of workers:
small enough to keep them busy, large enough to be quick. A night may always be cut as
for fewer workers than it has, so another worker never makes it later; with many batches
a worker, the cut that is best for one is good for all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from policy.batching import Portion, batch_cap, batch_counts, even_runs, even_sizes
from policy.costs import Fleet
from policy.finish import Z95, Family, Finish, Run, Work, error_of, family_of, finish_of
from policy.ladder import Candidate

MANY = 16  # batches a worker: beyond it an idle worker at the end is not worth smaller batches
EXACT = 16  # workers up to which every number is a cut of its own; above, every sixteenth


@dataclass(frozen=True, kw_only=True, slots=True)
class Laid:
    """Batches of one way to run, in the order in which they are handed out."""

    candidate: Candidate
    sizes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Priced:
    """A way to run with what follows from it, worked out once."""

    candidate: Candidate
    stack_id: str
    cap: int  # pictures in a batch, at most
    family: Family
    error: float
    least: float  # p50 seconds of a picture, that no batch undercuts
    known: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])

    def run(self, size: int, batches: int) -> Run:
        """So many batches of one size."""
        if size not in self.known:
            self.known[size] = self.candidate.seconds(size)
        p50, p95 = self.known[size]
        return Run(batches=batches, p50=p50, p95=max(p50, p95))


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Pictures that run one way."""

    priced: Priced
    pictures: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Parts cut into batches, and when they end."""

    batches: tuple[int, ...]  # of each part
    finish: Finish


def price(candidate: Candidate, latency_target_s: float | None) -> Priced:
    """A way to run, with its largest batch and its least seconds."""
    cap = batch_cap(candidate, latency_target_s)
    return Priced(
        candidate=candidate,
        stack_id=candidate.offer.stack.stack_id,
        cap=cap,
        family=family_of(candidate.profile),
        error=error_of(candidate.profile),
        least=min(candidate.seconds(size)[0] / size for size in range(1, cap + 1)),
    )


def lay_out(parts: Sequence[Part], fleet: Fleet, within: float | None = None) -> Layout:
    """Cut parts as suits the fleet; where that is not within some seconds (p95), as for fewer workers."""
    own, *fewer = _cuts(parts, fleet.workers)
    best = _cut_for(parts, own, fleet)
    for workers in fewer:
        if within is None or best.finish.p95 <= within:
            break
        best = min(best, _cut_for(parts, workers, fleet), key=lambda layout: layout.finish.p95)
    return best


def sized(parts: Sequence[Part], layout: Layout) -> tuple[Laid, ...]:
    """Every batch of a layout by its size."""
    return tuple(
        Laid(candidate=part.priced.candidate, sizes=even_sizes(part.pictures, batches))
        for part, batches in zip(parts, layout.batches, strict=True)
    )


def works_of(parts: Sequence[Part], layout: Layout) -> tuple[Work, ...]:
    """What a layout is to the workers."""
    return _works(parts, layout.batches)


def least_seconds(priced: Priced, families: int) -> float:
    """Device seconds of a picture that its share of any finish (p95) does not undercut."""
    return priced.least * (1 + Z95 * priced.error / math.sqrt(families))


def _cuts(parts: Sequence[Part], workers: int) -> list[int]:
    """For how many workers these parts may be cut: the most first; more workers only add to the list."""
    pictures = sum(part.pictures for part in parts)
    needed = sum(-(-part.pictures // part.priced.cap) for part in parts)
    most = max(1, min(workers, pictures))
    return [count for count in _round_numbers(most) if count == 1 or needed < MANY * count]


def _round_numbers(most: int) -> list[int]:
    """Falling; every number up to ``EXACT``, then those with few enough digits in binary."""
    found: list[int] = []
    count, step = 1, 1
    while count <= most:
        found.append(count)
        if count == 2 * EXACT * step:
            step *= 2
        count += step
    return found[::-1]


def _cut_for(parts: Sequence[Part], workers: int, fleet: Fleet) -> Layout:
    portions = [
        Portion(candidate=part.priced.candidate, pictures=part.pictures, cap=part.priced.cap)
        for part in parts
    ]
    batches = batch_counts(portions, workers)
    return Layout(
        batches=batches, finish=finish_of(_works(parts, batches), fleet.workers, fleet.load_seconds)
    )


def _works(parts: Sequence[Part], batches: Sequence[int]) -> tuple[Work, ...]:
    return tuple(
        Work(
            stack_id=part.priced.stack_id,
            family=part.priced.family,
            error=part.priced.error,
            runs=tuple(part.priced.run(size, some) for size, some in even_runs(part.pictures, count)),
        )
        for part, count in zip(parts, batches, strict=True)
    )
