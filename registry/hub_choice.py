"""Which files of a repository are brought and pinned, and which never are: decided before the first is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from policy.errors import IntegrityFault, Refused, UnknownName
from policy.wording import names
from registry.sources import LICENCE_NAMES, NOTICE_NAMES
from registry.upstream import UpstreamFacts, UpstreamFile
from registry.verification import PICKLES, PROGRAMS, path_fault, unsafe_among

CARD = "README.md"
CONFIGS = (".json", ".txt", ".yaml", ".yml", ".model")  # settings, word lists and tokenizers
REMOTE_PIPELINE = "modular_model_index.json"
# Libraries that a pipeline may name for its parts. Any other would be a module of the repository itself.
LIBRARIES = frozenset({"diffusers", "transformers", "stable_diffusion"})
DEEPEST = 50  # levels of a configuration


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What is brought, with what is always brought first, and what stays where it is."""

    files: tuple[UpstreamFile, ...]
    named: frozenset[str]  # paths that somebody asked for; all of them where nobody asked for any

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(file.path for file in self.files)


def choose_files(facts: UpstreamFacts, patterns: Sequence[str] = (), *, pickles: bool = False) -> Choice:
    """The files to pin: all but spare pickles, or those that match; always card, texts and configurations.

    IntegrityFault for a path that leaves the repository; UnknownName for a pattern that nothing
    matches; Refused for programs and pickles. ``pickles`` lets a named pickle be brought, to be converted.
    """
    refuse_paths([file.path for file in facts.files])
    by_path = facts.by_path
    for pattern in patterns:
        if not any(_matches(path, pattern) for path in by_path):
            raise UnknownName(
                f"{facts.repo} at {facts.revision[:12]} has no file that matches {pattern}.",
                f"It has {names(sorted(by_path))}.",
            )
    named = {path for path in by_path if not patterns or any(_matches(path, one) for one in patterns)}
    unsafe = unsafe_among(named)
    if not pickles:
        _refuse_unsafe(facts, unsafe, patterns)
        named -= {path for path in named if path.lower().endswith(tuple(PICKLES))}
    chosen = named | {path for path in by_path if is_always_brought(path)}
    ordered = sorted(chosen, key=lambda path: (not is_always_brought(path), path))
    return Choice(files=tuple(by_path[path] for path in ordered), named=frozenset(named))


def is_always_brought(path: str) -> bool:
    """Card, licences, notices and configurations: small, and what the rest is judged by."""
    name = path.rpartition("/")[2]
    return (
        path == CARD
        or LICENCE_NAMES.fullmatch(name) is not None
        or NOTICE_NAMES.fullmatch(name) is not None
        or name.lower().endswith(CONFIGS)
    )


def refuse_paths(paths: Sequence[str]) -> None:
    """IntegrityFault where a path leaves the repository, or two differ by case alone."""
    folded: dict[str, str] = {}
    for path in paths:
        if problem := path_fault(path):
            raise IntegrityFault(
                f'The repository lists "{path}", {problem}.',
                "Do not use this repository; nothing was fetched.",
            )
        other = folded.setdefault(path.casefold(), path)
        if other != path:
            raise IntegrityFault(
                f"The repository lists {other} and {path}, which some disks take for one file.",
                "Do not use this repository; nothing was fetched.",
            )


def remote_code_in(path: str, body: bytes) -> str | None:
    """What in a configuration would make a loader run code of the repository; None where nothing does."""
    name = path.rpartition("/")[2]
    if name == REMOTE_PIPELINE:
        return "describes a pipeline whose blocks are code of the repository"
    if not name.endswith(".json"):
        return None
    try:
        table = json.loads(body)
    except (ValueError, RecursionError):
        return None  # no loader reads it either
    if _has_key(table, "auto_map", DEEPEST):
        return 'has an "auto_map": its classes are code of the repository'
    if name == "model_index.json" and isinstance(table, dict):
        strange = sorted(set(_libraries(table)) - LIBRARIES)
        if strange:
            return f"takes parts from {names(strange)}, which is code of the repository"
    return None


def _libraries(table: Mapping[str, Any]) -> list[str]:
    """The first of each pair [library, class]; a pipeline class that is a pair comes from a file."""
    pairs = [value for value in table.values() if isinstance(value, list)]
    return [pair[0] for pair in pairs if len(pair) == 2 and isinstance(pair[0], str)]


def _has_key(value: Any, key: str, depth: int) -> bool:
    if depth == 0:
        return True  # deeper than any configuration is: not read, so not trusted
    if isinstance(value, dict):
        return key in value or any(_has_key(inner, key, depth - 1) for inner in value.values())
    return isinstance(value, list) and any(_has_key(inner, key, depth - 1) for inner in value)


def _refuse_unsafe(facts: UpstreamFacts, unsafe: Sequence[str], patterns: Sequence[str]) -> None:
    programs = [path for path in unsafe if path.lower().endswith(tuple(PROGRAMS))]
    if programs:
        narrower = "a narrower --file" if patterns else "--file '*.safetensors'"
        raise Refused(
            f"{facts.repo} brings programs: {names(programs)}. Nothing here runs code of a repository.",
            f"Pin the weights alone, with {narrower}.",
        )
    if unsafe:
        raise Refused(
            f"{facts.repo} has weights as pickles, which run code when they are loaded: {names(unsafe)}.",
            f"Convert what you need: rightstep model import {facts.asked} {unsafe[0]} "
            f"--revision {facts.revision}; or pin other files with --file.",
        )


def _matches(path: str, pattern: str) -> bool:
    """A glob over the whole path; ``*`` crosses folders, as the Hub's own tools have it."""
    return fnmatchcase(path, pattern) or path == pattern
