"""Names, sizes and words: what keeps a house findable."""

import re
from pathlib import Path

import pytest

from tests.contract.house import PACKAGES, ROOT, tracked_files

VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "core", "misc", "manager", "models", "stuff"}
LIMIT, LIMIT_OF_TESTS = 500, 600

# Built from parts, so that this list does not find itself.
ELSEWHERE = tuple("".join(parts) for parts in (
    ("/wo", "rk/"),
    ("/tmp", "/rs"),
    ("/opt/", "wheels"),
    ("/opt/", "pypi"),
    ("py", "pi.org"),
    ("files.python", "hosted"),
    ("registry.npm", "js"),
    ("npm", "js.com"),
    ("deb.deb", "ian"),
))  # fmt: skip
DOCUMENTS = (
    "DESIGN.md",
    "style.md",
    "governance.md",
    "orchestration.md",
    "licence-verdicts.md",
    "tiny-model.md",
)


def code(limit_to: tuple[str, ...] = ()) -> list[Path]:
    files = [path for path in tracked_files() if path.suffix == ".py"]
    return [path for path in files if not limit_to or path.relative_to(ROOT).parts[0] in limit_to]


def prose_and_code() -> list[Path]:
    kept = {
        ".py",
        ".md",
        ".toml",
        ".yaml",
        ".yml",
        ".txt",
        ".html",
        ".css",
        ".js",
        ".json",
        ".cfg",
        ".sh",
        "",
    }
    return [path for path in tracked_files() if path.suffix in kept and path.name != "LICENSE"]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_no_file_has_a_vague_name():
    assert [str(path.relative_to(ROOT)) for path in code() if path.stem in VAGUE] == []


def test_no_folder_has_a_vague_name():
    folders = {part for path in code(PACKAGES) for part in path.relative_to(ROOT).parts[:-1]}
    assert folders & VAGUE == set()


def test_no_file_is_too_long_to_read():
    def limit(path: Path) -> int:
        return LIMIT_OF_TESTS if path.is_relative_to(ROOT / "tests") else LIMIT

    lengths = {path: len(text_of(path).splitlines()) for path in code()}
    assert len(lengths) > 20
    assert {str(p.relative_to(ROOT)): n for p, n in lengths.items() if n > limit(p)} == {}


@pytest.mark.parametrize("place", ELSEWHERE)
def test_the_project_names_no_place_outside_itself(place: str):
    assert [str(path.relative_to(ROOT)) for path in prose_and_code() if place in text_of(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_text_points_to_a_document_that_is_not_here(document: str):
    if any(path.name == document for path in tracked_files()):
        return
    mention = re.compile(rf"(?<![\w-]){re.escape(document)}")
    here = Path(__file__).resolve()
    assert [
        str(p.relative_to(ROOT)) for p in prose_and_code() if p != here and mention.search(text_of(p))
    ] == []


def test_our_own_code_spells_licence_one_way():
    """`license` belongs to outside formats: SPDX, model cards, package metadata."""
    defined = re.compile(r"^\s*(?:def|class)\s+\w*license(?!d)\w*", re.IGNORECASE | re.MULTILINE)
    wrong = [
        f"{path.relative_to(ROOT)}: {match.group().strip()}"
        for path in code(PACKAGES)
        for match in defined.finditer(text_of(path))
    ]
    assert wrong == []
