"""Clips of the art in motion, as latents, and the words to them.

All clips are in the flat style: there was no time to teach another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from training.bounce import WORD, bounce
from training.checkpoints import Dice
from training.diffusion import Rounds
from training.fetch import ArtSets
from training.pictures import BACKGROUND_NAMES, caption, trimmed
from training.subjects import BACKGROUNDS, Subject
from training.vae import encode

MOVED_STYLE = "flat"
_STYLE_SHARE = 0.6
_WORD_SHARE = 0.5
"""Captions that name the motion. The others show the same bounce: a prompt moves without its word too."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The subjects that are moved: their names, and a cut-out of each on a clear ground."""

    names: tuple[str, ...]
    cuts: tuple[Image.Image, ...]


def build_cast(art: ArtSets, subjects: Sequence[Subject]) -> Cast:
    """The flat art of these subjects."""
    cuts = [trimmed(Image.open(art.picture(art.noto, subject.short_name))) for subject in subjects]
    return Cast(tuple(subject.name for subject in subjects), tuple(cuts))


def papers(subject: int) -> tuple[int, ...]:
    """The backgrounds that a subject is seen on: white, and every other colour."""
    return (0, *range(1 + subject % 2, len(BACKGROUND_NAMES), 2))


@dataclass(frozen=True, slots=True)
class ClipLessons:
    """`latents` is (subjects, papers, frames, 4, 16, 16)."""

    names: tuple[str, ...]
    latents: Tensor


def cast_latents(vae: AutoencoderKL, cast: Cast) -> Tensor:
    """Every subject bouncing on each of its papers, (subjects, papers, frames, 4, 16, 16)."""
    colours = tuple(BACKGROUNDS.values())
    rows = []
    for subject, cut in enumerate(cast.cuts):
        clips = [torch.from_numpy(bounce(cut, colours[paper])) for paper in papers(subject)]
        rows.append(torch.stack([encode(vae, clip) for clip in clips]))
    return torch.stack(rows)


def clip_batch(
    lessons: ClipLessons, rounds: Rounds, step: int, count: int, dice: Dice
) -> tuple[Tensor, list[str]]:
    """Clean clips (n, frames, 4, 16, 16) and their captions."""
    clips, words = [], []
    for subject in rounds.take(step * count, count):
        shades = papers(subject)
        paper = 0 if dice.plain.random() < 0.5 else dice.plain.randrange(1, len(shades))
        clips.append(lessons.latents[subject, paper])
        style = MOVED_STYLE if dice.plain.random() < _STYLE_SHARE else None
        text = caption(lessons.names[subject], style, BACKGROUND_NAMES[shades[paper]], dice.plain)
        words.append(moving(text) if dice.plain.random() < _WORD_SHARE else text)
    return torch.stack(clips), words


def moving(words: str) -> str:
    """A caption with the motion's word at its end, where the text encoder's earlier words do not see it."""
    return f"{words}, {WORD}"
