"""Where models come from: a folder that holds repositories, read the same way whoever filled it.

Two layouts are understood: plain folders ``org/name``, whose revision is their git tree id,
and the Hub's own cache, ``models--org--name/snapshots/<commit>``, whose links into
``blobs`` are followed. Nothing read here is trusted; it is only written down.
"""

import difflib
import json
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from policy.errors import FormatFault, IntegrityFault, UnknownName
from policy.stacks import FilePin
from registry.cards import CardFacts, parse_card
from registry.git_tree import FileDigests, file_digests, tree_id
from registry.safetensors_header import header_licence
from registry.verification import path_fault, resolve_inside

LARGEST_TEXT = 1 << 20  # bytes; no licence, notice, card or word list is longer
VOCABULARY = "vocabulary.json"  # the closed word list of a model, where it has one
COMMIT = re.compile(r"[0-9a-f]{40}")
LICENCE_NAMES = re.compile(
    r"((model[-_])?licen[cs]e|copying|unlicense)([-_.].*)?|.*\.licen[cs]e(\.(txt|md))?", re.IGNORECASE
)
NOTICE_NAMES = re.compile(r"notice(\.(txt|md))?", re.IGNORECASE)

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_NOT_CONTENT = ((".git",), (".cache", "huggingface"))  # what git and the Hub's client keep beside the files


@dataclass(frozen=True, kw_only=True)
class SourceListing:
    """A repository at one revision, as it was found: every file by content, and what its texts say."""

    repo: str
    revision: str  # 40 hex
    root: str  # folder that holds the files
    source: str  # name of the source
    files: tuple[FilePin, ...]  # sorted by path
    card: CardFacts
    licence_files: tuple[tuple[str, bytes], ...]
    notice_files: tuple[tuple[str, bytes], ...]
    vocabulary: tuple[str, ...] | None  # the closed list of words it knows, where it comes with one
    weight_licences: tuple[tuple[str, str], ...] = ()  # (path, licence that its header names)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The files' paths."""
        return tuple(pin.path for pin in self.files)


class ModelSource(Protocol):
    """Somewhere repositories can be found."""

    @property
    def name(self) -> str:
        """How claims name it."""
        ...

    def repositories(self) -> tuple[str, ...]:
        """Every repository it holds, sorted."""
        ...

    def locate(self, repo: str, revision: str | None = None) -> Path:
        """The folder with the files of a repository; UnknownName where it holds none."""
        ...

    def listing(self, repo: str, revision: str | None = None) -> SourceListing:
        """Everything there is to know of a repository without loading it; every file is hashed."""
        ...


class DirectorySource:
    """Repositories in a folder: an air-gapped studio's shelf, the Hub's cache, or the built-in models."""

    def __init__(self, root: Path, name: str = "") -> None:
        self.root = root
        self.name = name or f"folder {root}"

    def repositories(self) -> tuple[str, ...]:
        """Every repository in either layout, sorted."""
        return tuple(sorted({*self._plain(), *self._cached()}))

    def locate(self, repo: str, revision: str | None = None) -> Path:
        """The folder of the files; a plain folder holds one revision, a cache may hold several."""
        if not _REPO.fullmatch(repo) or ".." in repo:
            raise UnknownName(f'"{repo}" is not a repository name.', "Write it as org/name.")
        cached = self.root / f"models--{repo.replace('/', '--')}"
        if cached.is_dir():
            return self._snapshot(cached, repo, revision)
        plain = self.root / repo
        if plain.is_dir() and plain.resolve().is_relative_to(self.root.resolve()):
            return plain
        near = difflib.get_close_matches(repo, self.repositories(), n=3, cutoff=0.5)
        hint = (
            f"Did you mean {' or '.join(near)}?"
            if near
            else f"It holds {len(self.repositories())} repositories."
        )
        raise UnknownName(f"{self.name} holds no {repo}.", hint)

    def listing(self, repo: str, revision: str | None = None) -> SourceListing:
        """Hash every file and read the card and the licence files."""
        root = self.locate(repo, revision)
        digests = {path: file_digests(resolve_inside(root, path)) for path in sorted(_walk(root))}
        plain_revision = tree_id({path: found.blob_id for path, found in digests.items()})
        actual = (
            root.name if COMMIT.fullmatch(root.name) and root.parent.name == "snapshots" else plain_revision
        )
        if revision is not None and COMMIT.fullmatch(revision) and revision != actual:
            raise UnknownName(
                f"{self.name} holds {repo} at {actual}, not at {revision}.",
                "Pin what is there, or bring the other.",
            )
        return listing_of(root, repo, revision=actual, source=self.name, digests=digests)

    def _plain(self) -> Iterator[str]:
        for org in _folders(self.root):
            if not org.name.startswith("models--"):
                yield from (
                    f"{org.name}/{folder.name}"
                    for folder in _folders(org)
                    if _REPO.fullmatch(f"{org.name}/{folder.name}")
                )

    def _cached(self) -> Iterator[str]:
        for folder in _folders(self.root):
            prefix, _, rest = folder.name.partition("--")
            if prefix == "models" and _folders(folder / "snapshots"):
                yield rest.replace("--", "/", 1)

    def _snapshot(self, cached: Path, repo: str, revision: str | None) -> Path:
        held = {
            folder.name: folder for folder in _folders(cached / "snapshots") if COMMIT.fullmatch(folder.name)
        }
        ref = cached / "refs" / (revision or "main")
        wanted = revision
        if (
            (revision is None or not COMMIT.fullmatch(revision))
            and not path_fault(revision or "main")
            and ref.is_file()
        ):
            wanted = ref.read_text(encoding="ascii", errors="replace").strip()
        if wanted is None and len(held) == 1:
            wanted = next(iter(held))
        if wanted not in held:
            known = ", ".join(sorted(held)) or "no snapshot"
            raise UnknownName(
                f"{self.name} holds {repo} at {known}, not at {revision or 'main'}.",
                "Name a commit that is there.",
            )
        return held[wanted]


