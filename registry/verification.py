"""Are these bytes the pinned bytes? Standard library only, no network, and importable in a bare worker.

Nobody upstream checks content: a client that finds a file of the right size is content.
So every pinned file is hashed here before it is loaded, and again before it is shipped. Between the
two, a file that has not changed since it was hashed is known by its place (``registry.known_digests``).
"""

import hashlib
import re
import stat
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from policy.stacks import FilePin
from registry.known_digests import KnownDigests
from registry.safetensors_header import header_fault

LONGEST_SEGMENT = 255  # bytes
PICKLES = frozenset(
    {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".npz", ".h5", ".keras"}
)
PROGRAMS = frozenset({".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".exe", ".sh", ".bat"})

_DEVICES = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)
_SNAPSHOT = re.compile(r"[0-9a-f]{40}")


class FaultKind(StrEnum):
    """What is wrong with a file."""

    MISSING = "missing"
    SIZE = "size"
    DIGEST = "digest"
    PATH = "path"  # the path itself, or a link, leads out of the folder
    UNSAFE_FORMAT = "unsafe_format"
    HEADER = "header"  # a safetensors file that does not describe itself truthfully


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFault:
    """One file that must not be loaded, with what was expected and what was found."""

    path: str
    kind: FaultKind
    expected: str
    found: str

    @property
    def detail(self) -> str:
        """One sentence for a person."""
        return f"{self.path}: {self.kind.replace('_', ' ')}: expected {self.expected}, found {self.found}."


def verify_files(
    root: str, files: tuple[FilePin, ...], known: KnownDigests | None = None
) -> tuple[FileFault, ...]:
    """Every fault of these files under ``root``; an empty answer means that each one is exactly as pinned.

    With ``known``, a file that was found whole before and has not changed since is not read again.
    """
    return tuple(fault for pin in files if (fault := _fault(Path(root), pin, known)) is not None)


def hashed_files(
    root: str, files: tuple[FilePin, ...], known: KnownDigests | None = None
) -> tuple[tuple[str, str], ...]:
    """(path, sha256) of the files as they are on disk now, in the order given; what a worker attests to."""
    return tuple((pin.path, _hashed(resolve_inside(Path(root), pin.path), known)) for pin in files)


def _hashed(path: Path, known: KnownDigests | None) -> str:
    sha256 = known.sha256_of(path.stat()) if known is not None else None
    return sha256 or sha256_file(path)


def sha256_file(path: str | Path) -> str:
    """sha256 hex of a file, read in pieces, so that memory stays flat at any size."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_fault(path: str) -> str | None:
    """Why a path from outside must not be used; None for a plain relative one."""
    if not path or path != unicodedata.normalize("NFC", path):
        return "a path that is empty or not in Unicode NFC"
    if any(unicodedata.category(letter).startswith("C") for letter in path) or "\\" in path or ":" in path:
        return "a path with control characters, a backslash or a colon"
    for segment in path.split("/"):
        if segment in {"", ".", ".."}:
            return 'an absolute path, or one with ".", ".." or an empty part'
        if (
            len(segment.encode()) > LONGEST_SEGMENT
            or _DEVICES.match(segment)
            or segment != segment.rstrip(". ")
        ):
            return "a file name that is too long, ends in a dot or space, or names a device"
    return None


def is_unsafe(path: str) -> bool:
    """Could loading this file run code?"""
    return Path(path).suffix.lower() in PICKLES | PROGRAMS


def unsafe_among(paths: Iterable[str]) -> tuple[str, ...]:
    """Programs, and pickles with no safetensors file in their folder: what loading would have to run.

    A pickle beside safetensors is passed over, since nothing here ever loads it.
    """
    listed = sorted(paths)
    safe_folders = {str(Path(path).parent) for path in listed if path.endswith(".safetensors")}
    return tuple(
        path
        for path in listed
        if Path(path).suffix.lower() in PROGRAMS
        or (Path(path).suffix.lower() in PICKLES and str(Path(path).parent) not in safe_folders)
    )


def boundary(root: Path) -> Path:
    """The folder that links under ``root`` may point into: itself, or the blobs of its hub cache."""
    real = root.resolve()
    if (
        _SNAPSHOT.fullmatch(real.name)
        and real.parent.name == "snapshots"
        and real.parent.parent.name.startswith("models--")
    ):
        return real.parent.parent
    return real


def resolve_inside(root: Path, path: str) -> Path:
    """The real file behind a path, or a ValueError where path or link lead out of the folder."""
    if problem := path_fault(path):
        raise ValueError(problem)
    real = (root / path).resolve()
    if not real.is_relative_to(boundary(root)):
        raise ValueError("a link that leads out of the folder")
    return real


def _fault(root: Path, pin: FilePin, known: KnownDigests | None) -> FileFault | None:
    if is_unsafe(pin.path):
        return _wrong(pin, FaultKind.UNSAFE_FORMAT, "safetensors or plain data", Path(pin.path).suffix)
    try:
        real = resolve_inside(root, pin.path)
        status = real.stat()
    except ValueError as error:
        return _wrong(pin, FaultKind.PATH, "a file inside the folder", str(error))
    except OSError as error:
        return _wrong(pin, FaultKind.MISSING, f"{pin.size} bytes", error.strerror or "nothing")
    if not stat.S_ISREG(status.st_mode):
        return _wrong(pin, FaultKind.MISSING, f"a file of {pin.size} bytes", "something that is no file")
    if status.st_size != pin.size:
        return _wrong(pin, FaultKind.SIZE, f"{pin.size} bytes", f"{status.st_size} bytes")
    if known is not None and known.sha256_of(status) == pin.sha256:
        return None
    found = sha256_file(real)
    if found != pin.sha256:
        return _wrong(pin, FaultKind.DIGEST, f"sha256 {pin.sha256}", f"sha256 {found}")
    if real.suffix == ".safetensors" or pin.path.endswith(".safetensors"):
        problem = header_fault(real)
        if problem:
            return _wrong(pin, FaultKind.HEADER, "a truthful safetensors header", problem)
    if known is not None:
        known.keep(status, real.stat(), found)
    return None


def _wrong(pin: FilePin, kind: FaultKind, expected: str, found: str) -> FileFault:
    return FileFault(path=pin.path, kind=kind, expected=expected, found=found)
