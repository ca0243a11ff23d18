"""The picture of latency by load: our server beside the plain one."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "serving.png"
COLOURS = ("#8a8f98", "#0b6e4f")
WIDTH, HEIGHT = 1200, 640
TOP, BOTTOM, LEFT, RIGHT = 130, 80, 110, 60
DOT = 7
MARKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds, on a scale of their logarithms


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One server: (p50, p95) seconds at each load."""

    name: str
    points: tuple[tuple[float, float], ...]


def draw(lines: Sequence[Line], loads: Sequence[float], capacity: float, path: Path = PICTURE) -> None:
    """Write the picture; ``capacity`` is what the plain server can do, in pictures a second."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    canvas = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(26), ImageFont.load_default(20)
    canvas.text((LEFT, 18), "Seconds until a picture is there, by arrivals (log scale)", "black", large)
    at = float(LEFT)
    for line, colour in zip(lines, COLOURS, strict=True):
        canvas.line([(at, 75), (at + 36, 75)], colour, width=5)
        canvas.text((at + 46, 63), f"{line.name}: p50, and p95 thin", "black", small)
        at += 46 + canvas.textlength(f"{line.name}: p50, and p95 thin", small) + 50
    height, width = HEIGHT - TOP - BOTTOM, WIDTH - LEFT - RIGHT
    low, high = log10(MARKS[0]), log10(MARKS[-1])

    def y_of(seconds: float) -> float:
        share = (log10(min(MARKS[-1], max(MARKS[0], seconds))) - low) / (high - low)
        return TOP + height * (1 - share)

    xs = [LEFT + width * (0.05 + 0.9 * number / (len(loads) - 1)) for number in range(len(loads))]
    for mark in MARKS:
        canvas.line([(LEFT, y_of(mark)), (LEFT + width, y_of(mark))], "#d9dce1", width=1)
        canvas.text((LEFT - 10, y_of(mark)), f"{mark:g} s", "#555555", small, anchor="rm")
    for x, load in zip(xs, loads, strict=True):
        canvas.text((x, HEIGHT - BOTTOM + 14), f"{load * capacity:.1f}/s", "#555555", small, anchor="ma")
    canvas.text(
        (LEFT, HEIGHT - 34), f"The plain server can do {capacity:.1f} pictures a second.", "#555555", small
    )
    for line, colour in zip(lines, COLOURS, strict=True):
        for place, thickness in ((0, 5), (1, 2)):
            points = [(x, y_of(point[place])) for x, point in zip(xs, line.points, strict=True)]
            canvas.line(points, colour, width=thickness)
            for x, y in points if place == 0 else ():
                canvas.ellipse([x - DOT, y - DOT, x + DOT, y + DOT], fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)
