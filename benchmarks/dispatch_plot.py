"""The picture of the dispatch simulation: attainment by load, a panel a workload."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "dispatch.png"
COLOURS = ("#8a8f98", "#c27c0e", "#7a4fb5", "#0b6e4f")  # first come, fixed priority, earliest deadline, ours
WIDTH, HEIGHT = 1600, 640
TOP, BOTTOM, LEFT, GAP = 130, 70, 90, 60
DOT = 7
MARKS = (0, 25, 50, 75, 100)


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One workload: for each scheduler its per cent at each load."""

    title: str
    lines: dict[str, list[float]]


def draw(panels: Sequence[Panel], loads: Sequence[float], path: Path = PICTURE) -> None:
    """Write the picture."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    canvas = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(26), ImageFont.load_default(20)
    canvas.text((LEFT, 18), "Pictures that were there by their deadline, in per cent", "black", large)
    _draw_legend(canvas, list(panels[0].lines), small)
    width = (WIDTH - LEFT - GAP * len(panels)) // len(panels)
    for number, panel in enumerate(panels):
        left = LEFT + number * (width + GAP)
        _draw_panel(canvas, panel, loads, (left, width), small)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


def _draw_legend(
    canvas: ImageDraw.ImageDraw, names: Sequence[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    at = float(LEFT)
    for name, colour in zip(names, COLOURS, strict=True):
        canvas.line([(at, 75), (at + 36, 75)], colour, width=5)
        canvas.text((at + 46, 63), name, "black", font)
        at += 46 + canvas.textlength(name, font) + 50


def _draw_panel(
    canvas: ImageDraw.ImageDraw,
    panel: Panel,
    loads: Sequence[float],
    place: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    left, width = place
    height = HEIGHT - TOP - BOTTOM

    def y_of(value: float) -> float:
        return TOP + height * (1 - value / 100)

    xs = [left + width * (0.12 + 0.72 * number / (len(loads) - 1)) for number in range(len(loads))]
    canvas.text((left, TOP - 34), panel.title, "black", font)
    for mark in MARKS:
        canvas.line([(left, y_of(mark)), (left + width, y_of(mark))], "#d9dce1", width=1)
        canvas.text((left - 10, y_of(mark)), str(mark), "#555555", font, anchor="rm")
    for x, load in zip(xs, loads, strict=True):
        canvas.text((x, HEIGHT - BOTTOM + 14), f"load {load}", "#555555", font, anchor="ma")
    for (name, values), colour in zip(panel.lines.items(), COLOURS, strict=True):
        points = [(x, y_of(value)) for x, value in zip(xs, values, strict=True)]
        is_ours = name == list(panel.lines)[-1]
        canvas.line(points, colour, width=5 if is_ours else 3)
        for (x, y), value in zip(points, values, strict=True):
            canvas.ellipse([x - DOT, y - DOT, x + DOT, y + DOT], fill=colour)
            if is_ours:
                canvas.text((x, y - 14), f"{value:.0f}", colour, font, anchor="mb")
