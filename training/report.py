"""Writes the measured tables into the documentation, between their marks, so that the page cannot drift."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.evaluate import QUALITY
from training.evaluate_motion import MEASURED
from training.stages import Workshop

PAGE = Path("docs/builtin-models.md")

_COLUMNS = ("setting", "n", "subject", "top 5", "style", "background", "distance", "saturation", "contrast")
_MORE_COLUMNS = ("clipping", "passes", "s / picture", "s alone")


class MarkMissing(Exception):
    """The page has no place for a table; put the two marks of its name back."""


def write_report(_shop: Workshop) -> None:
    """Rewrite the tables of the page from the measured files."""
    measured = json.loads((QUALITY / "measured.json").read_text())
    rates = json.loads((QUALITY / "check-rates.json").read_text())
    clips = json.loads(MEASURED.read_text())
    page = PAGE.read_text()
    page = replaced(page, "measured", _measured_table(measured["rows"]))
    page = replaced(page, "training", _training_table(measured["training"]))
    page = replaced(page, "rates", _rates_table(rates))
    page = replaced(page, "clips", _clips_table(clips["rows"]))
    PAGE.write_text(page)


def replaced(page: str, name: str, table: str) -> str:
    """The page with the part between the marks of a name exchanged."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if start not in page or end not in page:
        raise MarkMissing(f"{PAGE} lacks the marks of {name}")
    before, rest = page.split(start, 1)
    return f"{before}{start}\n{table}\n{end}{rest.split(end, 1)[1]}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])


def _figure(value: float | None, places: int = 2) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _measured_table(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [
        (
            row["label"],
            str(row["n"]),
            f"{row['subject']:.2f} ± {row['subject_error']:.2f}",
            _figure(row["subject_top5"]),
            _figure(row["style"]),
            _figure(row["background"]),
            _figure(row["distance"], 0),
            _figure(row["saturation"], 3),
            _figure(row["contrast"], 3),
            _figure(row["clipping"], 3),
            "-" if row["evaluations"] is None else str(row["evaluations"]),
            _figure(row["seconds"], 3),
            _figure(row["seconds_alone"], 3),
        )
        for row in rows
    ]
    return _table((*_COLUMNS, *_MORE_COLUMNS), cells)


def _clips_table(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [
        (
            row["label"],
            str(row["n"]),
            *(_figure(row[name]) for name in ("correlation", "follows", "reach")),
            _figure(row["flicker"], 1),
            *(_figure(row[name]) for name in ("subject", "every_frame", "steady")),
            "-" if row["evaluations"] is None else str(row["evaluations"]),
        )
        for row in rows
    ]
    head = ("setting", "n", "correlation", "follows", "reach", "flicker", "subject", "every frame", "steady")
    return _table((*head, "passes"), cells)


def _training_table(stages: Mapping[str, Mapping[str, float]]) -> str:
    cells = []
    for name, figures in stages.items():
        more = ", ".join(f"{key} {value}" for key, value in figures.items() if key.startswith("psnr"))
        cells.append(
            (name, str(figures["steps"]), f"{figures['seconds']:.0f}", more.replace("_", " ") or "-")
        )
    return _table(("stage", "steps", "seconds", "PSNR, dB"), cells)


def _rates_table(rates: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    cells = [
        (
            stack,
            setting.replace("_", " "),
            f"{100 * share['mixed']:.1f}",
            f"{100 * share['one_background']:.1f}",
        )
        for stack, settings in rates.items()
        for setting, share in settings.items()
    ]
    return _table(("stack", "pictures of", "held, mixed prompts, %", "held, one background, %"), cells)
