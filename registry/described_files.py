"""Described stacks from YAML files of strangers: small, plain and shallow, or refused naming file and place.

YAML is read as its 1.2 core schema means it: only ``true`` and ``false`` are flags, so that ``NO``
is Norway and ``on`` is a key, and a commit of digits is no number.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from policy.errors import FormatFault, WrongUse
from policy.uses import IntendedUse
from registry.licences.described import NEXT, DescribedStack, parse_described
from registry.licences.described_artefacts import Origins

LARGEST = 1 << 20  # bytes of a file
DEEPEST = 20  # levels
MOST_NODES = 50_000  # with aliases unfolded: a few bytes of those can unfold into gigabytes


def load_described(
    paths: Iterable[Path], origins: Origins, assumed: IntendedUse
) -> tuple[DescribedStack, ...]:
    """Every document of every file, in order; a malformed one is WrongUse naming file and key."""
    found: list[DescribedStack] = []
    for path in paths:
        for where, document in _documents(path):
            try:
                found.append(parse_described(document, where, origins, assumed))
            except FormatFault as fault:
                raise WrongUse(fault.message, fault.next_step) from None
    return tuple(found)


def _documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    documents = [document for document in _read(path) if document is not None]
    if not documents:
        raise WrongUse(f"{path}: there is no document in it.", NEXT)
    for number, document in enumerate(documents, 1):
        where = str(path) if len(documents) == 1 else f"{path}: document {number}"
        if not isinstance(document, dict):
            raise WrongUse(f"{where}: it is not a table.", NEXT)
        yield where, document


def _read(path: Path) -> list[Any]:
    try:
        with path.open("rb") as file:
            body = file.read(LARGEST + 1)
    except OSError as error:
        raise WrongUse(
            f"{path} cannot be read: {error.strerror or error}.", "Name a file that is there."
        ) from None
    if len(body) > LARGEST:
        raise WrongUse(f"{path}: it is larger than {LARGEST} bytes.", NEXT)
    try:
        return list(yaml.load_all(body.decode("utf-8-sig"), Loader=_CoreLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WrongUse(f"{path}: it cannot be read: {reason}.", NEXT) from None


class _CoreLoader(yaml.SafeLoader):
    """Safe YAML with bounds; a key that is given twice is refused, because only one of them would count."""

    depth = 0
    nodes = 0

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._weights: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        is_alias = self.check_event(yaml.AliasEvent)
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.YAMLError("it is nested too deeply")
        before = self.nodes
        node = super().compose_node(parent, index)
        self.depth -= 1
        if is_alias:
            if id(node) not in self._weights:
                raise yaml.YAMLError("something in it contains itself")
            self.nodes += self._weights[id(node)]
        else:
            self.nodes += 1
            self._weights[id(node)] = self.nodes - before
        if self.nodes > MOST_NODES:
            raise yaml.YAMLError("there is too much in it")
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - as PyYAML has it
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.YAMLError(f"a key in line {key.start_mark.line + 1} is not a text")
            if key.value in seen:
                raise yaml.YAMLError(f'"{key.value}" is given twice in line {key.start_mark.line + 1}')
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?(0|[1-9][0-9_]{0,17})$", "-+0123456789"),
    (
        "float",
        r"^([-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
        "-+0123456789.",
    ),
    ("timestamp", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "0123456789"),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
