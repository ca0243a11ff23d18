"""What a page tells a reader to type, open or read exists."""

import re
from pathlib import Path

import pytest

from infra.docs.cli_reference import load_application, walk
from tests.contract.house import ROOT, tracked_files

FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
TYPED = re.compile(r"(?:^|\$ |`)(?:\.venv/bin/)?(rightstep(?: [a-z][a-z-]*){1,2})", re.MULTILINE)
MADE = re.compile(r"(?:^|\$ |`)make ([a-z]+)", re.MULTILINE)


def pages() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".md" and "builtin" not in path.parts]


def verbs() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def spoken(text: str) -> str:
    """What is shown as something to type: fenced blocks and inline code."""
    inline = re.findall(r"`[^`\n]+`", FENCE.sub("", text))
    return "\n".join([*FENCE.findall(text), *inline])


def test_there_are_pages():
    names = {str(path.relative_to(ROOT)) for path in pages()}
    assert {
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/glossary.md",
        "docs/reference/cli.md",
    } <= names


def test_every_command_a_page_shows_exists():
    known = {command.words for command in walk(load_application())}
    groups = {command.words for command in walk(load_application()) if command.is_group}
    wrong = []
    for path in pages():
        for typed in TYPED.findall(spoken(path.read_text(encoding="utf-8"))):
            words = tuple(typed.split())
            fits = words in known if words[:2] in groups else words[:2] in known
            if not fits:
                wrong.append(f"{path.relative_to(ROOT)}: {typed}")
    assert wrong == []


def test_every_make_verb_a_page_shows_exists():
    assert {"setup", "render", "test", "check", "bench", "docs", "train", "clean"} <= verbs()
    wrong = [
        f"{path.relative_to(ROOT)}: make {verb}"
        for path in pages()
        for verb in MADE.findall(spoken(path.read_text(encoding="utf-8")))
        if verb not in verbs()
    ]
    assert wrong == []


def test_every_link_leads_somewhere():
    dead = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in pages()
        for target in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8")))
        if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists()
    ]
    assert dead == []


@pytest.mark.parametrize("command", ["make render", "make test"])
def test_the_readme_shows_the_two_commands(command: str):
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
