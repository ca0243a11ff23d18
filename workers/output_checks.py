"""Looks at finished pictures before they count: broken takes by themselves, wrong-looking samples as a stack.

Pure functions over arrays, numpy only. A single picture proves little about its stack (a black cat on black
is dark, and right), so all but the plainest faults are judged over a sample against the stack's own full-step
pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SampleKind = Literal[
    "good", "black", "flat", "frozen", "flicker", "silent", "clipped", "washed_out", "over_driven", "unjudged"
]

SMALLEST_SAMPLE = 8
_SPREADS_ALLOWED = 3.0
_BLACK_LUMINANCE = 0.02
_FLAT_CONTRAST = 0.012
_PAPER = 250
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureStatistics:
    """Four figures of one picture, each 0..1.

    `saturation` is the mean of (max-min)/max over pixels, `clipping` the share of channel values at 0 or 255
    outside white paper, `contrast` the standard deviation of all channel values, `luminance` the mean luma.
    """

    saturation: float
    clipping: float
    contrast: float
    luminance: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """One statistic of good pictures; `slack` is how far the mean of a sample may honestly lie off."""

    mean: float
    std: float
    slack: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceStatistics:
    """A stack's own full-step pictures, measured over `n` of them."""

    saturation: Band
    clipping: Band
    contrast: Band
    luminance: Band
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleJudgement:
    """`reasons` name every statistic that lies outside its band, with both figures."""

    kind: SampleKind
    reasons: tuple[str, ...] = ()


def picture_statistics(pixels: NDArray[np.uint8]) -> PictureStatistics:
    """Measure one uint8 picture, (height, width, 3)."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]  # quicker than reducing an axis of 3
    darkest = np.minimum(np.minimum(red, green), blue)
    smallest = darkest.astype(np.float32) / 255
    largest = np.maximum(np.maximum(red, green), blue).astype(np.float32) / 255
    scaled = pixels.astype(np.float32) / 255
    paper = darkest >= _PAPER
    drawn = pixels[~paper]
    clipped = float(((drawn == 0) | (drawn == 255)).mean()) if len(drawn) else 0.0
    luma = scaled @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return PictureStatistics(
        saturation=float(((largest - smallest) / (largest + 1e-3)).mean()),
        clipping=clipped,
        contrast=float(scaled.std()),
        luminance=float(luma.mean()),
    )


def float_fault(array: NDArray[np.floating[Any]]) -> str | None:
    """A fault that quantising would hide: values that are not finite."""
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    return f"{bad} of {array.size} values are not finite" if bad else None


def take_fault(pixels: NDArray[np.uint8] | None, expected_size: tuple[int, int]) -> str | None:
    """Why a take cannot count at all; `expected_size` is (width, height)."""
    if pixels is None:
        return "no picture was made"
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        return f"not an RGB picture of bytes: {pixels.dtype} {pixels.shape}"
    width, height = expected_size
    if pixels.shape[:2] != (height, width):
        return f"size is {pixels.shape[1]}x{pixels.shape[0]}, {width}x{height} was asked for"
    return None


def file_fault(path: Path) -> str | None:
    """Why a written picture file cannot count: missing, empty, or cut off before its end mark."""
    if not path.is_file():
        return "the file is missing"
    content = path.read_bytes()
    if not content:
        return "the file is empty"
    if content.startswith(_PNG_START):
        return None if content.endswith(_PNG_END) else "the PNG file is truncated"
    if content.startswith(_JPEG_START):
        return None if content.endswith(_JPEG_END) else "the JPEG file is truncated"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return (
            None
            if len(content) >= int.from_bytes(content[4:8], "little") + 8
            else "the WebP file is truncated"
        )
    return "the file is no PNG, JPEG or WebP picture"


def picture_suspicion(statistics: PictureStatistics) -> Literal["black", "flat"] | None:
    """What even one picture gives away: nothing but black, or one even colour."""
    if statistics.luminance <= _BLACK_LUMINANCE:
        return "black"
    if statistics.contrast <= _FLAT_CONTRAST:
        return "flat"
    return None


def judge_sample(statistics: Sequence[PictureStatistics], reference: ReferenceStatistics) -> SampleJudgement:
    """Judge pictures of one stack against its own full-step statistics, in both directions.

    Fewer than eight pictures are `unjudged` unless one of them is black or flat. A sample's mean may lie off
    by the measured slack plus three standard errors of its size.
    """
    suspicions = [picture_suspicion(one) for one in statistics]
    for kind in ("black", "flat"):
        if count := suspicions.count(kind):
            return SampleJudgement(kind=kind, reasons=(f"{count} of {len(statistics)} pictures are {kind}",))
    if len(statistics) < SMALLEST_SAMPLE:
        return SampleJudgement(
            kind="unjudged",
            reasons=(f"{len(statistics)} pictures, {SMALLEST_SAMPLE} are needed for a judgement",),
        )
    off = {field.name: _excess(field.name, statistics, reference) for field in fields(PictureStatistics)}
    reasons = tuple(reason for _, reason in off.values() if reason)
    over = sum(excess for name, (excess, _) in off.items() if name != "luminance" and excess > 0)
    under = -sum(excess for name, (excess, _) in off.items() if name != "luminance" and excess < 0)
    if not reasons:
        return SampleJudgement(kind="good")
    if over == under == 0:
        return SampleJudgement(
            kind="washed_out" if off["luminance"][0] > 0 else "over_driven", reasons=reasons
        )
    return SampleJudgement(kind="over_driven" if over >= under else "washed_out", reasons=reasons)


def _excess(
    name: str, statistics: Sequence[PictureStatistics], reference: ReferenceStatistics
) -> tuple[float, str | None]:
    """How many standard errors a sample's mean lies outside its band (signed, 0 inside), and why in words."""
    band: Band = getattr(reference, name)
    mean = math.fsum(getattr(one, name) for one in statistics) / len(statistics)
    error = max(band.std / math.sqrt(len(statistics)), 1e-6)
    beyond = abs(mean - band.mean) - band.slack - _SPREADS_ALLOWED * error
    if beyond <= 0:
        return 0.0, None
    side = "above" if mean > band.mean else "below"
    words = f"{name} {mean:.3f} is {side} the {band.mean:.3f} of full-step pictures"
    return math.copysign(beyond / error, mean - band.mean), words
