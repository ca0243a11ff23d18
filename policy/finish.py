"""When the last worker is done, as a band: the median, and the time that nineteen of twenty nights keep.

The median lays batches onto workers as the pool does: the next batch to whoever is free
first. That order never does worse with one more worker or with one shorter batch, since
batches do not wait for each other. A worker loads each stack once for every stretch of
batches of it, which is counted as if every worker saw every stretch.

The 95th percentile is that of the sum and not the sum of percentiles: what is odd about
single batches averages out, what is wrong with a cost profile does not. The error of a
profile is shared by all of its batches, and by every stack that still rests on the same
built-in prior.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from policy.costs import CostProfile

Z95 = 1.6448536269514722  # the 95th percentile of the standard normal distribution

# Stated assumptions about profiles, not measurements: how far off a built-in prior may be
# (one standard deviation, relative), and how much a machine differs from night to night.
PRIOR_ERROR = 0.25
DRIFT = 0.02

Family = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Batches of one size and way, one after another; seconds of a single one."""

    batches: int
    p50: float
    p95: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Batches of one stack, in the order in which they are handed out."""

    stack_id: str
    family: Family  # works of one family are wrong together
    error: float  # of its profile: one relative standard deviation
    runs: tuple[Run, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finish:
    """Seconds from now until everything is made."""

    p50: float
    p95: float


def family_of(profile: CostProfile) -> Family:
    """Whose error a profile shares: its own where it was measured, else that of the prior it rests on."""
    key = profile.key
    return (key.stack_id if profile.samples else "", key.pipeline, key.device)


def error_of(profile: CostProfile) -> float:
    """The relative error of a profile: stated for a prior, falling with samples where it was measured."""
    if not profile.samples:
        return PRIOR_ERROR
    most = profile.rows[-1]
    spread = max((most.p95 / most.p50 - 1) / Z95, DRIFT) if most.p50 > 0 else PRIOR_ERROR
    return min(PRIOR_ERROR, math.hypot(DRIFT, spread / math.sqrt(profile.samples)))


def finish_of(works: Sequence[Work], workers: int, load_seconds: float) -> Finish:
    """The band of the end on so many workers, loads included."""
    p50 = _last_free(works, workers) + load_seconds * _loads(works, workers)
    odd, shared = _variances(works)
    return Finish(p50=p50, p95=p50 + Z95 * math.sqrt(odd / workers + shared / workers**2))


def device_seconds(works: Sequence[Work]) -> Finish:
    """The band of the work itself, without loads and whoever does it."""
    p50 = math.fsum(run.batches * run.p50 for work in works for run in work.runs)
    odd, shared = _variances(works)
    return Finish(p50=p50, p95=p50 + Z95 * math.sqrt(odd + shared))


def _variances(works: Sequence[Work]) -> tuple[float, float]:
    """Of the sum of all batches: what is each batch's own, and what profiles share."""
    odd = 0.0
    shared: dict[Family, float] = defaultdict(float)
    for work in works:
        for run in work.runs:
            odd += run.batches * ((run.p95 - run.p50) / Z95) ** 2
            shared[work.family] += run.batches * run.p50 * work.error
    return odd, math.fsum(seconds**2 for seconds in shared.values())


def _loads(works: Sequence[Work], workers: int) -> int:
    """How often one worker loads at most: once a stretch of a stack, and never more than it has batches."""
    stacks = [work.stack_id for work in works if work.runs]
    stretches = sum(stack != before for stack, before in zip(stacks, ["", *stacks], strict=False))
    batches = sum(run.batches for work in works for run in work.runs)
    return min(stretches, max(1, batches - workers + 1), batches)


def _last_free(works: Sequence[Work], workers: int) -> float:
    """The next batch to the worker that is free first; whole rounds of equal batches at once."""
    free = [0.0] * workers
    for work in works:
        for run in work.runs:
            left = run.batches
            while left and max(free) - free[0] > run.p50:
                heapq.heapreplace(free, free[0] + run.p50)
                left -= 1
            rounds, left = divmod(left, workers)
            if rounds:
                free = [until + rounds * run.p50 for until in free]  # still a heap: all moved alike
            for _ in range(left):
                heapq.heapreplace(free, free[0] + run.p50)
    return max(free)
