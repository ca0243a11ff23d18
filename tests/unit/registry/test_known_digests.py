"""What was hashed once is known only as long as nothing about the file has changed."""

import os
import time
from pathlib import Path

import pytest

from policy.stacks import FilePin
from registry.known_digests import SETTLED_NS, KnownDigests
from registry.verification import FaultKind, hashed_files, sha256_file, verify_files

BODY = b"weights" * 1000


@pytest.fixture
def known(tmp_path: Path) -> KnownDigests:
    return KnownDigests(tmp_path / "known")


@pytest.fixture
def pin(tmp_path: Path) -> FilePin:
    """A file that has settled."""
    path = tmp_path / "weights.dat"
    path.write_bytes(BODY)
    settle()
    return FilePin(path=path.name, sha256=sha256_file(path), size=len(BODY))


def settle() -> None:
    time.sleep(2 * SETTLED_NS / 1e9)


def entries(known: KnownDigests) -> list[str]:
    return [path.read_text() for path in known.folder.glob("*")] if known.folder.exists() else []


def kinds(tmp_path: Path, pin: FilePin, known: KnownDigests | None) -> list[FaultKind]:
    return [fault.kind for fault in verify_files(str(tmp_path), (pin,), known)]


def test_a_file_that_was_whole_is_known_and_not_read_again(tmp_path, known, pin):
    assert kinds(tmp_path, pin, known) == []
    (entry,) = entries(known)
    assert entry.endswith(pin.sha256)
    (place,) = known.folder.iterdir()
    place.write_text(entry.replace(pin.sha256, "f" * 64))
    assert hashed_files(str(tmp_path), (pin,), known) == ((pin.path, "f" * 64),), "the entry was asked"
    assert hashed_files(str(tmp_path), (pin,)) == ((pin.path, pin.sha256),), "and is not where it must not be"


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(BODY.replace(b"w", b"W", 1)),
        lambda path: os.utime(path, ns=(0, path.stat().st_mtime_ns)),
        lambda path: path.chmod(0o600),
        lambda path: (path.rename(path.with_suffix(".old")), path.write_bytes(BODY.replace(b"w", b"W", 1))),
    ],
    ids=["other bytes of the same size", "touched", "other mode", "another file in its place"],
)
def test_any_change_makes_a_file_unknown(tmp_path, known, pin, change):
    verify_files(str(tmp_path), (pin,), known)
    path = tmp_path / pin.path
    change(path)
    assert known.sha256_of(path.stat()) is None
    is_same = path.read_bytes() == BODY
    assert kinds(tmp_path, pin, known) == ([] if is_same else [FaultKind.DIGEST])


def test_bytes_changed_back_in_time_are_still_found(tmp_path, known, pin):
    """mtime can be set by anybody; ctime cannot."""
    path = tmp_path / pin.path
    before = path.stat()
    verify_files(str(tmp_path), (pin,), known)
    path.write_bytes(BODY.replace(b"w", b"W", 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert kinds(tmp_path, pin, known) == [FaultKind.DIGEST]


def test_a_faulty_file_is_never_known(tmp_path, known, pin):
    wrong = FilePin(path=pin.path, sha256="0" * 64, size=pin.size)
    assert kinds(tmp_path, wrong, known) == [FaultKind.DIGEST]
    assert entries(known) == []


def test_a_file_that_has_not_settled_is_not_kept(tmp_path, known):
    path = tmp_path / "new.dat"
    path.write_bytes(BODY)
    os.utime(path, ns=(0, time.time_ns() + 10**12))  # as if written in the future: younger than anything
    verify_files(str(tmp_path), (FilePin(path=path.name, sha256=sha256_file(path), size=len(BODY)),), known)
    assert entries(known) == []


@pytest.mark.parametrize("text", ["", "1 2 3", "not an entry at all", "x" * 200, "\udcff"])
def test_an_entry_that_is_none_is_nothing(tmp_path, known, pin, text):
    verify_files(str(tmp_path), (pin,), known)
    (place,) = known.folder.iterdir()
    place.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert known.sha256_of((tmp_path / pin.path).stat()) is None
    assert kinds(tmp_path, pin, known) == []


def test_a_folder_that_cannot_be_written_costs_time_alone(tmp_path, pin):
    (tmp_path / "blocked").write_text("a file where the folder should be")
    assert kinds(tmp_path, pin, KnownDigests(tmp_path / "blocked")) == []
