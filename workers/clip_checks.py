"""Looks at clips before they count: their length by itself, and whether they move as a clip does.

Pure functions over arrays, numpy only. A clip of another length cannot count. One that stands
still, jumps from frame to frame or is black may be right, so that is for a person to judge.
"""

from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workers.output_checks import PictureStatistics, picture_statistics, picture_suspicion, take_fault

ClipSuspicion = Literal["black", "flat", "frozen", "flicker"]

LOOKED_AT = 8  # frames, evenly through the clip, whose look stands for all
STILL = 0.0005  # mean change from frame to frame, 0..1: an eighth of one level of 8 bits
JUMPY = (
    0.15  # the same: unrelated built-in pictures differ by 0.24 at the median, one moved by an eighth by 0.14
)


def clip_fault(frames: NDArray[np.uint8] | None, size: tuple[int, int], count: int) -> str | None:
    """Why a clip cannot count at all; ``size`` is (width, height) of each of ``count`` frames."""
    if frames is None:
        return "no clip was made"
    if frames.ndim != 4:
        return f"not a clip of RGB frames: {frames.dtype} {frames.shape}"
    if len(frames) != count:
        return f"it has {len(frames)} frames, {count} were asked for"
    return take_fault(frames[0], size)


def clip_statistics(frames: NDArray[np.uint8]) -> PictureStatistics:
    """Figures of (frames, height, width, 3), as the means over frames that are spread evenly through it."""
    places = np.unique(np.linspace(0, len(frames) - 1, LOOKED_AT).round().astype(int))
    looks = [picture_statistics(frames[place]) for place in places]
    return PictureStatistics(
        saturation=float(np.mean([look.saturation for look in looks])),
        clipping=float(np.mean([look.clipping for look in looks])),
        contrast=float(np.mean([look.contrast for look in looks])),
        luminance=float(np.mean([look.luminance for look in looks])),
    )


def clip_motion(frames: NDArray[np.uint8]) -> float:
    """Mean change of a channel value from one frame to the next, 0..1."""
    changes = [float(np.abs(after.astype(np.int16) - before).mean()) for before, after in pairwise(frames)]
    return sum(changes) / (255 * len(changes))


def clip_suspicion(statistics: PictureStatistics, motion: float) -> ClipSuspicion | None:
    """What a clip gives away by itself: nothing but black, one even colour, standing still, or flicker."""
    look = picture_suspicion(statistics)
    if look is not None:
        return look
    if motion <= STILL:
        return "frozen"
    return "flicker" if motion > JUMPY else None
