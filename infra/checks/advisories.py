"""The pinned dependencies, held against advisories that were fetched before: nothing is asked of a network.

Advisories are records of the OSV schema (ossf.github.io/osv-schema), one JSON file each, in a folder
or in the archive that osv.dev offers of all of PyPI. Where they lie says the variable ADVISORIES.
"""

import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from infra.checks.places import ROOT

VARIABLE = "ADVISORIES"
Record = dict[str, Any]


def pins(text: str) -> dict[str, str]:
    """Distribution -> version, of a constraints file."""
    lines = (line.partition("#")[0].strip().partition("==") for line in text.splitlines())
    return {canonicalize_name(name): version for name, _, version in lines if version}


def read_advisories(place: Path) -> Iterator[Record]:
    """Every record of a folder or an archive."""
    if place.is_dir():
        yield from (json.loads(path.read_bytes()) for path in sorted(place.glob("**/*.json")))
        return
    with zipfile.ZipFile(place) as archive:
        yield from (json.loads(archive.read(name)) for name in archive.namelist() if name.endswith(".json"))


def concerned(records: Iterable[Record], pinned: dict[str, str]) -> Iterator[str]:
    """What is known against a pinned version, with the versions that mend it."""
    for record in records:
        if "withdrawn" in record:
            continue
        for affected in record.get("affected", ()):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            version = pinned.get(name)
            if package.get("ecosystem") == "PyPI" and version is not None and is_affected(affected, version):
                mended = sorted({event["fixed"] for event in _events(affected) if "fixed" in event})
                told = f"mended in {', '.join(mended)}" if mended else "not mended yet"
                yield f"{name} {version}: {record['id']}: {record.get('summary', 'no summary')}; {told}"


def is_affected(affected: Record, version: str) -> bool:
    """Whether a version is listed, or lies in a range: from ``introduced`` to before ``fixed``."""
    if version in affected.get("versions", ()):
        return True
    mine = Version(version)
    for one in affected.get("ranges", ()):
        if one.get("type") != "ECOSYSTEM":
            continue
        state = False
        for kind, at in sorted(_steps(one), key=lambda step: step[1]):
            if kind == "last_affected":
                state = state and mine <= at
            elif mine >= at:
                state = kind == "introduced"
        if state:
            return True
    return False


def _events(affected: Record) -> Iterator[Record]:
    for one in affected.get("ranges", ()):
        if one.get("type") == "ECOSYSTEM":
            yield from one.get("events", ())


def _steps(one: Record) -> Iterator[tuple[str, Version]]:
    for event in one.get("events", ()):
        for kind, at in event.items():
            try:
                yield kind, Version("0.dev0" if at == "0" else at)
            except InvalidVersion:  # of a scheme before PEP 440: such a version is only listed
                continue


def faults() -> Iterator[str]:
    """Advisories that concern a pin; none where no advisories are at hand."""
    place = os.environ.get(VARIABLE)
    if place:
        constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
        yield from concerned(read_advisories(Path(place)), pins(constraints))


def how() -> str:
    """What was really asked."""
    place = os.environ.get(VARIABLE)
    return f"against {place}" if place else f"SKIPPED: no advisories here; fetch them and set {VARIABLE}"
