"""Where the subject of a clip is and how large, frame by frame, and whether that is what was asked for.

Nothing here is learned: the background is the colour of the border, and the subject is what differs from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.config import PICTURE_SIZE
from training.motions import poses

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
    """How much each pixel belongs to the subject, 0..1, (frames, 64, 64)."""
    edge = torch.ones(clip.shape[-2:], dtype=torch.bool)
    edge[_BORDER:-_BORDER, _BORDER:-_BORDER] = False
    paper = clip[:, :, edge].median(2).values
    distance = (clip - paper[:, :, None, None]).abs().amax(1)
    return ((distance - _FAINT) / (_PLAIN - _FAINT)).clamp(0, 1)


def track(frames: NDArray[np.uint8], motion: str) -> NDArray[np.float64]:
    """The figure that a motion moves, (frames,): pixels from the middle, or a size in shares of the mean."""
    mask = cover(as_clip(frames))
    area = mask.sum((1, 2)).clamp(min=1e-3)
    place = torch.arange(PICTURE_SIZE) - (PICTURE_SIZE - 1) / 2
    size = area.sqrt()
    figures = {
        "bouncing": (mask.sum(2) * place).sum(1) / area,
        "sliding": (mask.sum(1) * place).sum(1) / area,
        "zooming": size / size.mean(),
    }
    seen: NDArray[np.float64] = figures[motion].double().numpy()
    return seen


def asked(motion: str) -> NDArray[np.float64]:
    """The path that a motion asks for, in the unit of its track."""
    path = poses(motion)
    share = np.array([pose.share for pose in path])
    figures = {
        "bouncing": np.array([pose.down for pose in path]),
        "sliding": np.array([pose.across for pose in path]),
        "zooming": share / share.mean(),
    }
    return figures[motion]


def likeness(frames: NDArray[np.uint8], motion: str) -> Likeness:
    """Compare a clip with a motion; a clip in which nothing moves has no correlation: 0."""
    seen, path = track(frames, motion), asked(motion)
    seen, path = seen - seen.mean(), path - path.mean()
    spread = float(np.sqrt((seen**2).sum() * (path**2).sum()))
    if spread < 1e-6:
        return Likeness(0.0, 0.0)
    shared = float((seen * path).sum())
    return Likeness(shared / spread, shared / float((path**2).sum()))


def set_back(frames: NDArray[np.uint8], motion: str) -> NDArray[np.uint8]:
    """The clip with its asked motion undone: the subject large and in the middle of every frame."""
    clip, half = as_clip(frames), PICTURE_SIZE / 2
    reads = [(pose.share / _LARGE, pose.across / half, pose.down / half) for pose in poses(motion)]
    matrix = torch.tensor([[[scale, 0.0, across], [0.0, scale, down]] for scale, across, down in reads])
    grid = functional.affine_grid(matrix, list(clip.shape), align_corners=False)
    still = functional.grid_sample(clip, grid, padding_mode="border", align_corners=False)
    return (still * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def flicker(frames: NDArray[np.uint8], motion: str) -> float:
    """Mean difference of neighbouring frames once the asked motion is undone, 0..1; a loop's ends are two."""
    still = set_back(frames, motion).astype(np.float64) / 255
    return float(np.abs(still - np.roll(still, 1, 0)).mean())
