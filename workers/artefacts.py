"""The artefact store: files by content, durable before anyone hears of them."""

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from policy.errors import StorageFault, UnknownName
from policy.tasks import ArtefactRef

PNG = "image/png"
STATEMENT = "application/vnd.in-toto+json"
SUFFIXES = {
    PNG: ".png",
    "image/webp": ".webp",
    "audio/wav": ".wav",
    STATEMENT: ".intoto.json",
    "text/html": ".html",
    "application/json": ".json",
}
DIGEST = re.compile(r"[0-9a-f]{64}")
TORN_AFTER_SECONDS = 3600.0  # a temporary file this old belongs to no living writer
FOLDER = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file of the store."""

    sha256: str
    path: Path
    size: int  # bytes; an empty one counts as none
    touched_at: datetime  # when it was last written, or put again


class ArtefactStore:
    """Content-addressed files under one folder, shared by every worker of a machine.

    A file is written under a temporary name, flushed, renamed to its digest, and its folder
    flushed: whoever holds an ArtefactRef can lose power and still find the bytes. Putting the
    same bytes again changes nothing but the time of the file, which tells who tidies up that
    somebody needs it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_bytes(self, content: bytes, media_type: str) -> ArtefactRef:
        """Keep bytes durably; raises StorageFault where the disk does not take them."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._place(sha256, SUFFIXES[media_type])
        reference = ArtefactRef(sha256=sha256, size=len(content), media_type=media_type, path=str(path))
        try:
            if not _was_touched(path, len(content)):
                self._write(path, content)
        except OSError as fault:
            room = (
                "The disk is full."
                if fault.errno in {errno.ENOSPC, errno.EDQUOT}
                else "The disk refused the write."
            )
            raise StorageFault(
                f"{room} {path.name} ({len(content)} bytes) was not stored: {fault.strerror}.",
                f"Free space under {self.root} and resume the job.",
            ) from fault
        return reference

    def path_of(self, sha256: str) -> Path:
        """Where the bytes of a digest lie; UnknownName where they do not."""
        for path in self._candidates(sha256):
            if path.is_file():
                return path
        raise UnknownName(f"The artefact store {self.root} holds no {sha256}.", "Render the shot again.")

    def has(self, sha256: str, size: int | None = None) -> bool:
        """Whether the bytes are there, with that size where it is known; an empty file never counts."""
        return any(_has_size(path, size) for path in self._candidates(sha256))

    def remove(self, sha256: str) -> None:
        """Take the bytes of a digest out; that they are not there is nothing."""
        for path in self._candidates(sha256):
            path.unlink(missing_ok=True)

    def files(self) -> Iterator[tuple[StoredFile, ...]]:
        """Every file that bears the name of a digest, a folder at a time, in the order of their digests."""
        if not self.root.is_dir():
            return
        for folder in sorted(one for one in self.root.iterdir() if FOLDER.fullmatch(one.name)):
            listed = sorted(folder.iterdir()) if folder.is_dir() else ()
            yield tuple(found for path in listed if (found := _stored_file(path)) is not None)

    def file_of(self, sha256: str) -> StoredFile | None:
        """The file of a digest; None where the store does not hold its bytes."""
        found = (_stored_file(path) for path in self._candidates(sha256))
        return next((file for file in found if file is not None and file.size), None)

    def retire(self, file: StoredFile, untouched_since: datetime) -> bool:
        """Remove a file that nobody has put since then; False where somebody has, or it is gone already.

        It is taken aside before its time is read: whoever puts the same bytes meanwhile either touched it
        before, and it goes back, or does not find it, and writes it anew.
        """
        now = _stored_file(file.path)
        if now is None or now.touched_at > untouched_since:
            return False
        aside = self.root / "tmp" / f"{uuid4().hex}.part"
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            file.path.rename(aside)
        except FileNotFoundError:
            return False
        if _moment(aside.stat()) > untouched_since:
            aside.rename(file.path)
            return False
        aside.unlink()
        return True

    def free_bytes(self) -> int:
        """Space that a writer without privileges still has."""
        folder = self.root
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def clean(self, older_than_seconds: float = TORN_AFTER_SECONDS) -> int:
        """Remove temporary files that a killed writer left behind; returns how many."""
        drafts = self.torn(older_than_seconds)
        for path in drafts:
            path.unlink(missing_ok=True)
        return len(drafts)

    def torn(self, older_than_seconds: float = TORN_AFTER_SECONDS) -> tuple[Path, ...]:
        """Temporary files that a killed writer left behind."""
        horizon = time.time() - older_than_seconds
        found: list[Path] = []
        for path in (self.root / "tmp").glob("*.part"):
            try:
                if path.stat().st_mtime <= horizon:
                    found.append(path)
            except FileNotFoundError:  # its writer has just finished
                continue
        return tuple(found)

    def _candidates(self, sha256: str) -> Iterator[Path]:
        if DIGEST.fullmatch(sha256):
            yield from (self._place(sha256, suffix) for suffix in SUFFIXES.values())

    def _place(self, sha256: str, suffix: str) -> Path:
        return self.root / sha256[:2] / f"{sha256}{suffix}"

    def _write(self, path: Path, content: bytes) -> None:
        drafts = self.root / "tmp"
        is_new = not path.parent.is_dir()
        if is_new or not drafts.is_dir():
            drafts.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
        draft = drafts / f"{uuid4().hex}.part"
        try:
            with draft.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)
        if is_new:
            _flush_folder(self.root)


def _has_size(path: Path, size: int | None) -> bool:
    try:
        found = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return False
    return found > 0 if size is None else found == size


def _was_touched(path: Path, size: int) -> bool:
    """Whether the bytes lie there already; their file is then as young as one just written."""
    if not _has_size(path, size):
        return False
    try:
        os.utime(path)
    except FileNotFoundError:  # removed between the two
        return False
    return True


def is_stored_name(name: str) -> bool:
    """Whether a file of the store is called so: a digest and a known suffix."""
    sha256, _, suffix = name.partition(".")
    return DIGEST.fullmatch(sha256) is not None and f".{suffix}" in SUFFIXES.values()


def _stored_file(path: Path) -> StoredFile | None:
    if not is_stored_name(path.name):
        return None
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return StoredFile(
        sha256=path.name.partition(".")[0], path=path, size=found.st_size, touched_at=_moment(found)
    )


def _moment(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
