"""Tables for a spreadsheet: CSV in which no cell can be taken for a formula."""

import csv
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from policy.errors import StorageFault

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
QUOTE = "'"


def safe_cell(value: object) -> object:
    """A value as a cell: words that a spreadsheet would calculate get an apostrophe; numbers stay."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    text = str(value)
    return f"{QUOTE}{text}" if text.startswith(FORMULA_STARTS) else text


def write_table(out: Path, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a table, whole or not at all; StorageFault where it cannot be."""
    draft = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(heads)
            writer.writerows([safe_cell(value) for value in row] for row in rows)
        draft.replace(out)
    except OSError as fault:
        with suppress(OSError):
            draft.unlink()
        raise StorageFault(
            f"{out} could not be written: {fault.strerror}.", "Choose another file, or free some space."
        ) from fault
    return out
