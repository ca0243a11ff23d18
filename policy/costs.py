"""What a picture costs: seconds = a + b(rows) x steps, fitted from measured takes.

``rows`` is the number of rows in one forward pass: pictures x (2 with classifier-free
guidance, else 1). A guided step is one doubled batch, which costs 1.4 to 1.8 times a
single one and not twice, so forward passes are reported beside seconds and never taken
for them.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise


@dataclass(frozen=True, kw_only=True, slots=True)
class CostKey:
    """What a profile is fitted for."""

    stack_id: str  # "" for the built-in prior of a pipeline class
    pipeline: str
    width: int
    height: int
    frames: int
    device: str  # device class, such as "cpu-2" or "h100"
    cached_by: str = ""  # the preset whose cache skips work between steps; "" where every step is computed

    @property
    def pixels(self) -> int:
        return self.width * self.height * self.frames


@dataclass(frozen=True, kw_only=True, slots=True)
class RowCost:
    """Seconds of one step at a number of rows."""

    rows: int
    p50: float
    p95: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CostProfile:
    """Fitted or prior costs of one key; ``fixed`` is everything outside the denoising loop, per picture."""

    key: CostKey
    fixed_p50: float  # seconds a picture: text, decode, checks, writing
    fixed_p95: float
    rows: tuple[RowCost, ...]  # sorted by rows, at least one
    samples: int  # takes it was fitted from; 0 for the built-in prior
    max_rows: int = 16  # the batch cap this profile allows

    def step_seconds(self, rows: int) -> tuple[float, float]:
        """(p50, p95) seconds of one step at ``rows``: interpolated, extrapolated in proportion."""
        known = self.rows
        if rows <= known[0].rows:
            return known[0].p50, known[0].p95
        for low, high in pairwise(known):
            if rows <= high.rows:
                part = (rows - low.rows) / (high.rows - low.rows)
                return low.p50 + part * (high.p50 - low.p50), low.p95 + part * (high.p95 - low.p95)
        last = known[-1]
        return last.p50 * rows / last.rows, last.p95 * rows / last.rows

    def batch_seconds(self, *, pictures: int, rows_per_picture: int, steps: int) -> tuple[float, float]:
        """(p50, p95) seconds of one batch."""
        step_p50, step_p95 = self.step_seconds(pictures * rows_per_picture)
        return self.fixed_p50 * pictures + step_p50 * steps, self.fixed_p95 * pictures + step_p95 * steps


@dataclass(frozen=True, kw_only=True, slots=True)
class CostSample:
    """One measured batch, without the time to load its stack."""

    key: CostKey
    pictures: int
    rows: int  # pictures x rows a picture
    steps: int
    denoise_seconds: float
    total_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceGroup:
    """Workers that are alike."""

    workers: int
    device: str  # class, as profiles and workers name it
    load_seconds: float = 2.0  # to make a stack resident
    price_per_device_hour: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """What the night has to render on: a group of workers for each device class."""

    groups: tuple[DeviceGroup, ...]
    currency: str = "USD"

    @classmethod
    def of(cls, workers: int, device: str, currency: str = "USD") -> "Fleet":
        """A fleet of one device class, with the load seconds that are assumed and without a price."""
        return cls(groups=(DeviceGroup(workers=workers, device=device),), currency=currency)

    @property
    def workers(self) -> int:
        return sum(group.workers for group in self.groups)

    @property
    def devices(self) -> tuple[str, ...]:
        """The device classes that somebody works on, in their own order."""
        return tuple(group.device for group in self.in_order.groups)

    @property
    def in_order(self) -> "Fleet":
        """The same by device and without groups of nobody: how a fleet was named changes no plan."""
        manned = [group for group in self.groups if group.workers]
        return replace(self, groups=tuple(sorted(manned, key=lambda group: group.device)))


# What a key costs of which nothing at all is known: slow on purpose, and flagged by
# samples = 0, so that a promise made from it errs on the late side.
UNMEASURED = CostProfile(
    key=CostKey(stack_id="", pipeline="", width=512, height=512, frames=1, device=""),
    fixed_p50=2.0,
    fixed_p95=4.0,
    rows=(RowCost(rows=1, p50=2.0, p95=4.0),),
    samples=0,
    max_rows=4,
)


def profile_for(costs: Sequence[CostProfile], key: CostKey, step_share: float = 1.0) -> CostProfile:
    """The best known profile of a key, scaled by pixels where it was taken at another size.

    The same device counts most, then the very stack, then its pipeline's prior, then the
    cache, then the nearest size. A profile of another stack is never used: a LoRA that is
    attached and not fused costs up to 40 % a step. Nor is one of another cache; where the
    cache was not measured yet, a step takes its stated share of an uncached one.
    """
    fitting = [
        known
        for known in costs
        if known.key.stack_id in {key.stack_id, ""} and known.key.cached_by in {key.cached_by, ""}
    ]
    nearest = min(
        fitting, key=lambda known: (_distance(known.key, key), _standing(known)), default=UNMEASURED
    )
    return _scaled(nearest, key, 1.0 if nearest.key.cached_by == key.cached_by else step_share)


def _standing(profile: CostProfile) -> tuple[int, float, tuple[float, ...]]:
    """Of two profiles of one key the better founded; beyond that any fixed order, so that plans repeat."""
    return -profile.samples, profile.fixed_p50, tuple(row.p95 for row in profile.rows)


def _distance(known: CostKey, key: CostKey) -> tuple[bool, bool, bool, bool, float, int, int, str]:
    return (
        known.device != key.device,
        known.stack_id != key.stack_id,
        known.pipeline != key.pipeline,
        known.cached_by != key.cached_by,
        abs(math.log(known.pixels / key.pixels)),
        known.width,
        known.height,
        known.device,
    )


def _scaled(profile: CostProfile, key: CostKey, step_share: float) -> CostProfile:
    factor = key.pixels / profile.key.pixels
    step = factor * step_share
    samples = profile.samples if profile.key.device == key.device else 0  # of another device: a guess here
    if factor == step == 1:
        return replace(profile, key=key, samples=samples)
    return replace(
        profile,
        key=key,
        samples=samples,
        fixed_p50=profile.fixed_p50 * factor,
        fixed_p95=profile.fixed_p95 * factor,
        rows=tuple(replace(row, p50=row.p50 * step, p95=row.p95 * step) for row in profile.rows),
    )


def fit_profile(samples: Iterable[CostSample], prior: CostProfile | None = None) -> CostProfile:
    """The profile that measured batches of one key amount to; at least one sample.

    A step's cost is read straight off the denoising loop, the fixed part is what remains
    of the batch. Row counts that were not measured come from the prior, scaled by how far
    it was off where both are known, so that one odd batch size does not bend the curve.
    More rows never cost less than fewer: noise that says so is levelled upwards.
    """
    taken = list(samples)
    if not taken:
        raise ValueError("A profile is fitted from at least one measured batch.")
    by_rows: dict[int, list[float]] = defaultdict(list)
    for sample in taken:
        by_rows[sample.rows].append(sample.denoise_seconds / sample.steps)
    fixed = [max(sample.total_seconds - sample.denoise_seconds, 0.0) / sample.pictures for sample in taken]
    measured = [
        RowCost(rows=rows, p50=quantile(seconds, 0.5), p95=quantile(seconds, 0.95))
        for rows, seconds in by_rows.items()
    ]
    rows = _levelled(measured + (_borrowed(prior, measured) if prior else []))
    return CostProfile(
        key=taken[0].key,
        fixed_p50=quantile(fixed, 0.5),
        fixed_p95=quantile(fixed, 0.95),
        rows=rows,
        samples=sum(sample.pictures for sample in taken),
        max_rows=max(prior.max_rows if prior else 0, rows[-1].rows),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _borrowed(prior: CostProfile, measured: Sequence[RowCost]) -> list[RowCost]:
    """The prior's points at rows that were not measured, at the measured level."""
    ratios = [row.p50 / prior.step_seconds(row.rows)[0] for row in measured]
    level = quantile(ratios, 0.5)
    taken = {row.rows for row in measured}
    return [
        replace(row, p50=row.p50 * level, p95=row.p95 * level) for row in prior.rows if row.rows not in taken
    ]


def _levelled(points: Iterable[RowCost]) -> tuple[RowCost, ...]:
    p50 = p95 = 0.0
    levelled: list[RowCost] = []
    for point in sorted(points, key=lambda row: row.rows):
        p50 = max(p50, point.p50)
        p95 = max(p95, point.p95, p50)
        levelled.append(RowCost(rows=point.rows, p50=p50, p95=p95))
    return tuple(levelled)
