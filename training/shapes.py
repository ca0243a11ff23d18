"""Draws the fourth art set: known subjects made of circles, boxes and triangles with a dark outline.

The pictures are the project's own, drawn by this file alone, so that one built-in style has a licence
the project may choose: the non-commercial one that the licence gate is shown with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (35, 35, 60)
RED: Colour = (235, 60, 70)
BLUE: Colour = (50, 110, 235)
GREEN: Colour = (40, 170, 90)
YELLOW: Colour = (255, 205, 50)
ORANGE: Colour = (250, 140, 40)
PURPLE: Colour = (150, 80, 210)
PINK: Colour = (250, 150, 190)
WHITE: Colour = (250, 250, 250)
GREY: Colour = (160, 170, 185)
BROWN: Colour = (150, 95, 55)

_SIZE = 256
_LINE = 11


class Board:
    """A square sheet with coordinates from 0 to 1; every shape is filled and outlined."""

    def __init__(self) -> None:
        self.sheet = Image.new("RGBA", (_SIZE, _SIZE), (0, 0, 0, 0))
        self._pen = ImageDraw.Draw(self.sheet)

    def circle(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """A disc around (x, y)."""
        self.oval(x - radius, y - radius, x + radius, y + radius, fill)

    def oval(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """An ellipse in a box."""
        self._pen.ellipse(_scaled((left, top), (right, bottom)), fill=fill, outline=INK, width=_LINE)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """An upright rectangle."""
        self._pen.rectangle(_scaled((left, top), (right, bottom)), fill=fill, outline=INK, width=_LINE)

    def corners(self, points: Sequence[Point], fill: Colour) -> None:
        """A polygon with round joints."""
        flat = _scaled(*points)
        self._pen.polygon(flat, fill=fill)
        self._pen.line([*flat, *flat[:4]], fill=INK, width=_LINE, joint="curve")

    def patch(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """A rectangle without outline, to hide a seam."""
        self._pen.rectangle(_scaled((left, top), (right, bottom)), fill=fill)

    def half(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """The upper half of a disc, flat side down on (x, y)."""
        box = _scaled((x - radius, y - radius), (x + radius, y + radius))
        self._pen.chord(box, 180, 360, fill=fill, outline=INK, width=_LINE)

    def dot(self, x: float, y: float, radius: float = 0.035) -> None:
        """A spot of ink: eyes, wheels' hubs, seeds."""
        self._pen.ellipse(_scaled((x - radius, y - radius), (x + radius, y + radius)), fill=INK)

    def stroke(self, points: Sequence[Point]) -> None:
        """An open line of ink."""
        self._pen.line(_scaled(*points), fill=INK, width=_LINE, joint="curve")


def _scaled(*points: Point) -> list[float]:
    return [value * (_SIZE - 1) for point in points for value in point]


def _heart(fill: Colour) -> Callable[[Board], None]:
    turns = [math.tau * step / 60 for step in range(60)]
    across = [0.5 + 0.44 * math.sin(turn) ** 3 for turn in turns]
    down = [
        0.46 - (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) * 0.0275
        for t in turns
    ]

    def draw(board: Board) -> None:
        board.corners(list(zip(across, down, strict=True)), fill)

    return draw


def _star(board: Board) -> None:
    board.corners(
        [
            (0.5, 0.05),
            (0.62, 0.37),
            (0.96, 0.38),
            (0.69, 0.59),
            (0.79, 0.93),
            (0.5, 0.73),
            (0.21, 0.93),
            (0.31, 0.59),
            (0.04, 0.38),
            (0.38, 0.37),
        ],
        YELLOW,
    )


def _moon(board: Board) -> None:
    board.circle(0.5, 0.5, 0.44, YELLOW)
    board.circle(0.36, 0.36, 0.09, ORANGE)
    board.circle(0.65, 0.6, 0.12, ORANGE)


def _sun(board: Board) -> None:
    for points in (
        ((0.5, 0.02), (0.5, 0.98)),
        ((0.02, 0.5), (0.98, 0.5)),
        ((0.15, 0.15), (0.85, 0.85)),
        ((0.15, 0.85), (0.85, 0.15)),
    ):
        board.stroke(points)
    board.circle(0.5, 0.5, 0.31, YELLOW)


def _house(board: Board) -> None:
    board.box(0.17, 0.45, 0.83, 0.93, WHITE)
    board.corners([(0.05, 0.47), (0.5, 0.06), (0.95, 0.47)], RED)
    board.box(0.41, 0.62, 0.6, 0.93, BROWN)


