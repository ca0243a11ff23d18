"""How numbers, counts and names are said in reasons, so that every sentence says them alike."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from policy.canonical import decimal_text

_SHOWN = 3


def number(value: float) -> str:
    """7.5, 1, 0.00085: no trailing zeros, no exponent."""
    return decimal_text(float(value))


def rounded(value: float) -> str:
    """Three significant digits, for quality and the like: 0.973, 1."""
    return number(float(f"{value:.3g}"))


def duration(seconds: float) -> str:
    """45 ms, 3.2 s, 12 min, 5 h 20 min."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours:,} h {rest} min" if rest else f"{hours:,} h"


def counts(steps: Sequence[int]) -> str:
    """A set of step counts with its runs closed up: "1, 2, 4, 8, 10-50"."""
    if not steps:
        return "none"
    runs: list[list[int]] = [[steps[0], steps[0]]]
    for previous, current in pairwise(steps):
        if current == previous + 1:
            runs[-1][1] = current
        else:
            runs.append([current, current])
    return ", ".join(_run(low, high) for low, high in runs)


def _run(low: int, high: int) -> str:
    if high - low < 2:
        return f"{low}" if low == high else f"{low}, {high}"
    return f"{low}-{high}"


def plural(count: int, noun: str) -> str:
    """1 step, 4 steps, 12,000 shots, 4 forward passes."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}es" if noun.endswith(("s", "ch")) else f"{count:,} {noun}s"


def thing(frames: int) -> str:
    """What so many frames make: a picture or a clip."""
    return "picture" if frames == 1 else "clip"


def names(items: Iterable[str]) -> str:
    """'"fox", "owl", "bee" and 3 more'."""
    listed = list(items)
    shown = ", ".join(f'"{item}"' for item in listed[:_SHOWN])
    rest = len(listed) - _SHOWN
    return f"{shown} and {rest:,} more" if rest > 0 else shown
