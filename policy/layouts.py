"""How parts of a night become batches, and when those end.

A part is pictures that run one way. It is cut into batches for some number of workers:
small enough to keep them busy, large enough to be quick. A night may always be cut as
for fewer workers than it has, so another worker never makes it later; with many batches
a worker, the cut that is best for one is good for all. Where devices differ, a finer cut
lets the quicker ones take more, so a night may also be cut as for more workers.

Sizes are those that the device takes on which a part was judged; another device takes
the batches that are not too large for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from policy.batching import Portion, batch_cap, batch_counts, even_runs, even_sizes
from policy.costs import CostProfile, Fleet
from policy.finish import Z95, Family, Finish, Run, Work, error_of, family_of
from policy.ladder import Candidate
from policy.plan import DeviceCost
from policy.spans import Ending, Team, ending_of, ends_within

MANY = 16  # batches a worker: beyond it an idle worker at the end is not worth smaller batches
EXACT = 16  # workers up to which every number is a cut of its own; above, every sixteenth
FINER = 4  # times as many workers as there are, for which batches may be cut where devices differ


@dataclass(frozen=True, kw_only=True, slots=True)
class Laid:
    """Batches of one way to run, in the order in which they are handed out."""

    candidate: Candidate
    sizes: tuple[int, ...]
    devices: tuple[DeviceCost, ...]  # that may take them, where a fleet has several


@dataclass(frozen=True, kw_only=True, slots=True)
class Priced:
    """A way to run with what follows from it on one device, worked out once."""

    candidate: Candidate
    stack_id: str
    cap: int  # pictures in a batch, at most; 0 where this device may not take even one
    family: Family
    error: float
    least: float  # p50 seconds of a picture, that no batch undercuts
    others: tuple["Priced", ...] = ()  # the same way on the fleet's other devices
    known: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])

    @property
    def device(self) -> str:
        return self.candidate.profile.key.device

    def on(self, device: str) -> "Priced | None":
        """The same way on some device; None where it was not priced there."""
        return next((priced for priced in (self, *self.others) if priced.device == device), None)

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
    ending: Ending

    @property
    def finish(self) -> Finish:
        return self.ending.finish


def price(candidate: Candidate, latency_target_s: float | None) -> Priced:
    """A way to run on every device of the fleet, with its largest batch and its least seconds there."""
    return _priced(
        candidate,
        batch_cap(candidate, latency_target_s),
        tuple(_elsewhere(candidate, profile, latency_target_s) for profile in candidate.elsewhere),
    )


def _elsewhere(candidate: Candidate, profile: CostProfile, latency_target_s: float | None) -> Priced:
    there = replace(candidate, profile=profile, elsewhere=())
    is_late = latency_target_s is not None and there.seconds()[1] > latency_target_s
    return _priced(there, 0 if is_late else batch_cap(there, latency_target_s))


def _priced(candidate: Candidate, cap: int, others: tuple[Priced, ...] = ()) -> Priced:
    return Priced(
        candidate=candidate,
        stack_id=candidate.offer.stack.stack_id,
        cap=cap,
        family=family_of(candidate.profile),
        error=error_of(candidate.profile),
        least=min((candidate.seconds(size)[0] / size for size in range(1, cap + 1)), default=math.inf),
        others=others,
    )


def lay_out(parts: Sequence[Part], fleet: Fleet, within: float | None = None) -> Layout:
    """Cut parts as suits the fleet; where that is not within some seconds (p95), as for fewer workers.

    Where devices differ, the cut with the earliest end is taken, or the first that is within.
    """
    if len(fleet.groups) > 1:
        return _lay_out_unlike(parts, fleet, within)
    own, *fewer = _cuts(parts, fleet.workers)
    best = _cut_for(parts, own, fleet)
    for workers in fewer:
        if within is None or best.finish.p95 <= within:
            break
        best = min(best, _cut_for(parts, workers, fleet), key=lambda layout: layout.finish.p95)
    return best


def keeps(parts: Sequence[Part], fleet: Fleet, within: float) -> bool:
    """Whether ``lay_out`` finds a cut that ends within some seconds (p95)."""
    if len(fleet.groups) > 1:
        cuts = _unlike_cuts(parts, fleet)
        return any(ends_within(teams_of(parts, counts, fleet), within) for counts in cuts)
    return lay_out(parts, fleet, within).finish.p95 <= within


def _lay_out_unlike(parts: Sequence[Part], fleet: Fleet, within: float | None) -> Layout:
    layouts: list[Layout] = []
    for counts in _unlike_cuts(parts, fleet):
        teams = teams_of(parts, counts, fleet)
        if within is not None and ends_within(teams, within):
            return Layout(batches=counts, ending=ending_of(teams, within))
        layouts.append(Layout(batches=counts, ending=ending_of(teams)))
    return min(layouts, key=lambda layout: layout.finish.p95)


def _unlike_cuts(parts: Sequence[Part], fleet: Fleet) -> list[tuple[int, ...]]:
    """Every cut where devices differ, the fewest batches first; a few are finer than for all workers."""
    powers = {2**power for power in range((FINER * fleet.workers).bit_length())}
    finer = [workers for workers in powers if workers > fleet.workers and _is_worth_it(parts, workers)]
    cuts = {_counts(parts, workers) for workers in [*_cuts(parts, fleet.workers), *finer]}
    return sorted(cuts, key=lambda counts: (sum(counts), counts))


def sized(parts: Sequence[Part], layout: Layout) -> tuple[Laid, ...]:
    """Every batch of a layout by its size."""
    laid: list[Laid] = []
    for part, batches in zip(parts, layout.batches, strict=True):
        sizes = even_sizes(part.pictures, batches)
        devices = device_costs(part.priced, sizes[0])
        laid.append(Laid(candidate=part.priced.candidate, sizes=sizes, devices=devices))
    return tuple(laid)


def device_costs(priced: Priced, size: int) -> tuple[DeviceCost, ...]:
    """What a picture costs on each device that may take batches of this size; nothing where there is one."""
    if not priced.others:
        return ()
    costs: list[DeviceCost] = []
    for there in sorted((priced, *priced.others), key=lambda there: there.device):
        if size <= there.cap:
            run = there.run(size, 1)
            costs.append(
                DeviceCost(device=there.device, seconds_p50=run.p50 / size, seconds_p95=run.p95 / size)
            )
    return tuple(costs)


def least_seconds(priced: Priced, families: int) -> float:
    """Device seconds of a picture that its share of any finish (p95) does not undercut."""
    return priced.least * (1 + Z95 * priced.error / math.sqrt(families))


def teams_of(parts: Sequence[Part], batches: Sequence[int], fleet: Fleet) -> tuple[Team, ...]:
    """What parts that are cut into so many batches are to the workers of each device."""
    is_alone = len(fleet.groups) == 1
    return tuple(
        Team(
            device=group.device,
            workers=group.workers,
            load_seconds=group.load_seconds,
            works=tuple(
                _work(
                    part, count, part.priced if is_alone else part.priced.on(group.device), is_alone=is_alone
                )
                for part, count in zip(parts, batches, strict=True)
            ),
        )
        for group in fleet.groups
    )


def _cuts(parts: Sequence[Part], workers: int) -> list[int]:
    """For how many workers these parts may be cut: the most first; more workers only add to the list."""
    pictures = sum(part.pictures for part in parts)
    needed = _needed(parts)
    most = max(1, min(workers, pictures))
    return [count for count in _round_numbers(most) if count == 1 or needed < MANY * count]


def _is_worth_it(parts: Sequence[Part], workers: int) -> bool:
    """Whether so many workers could be busy, and would not be with the fewest batches anyway."""
    return workers <= sum(part.pictures for part in parts) and _needed(parts) < MANY * workers


def _needed(parts: Sequence[Part]) -> int:
    """The fewest batches that caps allow."""
    return sum(-(-part.pictures // part.priced.cap) for part in parts)


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


def _counts(parts: Sequence[Part], workers: int) -> tuple[int, ...]:
    portions = [
        Portion(candidate=part.priced.candidate, pictures=part.pictures, cap=part.priced.cap)
        for part in parts
    ]
    return batch_counts(portions, workers)


def _cut_for(parts: Sequence[Part], workers: int, fleet: Fleet) -> Layout:
    batches = _counts(parts, workers)
    return Layout(batches=batches, ending=ending_of(teams_of(parts, batches, fleet)))


def _work(part: Part, batches: int, there: Priced | None, *, is_alone: bool) -> Work:
    """The batches of a part as one device has them; infinitely long where it cannot take them."""
    here = there or part.priced
    runs: list[Run] = []
    for size, some in even_runs(part.pictures, batches):
        can_take = is_alone or (there is not None and size <= there.cap)
        runs.append(here.run(size, some) if can_take else Run(batches=some, p50=math.inf, p95=math.inf))
    return Work(stack_id=here.stack_id, family=here.family, error=here.error, runs=tuple(runs))
