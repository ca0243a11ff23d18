"""Clips of the art in motion, as latents, and the words to them.

A loop shows most of its poses twice, so only the distinct ones are drawn and encoded; a clip is put together
from them when it is asked for. All clips are in the flat style: there was no time to teach another.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from training.checkpoints import Dice
from training.diffusion import Rounds
from training.fetch import ArtSets
from training.motions import MOTIONS, Pose, on_paper, posed, poses
from training.pictures import BACKGROUND_NAMES, caption, trimmed
from training.subjects import BACKGROUNDS, Subject
from training.vae import encode

MOVED_STYLE = "flat"
_SETTLED_SHARE = 0.4
"""Clips that bounce, the motion of prompts without a motion word; the other motions share the rest."""
_UNNAMED_SHARE = 0.5
"""Bouncing clips whose caption does not say so."""
_STYLE_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Cast:
    """The subjects that are moved: their names, and a cut-out of each on a clear ground."""

    names: tuple[str, ...]
    cuts: tuple[Image.Image, ...]


def build_cast(art: ArtSets, subjects: Sequence[Subject]) -> Cast:
    """The flat art of these subjects."""
    cuts = [trimmed(Image.open(art.picture(art.noto, subject.short_name))) for subject in subjects]
    return Cast(tuple(subject.name for subject in subjects), tuple(cuts))


def distinct_poses() -> tuple[list[Pose], Tensor]:
    """Every pose once, and which of them each frame shows: (motions, frames)."""
    known: dict[Pose, int] = {}
    rows = [[known.setdefault(pose, len(known)) for pose in poses(motion)] for motion in MOTIONS]
    return list(known), torch.tensor(rows)


def papers(subject: int) -> tuple[int, ...]:
    """The backgrounds that a subject is seen on: white, and every other colour."""
    return (0, *range(1 + subject % 2, len(BACKGROUND_NAMES), 2))


def cast_latents(vae: AutoencoderKL, cast: Cast) -> Tensor:
    """Every pose of every subject on its papers, (subjects, poses, papers, 4, 16, 16)."""
    colours = tuple(BACKGROUNDS.values())
    rows = []
    for subject, cut in enumerate(cast.cuts):
        shades = papers(subject)
        moved = [posed(cut, pose) for pose in distinct_poses()[0]]
        frames = [torch.from_numpy(on_paper(one, colours[shade])) for one in moved for shade in shades]
        rows.append(encode(vae, torch.stack(frames)).unflatten(0, (-1, len(shades))))
    return torch.stack(rows)


@dataclass(frozen=True, slots=True)
class ClipLessons:
    """`latents` is (subjects, poses, papers, 4, 16, 16)."""

    names: tuple[str, ...]
    latents: Tensor

    def clip(self, subject: int, motion: int, paper: int) -> Tensor:
        """The latents of one clip, (frames, 4, 16, 16)."""
        shown = distinct_poses()[1][motion]
        return self.latents[subject, shown, paper]


def drawn_motion(dice: random.Random) -> tuple[int, bool]:
    """A motion, and whether its caption names it."""
    if dice.random() < _SETTLED_SHARE:
        return 0, dice.random() >= _UNNAMED_SHARE
    return dice.randrange(1, len(MOTIONS)), True


def moving(words: str, motion: str | None) -> str:
    """A caption with the motion's word at its end, where the text encoder's earlier words do not see it."""
    return f"{words}, {motion}" if motion else words


def clip_batch(
    lessons: ClipLessons, rounds: Rounds, step: int, count: int, dice: Dice
) -> tuple[Tensor, list[str]]:
    """Clean clips (n, frames, 4, 16, 16) and their captions."""
    clips, words = [], []
    for subject in rounds.take(step * count, count):
        shades = papers(subject)
        paper = 0 if dice.plain.random() < 0.5 else dice.plain.randrange(1, len(shades))
        motion, named = drawn_motion(dice.plain)
        clips.append(lessons.clip(subject, motion, paper))
        style = MOVED_STYLE if dice.plain.random() < _STYLE_SHARE else None
        text = caption(lessons.names[subject], style, BACKGROUND_NAMES[shades[paper]], dice.plain)
        words.append(moving(text, MOTIONS[motion] if named else None))
    return torch.stack(clips), words


def without_words(words: Sequence[str], share: float, dice: random.Random) -> list[str]:
    """The captions, a share of them emptied: the unguided half of guidance."""
    return ["" if dice.random() < share else text for text in words]
