"""Quality by steps: what was measured, made monotone and concave, so that a step has one worth.

Measured points are noisy: a judge that names 2 steps above 4 says nothing about 4. More
steps are never worse (points that say so are pooled, weighed by their samples) and each
step adds no more than the one before (the least concave curve above the points, from
nothing at no steps at all). Beyond the last measured count the curve is flat: what was
not seen to add anything is taken to add nothing.
"""

from dataclasses import dataclass
from functools import lru_cache

from policy.methods import MethodPreset, QualityPrior
from policy.tiers import Rung

# Of a preset that nobody measured: a stated prior, not a measurement. Quality halves its
# distance to the best with every quarter of the recommended steps, and a student stays
# below its teacher.
UNMEASURED_BEST = {Rung.FULL: 1.0, Rung.CACHED: 0.98, Rung.DISTILLED: 0.9, Rung.CAUSAL: 0.85}
HALVINGS = 4
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityCurve:
    """Corners of a curve that rises ever less; the first is (0, 0)."""

    corners: tuple[Point, ...]
    is_measured: bool

    def at(self, steps: int) -> float:
        """Quality at a step count, between corners in proportion."""
        low = self.corners[0]
        for high in self.corners[1:]:
            if steps <= high[0]:
                return low[1] + (high[1] - low[1]) * (steps - low[0]) / (high[0] - low[0])
            low = high
        return low[1]


@lru_cache(maxsize=4096)
def curve_of(preset: MethodPreset) -> QualityCurve:
    """The curve of a preset: from its points, or from the stated prior where it has none."""
    if preset.quality:
        return curve_through(preset.quality)
    best = UNMEASURED_BEST[preset.rung]
    reached = 1 - 2.0**-HALVINGS
    points = tuple(
        (float(steps), best * (1 - 2.0 ** (-HALVINGS * steps / preset.recommended_steps)) / reached)
        for steps in preset.steps
        if steps <= preset.recommended_steps
    )
    return QualityCurve(corners=_concave(points), is_measured=False)


def curve_through(points: tuple[QualityPrior, ...]) -> QualityCurve:
    """The least monotone and concave curve over points, in whatever order they come.

    It counts as measured where every point was: an assumed one may carry the whole curve.
    """
    return QualityCurve(
        corners=_concave(_rising(points)), is_measured=all(point.samples > 0 for point in points)
    )


def _rising(points: tuple[QualityPrior, ...]) -> tuple[Point, ...]:
    """Pool neighbours that fall, or are one count, until none does; each counts by its samples."""
    pools: list[tuple[float, float, list[int]]] = []  # weighed mean, weight, step counts
    for point in sorted(points, key=lambda point: (point.steps, point.quality, point.samples)):
        mean, weight, steps = point.quality, float(max(point.samples, 1)), [point.steps]
        while pools and (pools[-1][0] > mean or pools[-1][2][-1] == point.steps):
            before, heavy, earlier = pools.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, steps = weight + heavy, earlier + steps
        pools.append((mean, weight, steps))
    return tuple((float(step), mean) for mean, _, steps in pools for step in dict.fromkeys(steps))


def _concave(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """The upper hull from (0, 0) on."""
    hull: list[Point] = [(0.0, 0.0)]
    for point in points:
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], point):
            hull.pop()
        hull.append(point)
    return tuple(hull)


def _slope(low: Point, high: Point) -> float:
    return (high[1] - low[1]) / (high[0] - low[0])