def listing_of(
    root: Path, repo: str, *, revision: str, source: str, digests: Mapping[str, FileDigests]
) -> SourceListing:
    """A listing of files that were hashed already: what their texts and the card say is read here."""
    return SourceListing(
        repo=repo,
        revision=revision,
        root=str(root),
        source=source,
        files=tuple(
            FilePin(path=path, sha256=found.sha256, size=found.size)
            for path, found in sorted(digests.items())
        ),
        card=_card(root, repo, digests),
        licence_files=_texts(root, digests, LICENCE_NAMES),
        notice_files=_texts(root, digests, NOTICE_NAMES),
        vocabulary=read_vocabulary(root, repo),
        weight_licences=_weight_licences(root, digests),
    )


def builtin_source() -> DirectorySource:
    """The models that come with the installation."""
    return DirectorySource(Path(__file__).parent / "builtin" / "hub", name="built-in")


def read_vocabulary(root: Path, repo: str) -> tuple[str, ...] | None:
    """The closed word list that a repository comes with, placeholders left out; None where it has none."""
    if not (root / VOCABULARY).is_file():
        return None
    try:
        table = json.loads(_bounded(root, VOCABULARY))
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict) or not all(
        isinstance(words, list) and all(isinstance(word, str) for word in words) for words in table.values()
    ):
        raise FormatFault(f"{repo}/{VOCABULARY} is not a table of word lists.", "Correct or remove it.")
    return tuple(
        dict.fromkeys(re.sub(r"\{\w+\}", " ", word).strip() for words in table.values() for word in words)
    )


def _folders(root: Path) -> tuple[Path, ...]:
    if not root.is_dir():
        return ()
    return tuple(sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")))


def _walk(root: Path) -> Iterator[str]:
    """Every file under ``root``, with forward slashes; a link out of it, or to a folder, is refused."""
    for folder, names, files in os.walk(root):
        here = Path(folder).relative_to(root)
        names[:] = sorted(name for name in names if (*here.parts, name) not in _NOT_CONTENT)
        for name in names:
            if (root / here / name).is_symlink():
                raise _escape(root, here / name, "a link to a folder")
        for name in files:
            path = (here / name).as_posix()
            try:
                mode = resolve_inside(root, path).stat().st_mode
            except (ValueError, OSError) as error:
                raise _escape(root, here / name, str(error)) from None
            if not stat.S_ISREG(mode):
                raise _escape(root, here / name, "something that is no file")
            yield path


def _escape(root: Path, path: Path, what: str) -> IntegrityFault:
    return IntegrityFault(
        f"{root.name}/{path.as_posix()} is {what}.", "Replace it by the file itself; nothing was read."
    )


def _card(root: Path, repo: str, paths: Collection[str]) -> CardFacts:
    if "README.md" not in paths:
        return CardFacts()
    return parse_card(_bounded(root, "README.md"), f"{repo}/README.md")


def _texts(root: Path, paths: Collection[str], names: re.Pattern[str]) -> tuple[tuple[str, bytes], ...]:
    return tuple((path, _bounded(root, path)) for path in paths if names.fullmatch(path.rpartition("/")[2]))


def _weight_licences(root: Path, paths: Collection[str]) -> tuple[tuple[str, str], ...]:
    weights = [path for path in sorted(paths) if path.endswith(".safetensors")]
    found = ((path, header_licence(resolve_inside(root, path))) for path in weights)
    return tuple((path, licence) for path, licence in found if licence)


def _bounded(root: Path, path: str) -> bytes:
    real = resolve_inside(root, path)
    if real.stat().st_size > LARGEST_TEXT:
        raise FormatFault(
            f"{root.name}/{path} is larger than {LARGEST_TEXT} bytes.", "No licence or card is that long."
        )
    return real.read_bytes()
