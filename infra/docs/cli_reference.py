"""The page of the command line, from the commands themselves."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HEAD = """\
# The command line

Written by `make docs` from the commands themselves; do not edit by hand.

Data goes to stdout, talk to stderr. Every command that prints data takes `--json`. A command exits with 0
when it is done, 1 when policy or a licence refused, 2 when it was used wrongly, 3 when something is broken,
130 when Ctrl-C stopped it.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One command as a person types it, its help, its parameters."""

    words: tuple[str, ...]
    help: str
    parameters: tuple[Any, ...]
    is_group: bool

    @property
    def name(self) -> str:
        return " ".join(self.words)


def load_application() -> Any:
    """The root of the command line, as Typer resolves it."""
    import typer.main  # noqa: PLC0415  # reading this module needs no command line

    from rightstep.cli.app import app  # noqa: PLC0415

    return typer.main.get_command(app)


def walk(command: Any, words: tuple[str, ...] = ("rightstep",)) -> Iterator[Command]:
    """The command and all that hang below it, hidden ones left out, in the order a person meets them."""
    children: dict[str, Any] = getattr(command, "commands", {})
    yield Command(
        words=words,
        help=inspect.cleandoc(command.help or "").strip(),
        parameters=tuple(p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)),
        is_group=bool(children),
    )
    for name, child in children.items():
        if not child.hidden:
            yield from walk(child, (*words, name))


def parameter_row(parameter: Any) -> str:
    """One line of a table: how it is written, what it means, what it is when left out."""
    if parameter.param_type_name == "argument":
        written = (parameter.metavar or parameter.name or "").upper()
    else:
        written = ", ".join([*parameter.opts, *parameter.secondary_opts])
    meaning = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
    default = parameter.default
    unsaid = default is None or callable(default) or default is False or default in ("", (), [])
    value = (
        "required" if parameter.required else ("" if unsaid else f"`{getattr(default, 'value', default)}`")
    )
    return f"| `{written}` | {meaning} | {value} |"


def section(command: Command) -> str:
    """The section of one command."""
    lines = [f"{'##' if len(command.words) <= 2 else '###'} `{command.name}`", "", command.help]
    if command.parameters:
        lines += ["", "| parameter | meaning | default |", "| --- | --- | --- |"]
        lines += [parameter_row(parameter) for parameter in command.parameters]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page."""
    commands = list(walk(load_application()))
    return "\n".join([HEAD, *(section(command) for command in commands if len(command.words) > 1)])
