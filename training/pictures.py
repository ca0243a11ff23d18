"""Puts subjects on backgrounds, and words to pictures.

The data is a dense array over (subject, art set, background); a missing drawing is marked in `known`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.config import PICTURE_SIZE
from training.fetch import ArtSets
from training.shapes import DRAWINGS, drawing
from training.subjects import ADDED_STYLES, BACKGROUNDS, STYLES, Subject, article

ART = STYLES + ADDED_STYLES
BACKGROUND_NAMES = tuple(BACKGROUNDS)
_OBJECT_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Gallery:
    """`pixels` is uint8 (subjects, art, backgrounds, 64, 64, 3); `known` is bool (subjects, art)."""

    names: tuple[str, ...]
    pixels: NDArray[np.uint8]
    known: NDArray[np.bool_]

    def entries(self, art: Sequence[str]) -> list[tuple[int, int]]:
        """The (subject, art) pairs of some art sets that exist."""
        wanted = [ART.index(name) for name in art]
        return [(i, j) for i in range(len(self.names)) for j in wanted if self.known[i, j]]


def trimmed(picture: Image.Image) -> Image.Image:
    """Cut away the clear border, so that all sets fill the frame alike."""
    rgba = picture.convert("RGBA")
    return rgba.crop(rgba.getchannel("A").point(lambda alpha: 255 if alpha > 8 else 0).getbbox())


def composed(cut: Image.Image, background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The cut-out centred on a plain background, as uint8 (64, 64, 3)."""
    scale = PICTURE_SIZE * _OBJECT_SHARE / max(cut.size)
    size = (max(1, round(cut.width * scale)), max(1, round(cut.height * scale)))
    small = cut.resize(size, Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (PICTURE_SIZE, PICTURE_SIZE), (*background, 255))
    canvas.alpha_composite(small, ((PICTURE_SIZE - small.width) // 2, (PICTURE_SIZE - small.height) // 2))
    return np.asarray(canvas.convert("RGB"))


def build_gallery(art: ArtSets, subjects: Sequence[Subject]) -> Gallery:
    """Compose every subject of every set on every background."""
    shape = (len(subjects), len(ART), len(BACKGROUNDS), PICTURE_SIZE, PICTURE_SIZE, 3)
    pixels = np.zeros(shape, np.uint8)
    known = np.zeros(shape[:2], np.bool_)
    for i, subject in enumerate(subjects):
        folders = (art.noto, art.fluent, art.twemoji)
        sources = [Image.open(art.picture(folder, subject.short_name)) for folder in folders]
        if subject.name in DRAWINGS:
            sources.append(drawing(subject.name))
        for j, source in enumerate(sources):
            cut = trimmed(source)
            known[i, j] = True
            for k, colour in enumerate(BACKGROUNDS.values()):
                pixels[i, j, k] = composed(cut, colour)
    return Gallery(tuple(subject.name for subject in subjects), pixels, known)


def drawn_background(dice: random.Random) -> int:
    """Half of all pictures are on white, the plainest thing to ask for; the colours share the rest."""
    return 0 if dice.random() < 0.5 else dice.randrange(1, len(BACKGROUNDS))


def caption(noun: str, style: str | None, background: str, dice: random.Random) -> str:
    """One of the ways a person may ask for the picture; `style` None leaves it unnamed."""
    a_noun = f"{article(noun)} {noun}"
    ending = f", {style} style" if style else ""
    form = dice.random()
    if style and form < 0.3:
        words = f"a {style} {noun}"
    elif form < 0.55:
        words = a_noun + ending
    elif form < 0.75:
        words = noun + ending
    elif form < 0.9:
        words = f"a picture of {a_noun}{ending}"
    else:
        words = f"{noun} icon{ending}"
    if dice.random() < (0.25 if background == "white" else 0.95):
        words += f" on a {background} background"
    return words


def tile(pictures: Sequence[NDArray[np.uint8]], columns: int, path: Path, scale: int = 1) -> None:
    """Save pictures, all of one size, as one PNG of rows; 256 colours keep it small."""
    blanks = [np.full_like(pictures[0], 255)] * (-len(pictures) % columns)
    padded = [*pictures, *blanks]
    rows = [np.concatenate(padded[i : i + columns], 1) for i in range(0, len(padded), columns)]
    sheet = Image.fromarray(np.concatenate(rows, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    size = (sheet.width * scale, sheet.height * scale)
    large = sheet.resize(size, Image.Resampling.NEAREST)
    large.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
