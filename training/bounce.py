"""The motion that clips are made of: a bounce, which is where the subject is in each frame.

It is a loop, and always the same one: the frame's number decides the height, not the noise. That is what a
model this small can learn in an hour, and it lets a drawn clip be held against the path that was asked for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.config import CLIP_FRAMES, PICTURE_SIZE

WORD = "bouncing"
SHARE = 0.74
"""The share of the frame that the subject's longer side takes: there must be room to move."""
_TRAVEL = 8.0
_FINER = 2
"""Frames are drawn this much larger and reduced, so that a move by half a pixel is seen."""


def heights() -> list[float]:
    """How far below the middle the subject is in each frame, in pixels: it starts at the bottom."""
    parts = [frame / CLIP_FRAMES for frame in range(CLIP_FRAMES)]
    return [_TRAVEL - 2 * _TRAVEL * 4 * part * (1 - part) for part in parts]


def posed(cut: Image.Image, across: float, down: float) -> NDArray[np.float32]:
    """The cut-out on a clear frame, moved by so many pixels from the middle.

    Returns colour times opacity, and opacity, float32 (64, 64, 4) in 0..1.
    """
    side = PICTURE_SIZE * _FINER
    scale = side * SHARE / max(cut.size)
    size = (max(1, round(cut.width * scale)), max(1, round(cut.height * scale)))
    drawn = cut.convert("RGBa").resize(size, Image.Resampling.LANCZOS)
    canvas = Image.new("RGBa", (side, side))
    left, top = (
        (side - length) // 2 + round(move * _FINER) for length, move in zip(size, (across, down), strict=True)
    )
    canvas.paste(drawn, (left, top))
    return np.asarray(canvas.reduce(_FINER), np.float32) / 255


def on_paper(posed_cut: NDArray[np.float32], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The posed cut-out on a plain background, uint8 (64, 64, 3)."""
    clear = 1 - posed_cut[..., 3:]
    mixed = posed_cut[..., :3] * 255 + clear * np.asarray(colour, np.float32)
    return mixed.round().clip(0, 255).astype(np.uint8)


def bounce(cut: Image.Image, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A real clip of the cut-out on a plain background, uint8 (frames, 64, 64, 3)."""
    return np.stack([on_paper(posed(cut, 0.0, height), colour) for height in heights()])
