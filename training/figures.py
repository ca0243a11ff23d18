"""The figures of one row of the table, and how far each can be trusted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.judge import Judge, ask
from training.pictures import Gallery
from training.sampling import Prompt
from training.subjects import STYLES
from workers.output_checks import picture_statistics


@dataclass(frozen=True, slots=True)
class Row:
    """Shares are 0..1 over `n` pictures; `subject_error` is one standard error of `subject`."""

    key: str
    label: str
    n: int
    subject: float
    subject_error: float
    subject_top5: float
    style: float | None
    background: float
    distance: float
    saturation: float
    contrast: float
    clipping: float
    evaluations: int | None
    seconds: float | None


def real_row(gallery: Gallery, prompts: Sequence[Prompt], seed: int) -> NDArray[np.uint8]:
    """Real pictures that answer the prompts, uint8 (n, 64, 64, 3); open styles are drawn."""
    dice = random.Random(f"{seed}/real")
    styles = [dice.randrange(len(STYLES)) if prompt.style is None else prompt.style for prompt in prompts]
    return np.stack(
        [
            gallery.pixels[prompt.subject, style, prompt.background]
            for prompt, style in zip(prompts, styles, strict=True)
        ]
    )


def frechet(left: Tensor, right: Tensor) -> float:
    """The Fréchet distance of two sets of features; with fewer pictures than features, only rows compare."""
    a, b = left.double().numpy(), right.double().numpy()
    one, other = np.cov(a.T), np.cov(b.T)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(one @ other).real, 0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one) + np.trace(other) - 2 * roots)


def measure(
    key: str,
    label: str,
    judge: Judge,
    pictures: NDArray[np.uint8],
    prompts: Sequence[Prompt],
    real: NDArray[np.uint8],
    evaluations: int | None = None,
    seconds: float | None = None,
) -> Row:
    """Ask the judge about the pictures and measure them without it."""
    features, (subjects, styles, backgrounds) = ask(judge, torch.from_numpy(pictures))
    real_features, _ = ask(judge, torch.from_numpy(real))
    wanted = torch.tensor([prompt.subject for prompt in prompts])
    named = [(number, prompt.style) for number, prompt in enumerate(prompts) if prompt.style is not None]
    paper = torch.tensor([prompt.background for prompt in prompts])
    hits = (subjects.argmax(1) == wanted).float()
    share = float(hits.mean())
    statistics = [picture_statistics(picture) for picture in pictures]
    style_hits = [float(styles[number].argmax() == style) for number, style in named]
    return Row(
        key=key,
        label=label,
        n=len(prompts),
        subject=round(share, 4),
        subject_error=round((share * (1 - share) / len(prompts)) ** 0.5, 4),
        subject_top5=round(
            float(
                (subjects.topk(min(5, subjects.shape[1]), 1).indices == wanted[:, None]).any(1).float().mean()
            ),
            4,
        ),
        style=round(float(np.mean(style_hits)), 4) if style_hits else None,
        background=round(float((backgrounds.argmax(1) == paper).float().mean()), 4),
        distance=round(frechet(features, real_features), 1),
        saturation=round(float(np.mean([one.saturation for one in statistics])), 4),
        contrast=round(float(np.mean([one.contrast for one in statistics])), 4),
        clipping=round(float(np.mean([one.clipping for one in statistics])), 4),
        evaluations=evaluations,
        seconds=None if seconds is None else round(seconds, 4),
    )
