"""Which pages are written from the running product, and whether they still say what it does."""

from collections.abc import Callable, Mapping
from pathlib import Path

from infra.docs import cli_reference, json_reference, settings_reference

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli_reference.page,
    "json.md": json_reference.page,
    "settings.md": settings_reference.page,
}


def stale(name: str) -> bool:
    """Does the page differ from what the product says now, or is it missing?"""
    path = FOLDER / name
    return not path.is_file() or path.read_text(encoding="utf-8") != PAGES[name]()


def write(name: str) -> Path:
    """Rewrite one page; returns where it is."""
    text = PAGES[name]()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / name).write_text(text, encoding="utf-8")
    return FOLDER / name
