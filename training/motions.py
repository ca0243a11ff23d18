"""The three motions that clips are made of: where the subject is and how large, frame by frame.

Every motion is a loop, and always the same one: the word in the prompt decides it, not the noise. That is
what a model this small can learn, and it lets a drawn clip be held against the path that was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.config import CLIP_FRAMES, PICTURE_SIZE

_SHARE = 0.74
"""The subject's share of the frame where a motion does not change it: there must be room to move."""
_TRAVEL = 8.0
_FINER = 2
"""Frames are drawn this much larger and reduced, so that a move by half a pixel is seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """`across` and `down` are pixels from the middle, `share` is the longer side's share of the frame."""

    across: float = 0.0
    down: float = 0.0
    share: float = _SHARE


def _bouncing(part: float) -> Pose:
    return Pose(down=_TRAVEL - 2 * _TRAVEL * 4 * part * (1 - part))


def _zooming(part: float) -> Pose:
    return Pose(share=0.7 - 0.2 * math.cos(2 * math.pi * part))


def _sliding(part: float) -> Pose:
    return Pose(across=-_TRAVEL * math.cos(2 * math.pi * part))


_MOTIONS: dict[str, Callable[[float], Pose]] = {
    "bouncing": _bouncing,
    "zooming": _zooming,
    "sliding": _sliding,
}
MOTIONS = tuple(_MOTIONS)
"""The words; the first is also what a prompt without one of them gets."""


def poses(motion: str) -> list[Pose]:
    """The pose in each frame of the loop, rounded: the way back shows the same poses as the way there."""
    return [_rounded(_MOTIONS[motion](frame / CLIP_FRAMES)) for frame in range(CLIP_FRAMES)]


def _rounded(pose: Pose) -> Pose:
    across, down, share = (round(value, 6) + 0.0 for value in (pose.across, pose.down, pose.share))
    return Pose(across=across, down=down, share=share)


def posed(cut: Image.Image, pose: Pose) -> NDArray[np.float32]:
    """The cut-out on a clear frame: colour times opacity, and opacity, float32 (64, 64, 4) in 0..1."""
    side = PICTURE_SIZE * _FINER
    scale = side * pose.share / max(cut.size)
    size = (max(1, round(cut.width * scale)), max(1, round(cut.height * scale)))
    drawn = cut.convert("RGBa").resize(size, Image.Resampling.LANCZOS)
    canvas = Image.new("RGBa", (side, side))
    left = (side - size[0]) // 2 + round(pose.across * _FINER)
    top = (side - size[1]) // 2 + round(pose.down * _FINER)
    canvas.paste(drawn, (left, top))
    return np.asarray(canvas.reduce(_FINER), np.float32) / 255


def on_paper(posed_cut: NDArray[np.float32], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The posed cut-out on a plain background, uint8 (64, 64, 3)."""
    clear = 1 - posed_cut[..., 3:]
    mixed = posed_cut[..., :3] * 255 + clear * np.asarray(colour, np.float32)
    return mixed.round().clip(0, 255).astype(np.uint8)
