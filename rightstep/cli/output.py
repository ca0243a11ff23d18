"""How commands speak: data to stdout, talk to stderr, and four exit codes."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum, IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

PIPED_WIDTH = 160  # columns of a table that no terminal bounds


class ExitCode(IntEnum):
    """What the shell is told."""

    DONE = 0
    REFUSED = 1  # by policy or a licence
    WRONG_USE = 2  # malformed input, an unknown name
    BROKEN = 3  # bytes, services or the house itself
    TRUNCATED = 4  # of `audit verify` alone: the end of the log is missing
    GUARD_MISSING = 5  # the log holds, and nothing would stop a change
    CHECKPOINT_MISMATCH = 6  # the log holds, and is not the one that was signed
    INTERRUPTED = 130  # Ctrl-C, as shells have it


def jsonable(value: object) -> Any:
    """The JSON of a value at any depth: objects by their fields, times in ISO form, enums by their value."""
    if is_dataclass(value) and not isinstance(value, type):
        if type(value).__module__.startswith("policy."):
            from policy.codec import encode  # quick where there are 100,000 of them

            return encode(value)
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(held) for held in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(jsonable(value), indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def data_console() -> "Console":
    """Where tables go: stdout, never cut to eighty columns by a pipe."""
    from rich.console import Console

    return Console(
        file=sys.stdout, markup=False, highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH
    )


def talk_console() -> "Console":
    """Where talk goes: stderr."""
    from rich.console import Console

    return Console(file=sys.stderr, markup=False, highlight=False, soft_wrap=not sys.stderr.isatty())


def say(text: str) -> None:
    """A line of talk."""
    talk_console().print(text)


def print_data(text: str) -> None:
    """A line of data; who reads it through a pipe has it at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[int] = (),
    empty: str = "Nothing to show.",
) -> None:
    """A table on stdout, or ``empty`` as talk; cells are no markup. ``right``: columns of numbers."""
    from rich import box
    from rich.table import Table

    listed = list(rows)
    if not listed:
        say(empty)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for number, head in enumerate(heads):
        table.add_column(
            head,
            justify="right" if number in right else "left",
            no_wrap=number in right,
            overflow="fold",
        )
    for row in listed:
        table.add_row(*(_cell(value) for value in row))
    data_console().print(table)


def _cell(value: object) -> "Text":
    from rich.text import Text

    shown = "" if value is None else str(value)
    return Text(shown, style=STYLES.get(shown, ""))


# Words that are coloured wherever they fill a cell.
STYLES = {
    "permit": "green",
    "finished": "green",
    "done": "green",
    "ok": "green",
    "up": "green",
    "good": "green",
    "reused": "cyan",
    "running": "cyan",
    "queued": "dim",
    "down": "dim",
    "review": "yellow",
    "held": "yellow",
    "warning": "yellow",
    "UNVERIFIED": "yellow",
    "deny": "red",
    "failed": "red",
    "dead": "red",
    "cancelled": "red",
    "problem": "red",
}


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line, aligned."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 3))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(Text(name, style=STYLES.get(name, "dim")), _cell(value))
    data_console().print(table)