def _snowman(board: Board) -> None:
    board.circle(0.5, 0.69, 0.27, WHITE)
    board.circle(0.5, 0.31, 0.19, WHITE)
    board.box(0.34, 0.03, 0.66, 0.15, BLUE)
    board.dot(0.43, 0.28)
    board.dot(0.57, 0.28)
    board.corners([(0.5, 0.33), (0.68, 0.38), (0.5, 0.4)], ORANGE)
    board.dot(0.5, 0.62)
    board.dot(0.5, 0.77)


def _rainbow(board: Board) -> None:
    for radius, fill in ((0.47, RED), (0.38, ORANGE), (0.29, YELLOW), (0.2, GREEN), (0.11, BLUE)):
        board.half(0.5, 0.7, radius, fill)


def _tree(board: Board) -> None:
    board.box(0.42, 0.74, 0.58, 0.95, BROWN)
    board.corners([(0.5, 0.3), (0.88, 0.78), (0.12, 0.78)], GREEN)
    board.corners([(0.5, 0.05), (0.78, 0.48), (0.22, 0.48)], GREEN)


def _mushroom(board: Board) -> None:
    board.box(0.37, 0.5, 0.63, 0.93, WHITE)
    board.half(0.5, 0.56, 0.45, RED)
    board.circle(0.33, 0.38, 0.08, WHITE)
    board.circle(0.62, 0.31, 0.1, WHITE)


def _balloon(board: Board) -> None:
    board.stroke([(0.5, 0.7), (0.45, 0.83), (0.53, 0.97)])
    board.corners([(0.5, 0.66), (0.59, 0.77), (0.41, 0.77)], RED)
    board.oval(0.2, 0.04, 0.8, 0.7, RED)


def _ice_cream(board: Board) -> None:
    board.circle(0.5, 0.3, 0.25, PINK)
    board.corners([(0.23, 0.42), (0.77, 0.42), (0.5, 0.95)], ORANGE)


def _fish(board: Board) -> None:
    board.corners([(0.65, 0.5), (0.95, 0.22), (0.95, 0.78)], ORANGE)
    board.oval(0.05, 0.24, 0.75, 0.76, BLUE)
    board.dot(0.22, 0.43, 0.045)


def _robot(board: Board) -> None:
    board.stroke([(0.5, 0.05), (0.5, 0.2)])
    board.circle(0.5, 0.08, 0.06, RED)
    board.box(0.14, 0.2, 0.86, 0.9, GREY)
    board.circle(0.34, 0.44, 0.1, YELLOW)
    board.circle(0.66, 0.44, 0.1, YELLOW)
    board.box(0.3, 0.66, 0.7, 0.78, WHITE)


def _ghost(board: Board) -> None:
    board.half(0.5, 0.42, 0.36, WHITE)
    board.corners(
        [(0.14, 0.42), (0.86, 0.42), (0.86, 0.93), (0.68, 0.78), (0.5, 0.93), (0.32, 0.78), (0.14, 0.93)],
        WHITE,
    )
    board.patch(0.17, 0.35, 0.83, 0.5, WHITE)
    board.dot(0.37, 0.4, 0.06)
    board.dot(0.63, 0.4, 0.06)


def _apple(board: Board) -> None:
    board.circle(0.5, 0.58, 0.36, RED)
    board.stroke([(0.5, 0.25), (0.53, 0.08)])
    board.oval(0.54, 0.08, 0.82, 0.22, GREEN)


def _rocket(board: Board) -> None:
    board.corners([(0.32, 0.6), (0.12, 0.85), (0.32, 0.83)], RED)
    board.corners([(0.68, 0.6), (0.88, 0.85), (0.68, 0.83)], RED)
    board.corners([(0.4, 0.84), (0.6, 0.84), (0.5, 0.98)], ORANGE)
    board.box(0.32, 0.34, 0.68, 0.84, WHITE)
    board.corners([(0.32, 0.36), (0.5, 0.04), (0.68, 0.36)], RED)
    board.circle(0.5, 0.52, 0.1, BLUE)


def _sailboat(board: Board) -> None:
    board.corners([(0.5, 0.05), (0.5, 0.64), (0.9, 0.64)], WHITE)
    board.corners([(0.43, 0.18), (0.43, 0.64), (0.12, 0.64)], RED)
    board.corners([(0.05, 0.7), (0.95, 0.7), (0.78, 0.93), (0.22, 0.93)], BROWN)


def _umbrella(board: Board) -> None:
    board.stroke([(0.5, 0.5), (0.5, 0.9), (0.4, 0.94), (0.33, 0.86)])
    board.half(0.5, 0.53, 0.45, PURPLE)
    board.stroke([(0.5, 0.1), (0.5, 0.53)])


