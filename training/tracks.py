"""How high the subject of a clip is, frame by frame, and whether that is the bounce that was asked for.

Nothing here is learned: the background is the colour of the border, and the subject is what differs from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.bounce import SHARE, heights
from training.config import PICTURE_SIZE

_BORDER = 3
_FAINT, _PLAIN = 0.08, 0.25
"""Distances from the background's colour at which a pixel starts to count, and counts whole."""
_LARGE = 0.9
"""The subject's share of the frame in the pictures that the judge knows."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A clip's track beside the asked path: correlation, and travel as a share of what was asked."""

    correlation: float
    reach: float


def as_clip(frames: NDArray[np.uint8]) -> Tensor:
    """uint8 (frames, 64, 64, 3) to floats (frames, 3, 64, 64) in 0..1."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


def cover(clip: Tensor) -> Tensor:
    """How much each pixel belongs to the subject, 0..1, (frames, 64, 64); a background for each frame."""
    edge = torch.ones(clip.shape[-2:], dtype=torch.bool)
    edge[_BORDER:-_BORDER, _BORDER:-_BORDER] = False
    paper = clip[:, :, edge].median(2).values
    distance = (clip - paper[:, :, None, None]).abs().amax(1)
    return ((distance - _FAINT) / (_PLAIN - _FAINT)).clamp(0, 1)


def track(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How far below the middle the subject's centroid is, in pixels, (frames,)."""
    mask = cover(as_clip(frames))
    place = torch.arange(PICTURE_SIZE) - (PICTURE_SIZE - 1) / 2
    seen: NDArray[np.float64] = (
        ((mask.sum(2) * place).sum(1) / mask.sum((1, 2)).clamp(min=1e-3)).double().numpy()
    )
    return seen


def likeness(frames: NDArray[np.uint8]) -> Likeness:
    """Compare a clip with the bounce; a clip in which nothing rises or falls has no correlation: 0."""
    seen, path = track(frames), np.array(heights())
    seen, path = seen - seen.mean(), path - path.mean()
    spread = float(np.sqrt((seen**2).sum() * (path**2).sum()))
    if spread < 1e-3:
        return Likeness(0.0, 0.0)
    shared = float((seen * path).sum())
    return Likeness(shared / spread, shared / float((path**2).sum()))


def set_back(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The clip with the asked bounce undone: the subject large and in the middle of every frame."""
    clip, scale = as_clip(frames), SHARE / _LARGE
    downs = [height / (PICTURE_SIZE / 2) for height in heights()]
    matrix = torch.tensor([[[scale, 0.0, 0.0], [0.0, scale, down]] for down in downs])
    grid = functional.affine_grid(matrix, list(clip.shape), align_corners=False)
    still = functional.grid_sample(clip, grid, padding_mode="border", align_corners=False)
    return (still * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def flicker(frames: NDArray[np.uint8]) -> float:
    """Mean difference of neighbouring frames once the asked bounce is undone, 0..1; a loop's ends are two."""
    still = set_back(frames).astype(np.float64) / 255
    return float(np.abs(still - np.roll(still, 1, 0)).mean())
