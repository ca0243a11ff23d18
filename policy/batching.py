"""Which shots share a forward pass: fixed here, and kept on retry and resume.

Bits are promised only for the same batch shape, so the composition is part of the plan.
A batch is as large as its measured profile allows and as small as keeps every worker
busy: twenty-four pictures on two workers are two batches of twelve, not one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from policy.ladder import Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class Portion:
    """Pictures that run the same way."""

    candidate: Candidate
    pictures: int
    cap: int  # pictures in a batch, at most


def batch_cap(candidate: Candidate, latency_target_s: float | None) -> int:
    """The most pictures in one batch: by the profile's rows, and by the latency target where one is set."""
    cap = max(1, candidate.profile.max_rows // candidate.rows_per_picture)
    if latency_target_s is None:
        return cap
    while cap > 1 and candidate.seconds(cap)[1] > latency_target_s:
        cap -= 1
    return cap


def batch_counts(portions: Sequence[Portion], workers: int) -> tuple[int, ...]:
    """For each portion, how many batches: within the cap, and enough for its share of the workers."""
    weights = [
        portion.candidate.seconds(portion.cap)[0] / portion.cap * portion.pictures for portion in portions
    ]
    whole = math.fsum(weights)
    return tuple(
        _batch_count(portion, _share(weight, whole, workers))
        for portion, weight in zip(portions, weights, strict=True)
    )


def _share(weight: float, whole: float, workers: int) -> int:
    """How many workers a portion deserves: its part of the night's work, rounded up."""
    part = weight / whole if whole > 0 else 1.0
    return min(workers, max(1, math.ceil(workers * part - 1e-9)))


def _batch_count(portion: Portion, share: int) -> int:
    """Enough batches for the cap, in whole rounds over the share, never more than pictures."""
    needed = math.ceil(portion.pictures / portion.cap)
    return min(portion.pictures, math.ceil(needed / share) * share)


def even_sizes(pictures: int, batches: int) -> tuple[int, ...]:
    """Sizes that differ by one at most, larger ones first, so that few shapes occur."""
    return tuple(size for size, count in even_runs(pictures, batches) for _ in range(count))


def even_runs(pictures: int, batches: int) -> tuple[tuple[int, int], ...]:
    """The same as (size, how many), without writing every batch down."""
    size, larger = divmod(pictures, batches)
    return tuple((each, count) for each, count in ((size + 1, larger), (size, batches - larger)) if count)


def compose(shots: Sequence[int], sizes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Cut a sequence of shot indexes into batches of the given sizes, in order."""
    batches: list[tuple[int, ...]] = []
    start = 0
    for size in sizes:
        batches.append(tuple(shots[start : start + size]))
        start += size
    return tuple(batches)