def _gift(board: Board) -> None:
    board.circle(0.38, 0.2, 0.12, RED)
    board.circle(0.62, 0.2, 0.12, RED)
    board.box(0.12, 0.42, 0.88, 0.94, YELLOW)
    board.box(0.06, 0.29, 0.94, 0.46, YELLOW)
    board.box(0.42, 0.29, 0.58, 0.94, RED)


def _pizza(board: Board) -> None:
    board.corners([(0.08, 0.18), (0.92, 0.18), (0.5, 0.95)], YELLOW)
    board.box(0.05, 0.07, 0.95, 0.21, BROWN)
    board.circle(0.36, 0.36, 0.09, RED)
    board.circle(0.62, 0.36, 0.09, RED)
    board.circle(0.5, 0.61, 0.09, RED)


def _tulip(board: Board) -> None:
    board.stroke([(0.5, 0.5), (0.5, 0.97)])
    board.oval(0.12, 0.66, 0.48, 0.82, GREEN)
    board.oval(0.52, 0.66, 0.88, 0.82, GREEN)
    board.corners(
        [
            (0.26, 0.08),
            (0.4, 0.24),
            (0.5, 0.05),
            (0.6, 0.24),
            (0.74, 0.08),
            (0.74, 0.42),
            (0.5, 0.58),
            (0.26, 0.42),
        ],
        PINK,
    )


def _planet(board: Board) -> None:
    board.circle(0.5, 0.5, 0.31, PURPLE)
    board.corners([(0.03, 0.58), (0.97, 0.34), (0.97, 0.43), (0.03, 0.67)], YELLOW)


def _cat(board: Board) -> None:
    board.corners([(0.12, 0.08), (0.45, 0.28), (0.15, 0.5)], ORANGE)
    board.corners([(0.88, 0.08), (0.55, 0.28), (0.85, 0.5)], ORANGE)
    board.circle(0.5, 0.56, 0.38, ORANGE)
    board.dot(0.36, 0.5, 0.05)
    board.dot(0.64, 0.5, 0.05)
    board.corners([(0.44, 0.63), (0.56, 0.63), (0.5, 0.7)], PINK)


def _smile(board: Board) -> None:
    board.circle(0.5, 0.5, 0.45, YELLOW)
    board.dot(0.35, 0.4, 0.06)
    board.dot(0.65, 0.4, 0.06)
    board.stroke([(0.27, 0.6), (0.38, 0.72), (0.5, 0.76), (0.62, 0.72), (0.73, 0.6)])


def _ladybug(board: Board) -> None:
    board.circle(0.5, 0.2, 0.15, GREY)
    board.circle(0.5, 0.58, 0.37, RED)
    board.stroke([(0.5, 0.22), (0.5, 0.95)])
    for x, y in ((0.32, 0.46), (0.68, 0.46), (0.32, 0.7), (0.68, 0.7)):
        board.dot(x, y, 0.06)


def _car(board: Board) -> None:
    board.corners([(0.2, 0.5), (0.32, 0.24), (0.68, 0.24), (0.8, 0.5)], BLUE)
    board.box(0.04, 0.48, 0.96, 0.74, RED)
    board.circle(0.26, 0.75, 0.13, GREY)
    board.circle(0.74, 0.75, 0.13, GREY)


def _bulb(board: Board) -> None:
    board.box(0.36, 0.66, 0.64, 0.94, GREY)
    board.circle(0.5, 0.39, 0.34, YELLOW)
    board.stroke([(0.42, 0.72), (0.42, 0.45), (0.58, 0.45), (0.58, 0.72)])


DRAWINGS: dict[str, Callable[[Board], None]] = {
    "red heart": _heart(RED),
    "blue heart": _heart(BLUE),
    "green heart": _heart(GREEN),
    "star": _star,
    "moon": _moon,
    "sun": _sun,
    "house": _house,
    "snowman": _snowman,
    "rainbow": _rainbow,
    "christmas tree": _tree,
    "mushroom": _mushroom,
    "balloon": _balloon,
    "ice cream cone": _ice_cream,
    "fish": _fish,
    "robot": _robot,
    "ghost": _ghost,
    "red apple": _apple,
    "rocket": _rocket,
    "sailboat": _sailboat,
    "umbrella": _umbrella,
    "gift": _gift,
    "pizza": _pizza,
    "tulip": _tulip,
    "planet": _planet,
    "cat": _cat,
    "smiling face": _smile,
    "ladybug": _ladybug,
    "red car": _car,
    "light bulb": _bulb,
}


def drawing(subject: str) -> Image.Image:
    """The subject as an RGBA picture with a clear background."""
    board = Board()
    DRAWINGS[subject](board)
    return board.sheet
