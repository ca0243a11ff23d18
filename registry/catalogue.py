"""The catalogue: methods, licences and costs as data files, read once into frozen values.

A folder of one's own may add to the built-in files and never replaces one of them: a
second reading of a licence must not loosen the first by standing in for it.
"""

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from policy.costs import CostProfile
from policy.errors import FormatFault, UnknownName
from policy.methods import MethodPreset
from registry.cost_parsing import parse_costs
from registry.licences.remembered import RememberedVerdicts
from registry.licences.strict_table import StrictTable
from registry.licences.terms import LicenceTerms
from registry.licences.terms_parsing import parse_terms
from registry.licences.texts import core_sha256, normalised_sha256
from registry.preset_parsing import parse_method
from registry.quality_parsing import QualityReference, measured_priors, parse_references

BUILTIN = Path(__file__).parent / "builtin"


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Everything that is known without a database and without a model."""

    presets: tuple[MethodPreset, ...]  # by name
    terms: Mapping[str, LicenceTerms]  # by licence id
    texts: Mapping[str, bytes]  # the full text by licence id
    term_files: Mapping[str, bytes]  # the file that the terms were read from, by licence id
    text_ids: Mapping[str, str]  # normalised sha256 of a text, in any known copy, to its licence id
    origins: Mapping[str, tuple[str, ...]]  # licence ids by well-known repository, every known version
    costs: tuple[CostProfile, ...]  # priors by pipeline and device class
    references: tuple[QualityReference, ...]  # what good pictures of a stack look like

    @cached_property
    def verdicts(self) -> RememberedVerdicts:
        """Verdicts under these terms, each question judged once."""
        return RememberedVerdicts(self.terms)

    def preset(self, name: str) -> MethodPreset:
        """The preset of that name; UnknownName with the nearest ones."""
        found = next((preset for preset in self.presets if preset.name == name), None)
        if found is None:
            raise _unknown("method", name, [preset.name for preset in self.presets], "rightstep method list")
        return found

    def terms_of(self, licence: str) -> LicenceTerms:
        """The terms of a licence id; UnknownName with the nearest ones."""
        if licence not in self.terms:
            raise _unknown("licence", licence, list(self.terms), "rightstep licence list")
        return self.terms[licence]

    def term_file_of(self, licence: str) -> bytes:
        """The very file that the terms of a licence id were read from."""
        return self.term_files[self.terms_of(licence).id]

    def text_of(self, licence: str) -> bytes:
        """The full text of a licence id; UnknownName where nobody had it at hand."""
        terms = self.terms_of(licence)
        if terms.id not in self.texts:
            raise UnknownName(f"The text of {terms.name} is not at hand.", f"Read it: {terms.source.url}")
        return self.texts[terms.id]


def load_catalogue(extra: Path | None = None) -> Catalogue:
    """The built-in files and a folder laid out like them, where given; a broken one is a FormatFault.

    The built-in files belong to the installation, and are read once in a process.
    """
    return _builtin() if extra is None else _read([BUILTIN, extra])


@cache
def _builtin() -> Catalogue:
    return _read([BUILTIN])


def _read(folders: Sequence[Path]) -> Catalogue:
    terms, texts, files = _licences(folders)
    return Catalogue(
        presets=_presets(folders),
        terms=MappingProxyType(terms),
        texts=MappingProxyType(texts),
        term_files=MappingProxyType(files),
        text_ids=MappingProxyType(_text_ids(terms, texts)),
        origins=MappingProxyType(_origins(BUILTIN / "origins.toml", terms)),
        costs=tuple(
            profile for path, table in _tables(folders, "costs") for profile in parse_costs(table, str(path))
        ),
        references=tuple(
            reference
            for path, table in _tables(folders, "quality")
            for reference in parse_references(table, str(path))
        ),
    )


def _licences(
    folders: Sequence[Path],
) -> tuple[dict[str, LicenceTerms], dict[str, bytes], dict[str, bytes]]:
    terms: dict[str, LicenceTerms] = {}
    texts: dict[str, bytes] = {}
    files: dict[str, bytes] = {}
    for path, table in _tables(folders, "licences"):
        licence = parse_terms(table, str(path))
        if licence.id != path.stem:
            raise FormatFault(f'{path}: the id is "{licence.id}".', "Name the file after the id.")
        if licence.id in terms:
            raise FormatFault(
                f"{path}: {licence.id} is already known.",
                "Terms are added, never replaced: choose another id.",
            )
        terms[licence.id] = licence
        if licence.source.text_sha256:
            texts[licence.id] = _text(path, licence)
        files[licence.id] = path.read_bytes()
    return terms, texts, files


def _origins(path: Path, terms: Mapping[str, LicenceTerms]) -> dict[str, tuple[str, ...]]:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    read = StrictTable(table, str(path), "Correct the file.")
    found = {repo: read.texts(repo) for repo in table}
    unknown = sorted({licence for licences in found.values() for licence in licences} - set(terms))
    if unknown:
        raise read.fault(f"{', '.join(unknown)} has no term file.")
    return found


def _text(path: Path, licence: LicenceTerms) -> bytes:
    """The text beside a term file, which must be the very words that were read for it."""
    place = path.parent / "texts" / f"{licence.id}.txt"
    try:
        body = place.read_bytes()
    except OSError:
        raise FormatFault(f"{place} is missing.", "Put the full text there: a licence is its text.") from None
    if normalised_sha256(body) != licence.source.text_sha256:
        raise FormatFault(
            f"{place} is not the text that {path.name} was written from.",
            "Restore the text, or read it again.",
        )
    return body


def _text_ids(terms: Mapping[str, LicenceTerms], texts: Mapping[str, bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for licence in terms.values():
        if licence.id not in texts:
            continue
        digests = {licence.source.text_sha256, *licence.source.variants, core_sha256(texts[licence.id])}
        for digest in digests:
            if found.setdefault(digest, licence.id) != licence.id:
                raise FormatFault(
                    f"{licence.id} and {found[digest]} have the same text.", "Keep one of the two term files."
                )
    return found


def _presets(folders: Sequence[Path]) -> tuple[MethodPreset, ...]:
    presets = [
        preset for path, table in _tables(folders, "methods") for preset in parse_method(table, str(path))
    ]
    names = [preset.name for preset in presets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FormatFault(f"The method {', '.join(twice)} is given twice.", "Rename one of the presets.")
    measured = [
        document for folder in folders for document in _measurements(folder / "quality" / "measured.json")
    ]
    with_priors = (
        replace(preset, quality=measured_priors(preset, measured) or preset.quality) for preset in presets
    )
    return tuple(sorted(with_priors, key=lambda preset: preset.name))


def _tables(folders: Sequence[Path], kind: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for folder in folders:
        for path in sorted((folder / kind).glob("*.toml")):
            try:
                yield path, tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise FormatFault(f"{path} cannot be read: {error}.", "Correct the file.") from None


def _measurements(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatFault(f"{path} cannot be read: {error}.", "Measure again, or remove it.") from None
    if not isinstance(document, dict):
        raise FormatFault(f"{path} is not a table.", "Measure again, or remove it.")
    yield document


def _unknown(what: str, name: str, known: list[str], command: str) -> UnknownName:
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"See: {command}."
    return UnknownName(f'There is no {what} "{name}".', hint)
