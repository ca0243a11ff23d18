"""Files that were hashed here and have not changed since, by what the file system says of them.

An entry is found by device and inode, and believed only while size, mtime and ctime are what
they were: nothing but the kernel sets a ctime. One small file an entry, replaced by a rename,
so that any number of workers may write. Shipping never asks here: it hashes again.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SETTLED_NS = 100_000_000  # a file younger than a tick of the file system's clock could change unseen


@dataclass(frozen=True, slots=True)
class KnownDigests:
    """The entries of one folder; a folder that cannot be written only costs time."""

    folder: Path

    def sha256_of(self, status: os.stat_result) -> str | None:
        """The digest of a file that is exactly as it was when it was hashed; None where that is not known."""
        try:
            size, mtime, ctime, sha256 = self._entry(status).read_text(encoding="ascii").split()
        except (OSError, ValueError):
            return None
        is_same = [size, mtime, ctime] == _facts(status)
        return sha256 if is_same and len(sha256) == 64 else None

    def keep(self, before: os.stat_result, after: os.stat_result, sha256: str) -> None:
        """Remember a file that was the same before and after it was hashed, and had settled."""
        youngest = max(before.st_mtime_ns, before.st_ctime_ns)
        if _facts(before) != _facts(after) or time.time_ns() - youngest < SETTLED_NS:
            return
        entry = self._entry(before)
        draft = entry.with_suffix(f".{os.getpid()}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draft.write_text(" ".join([*_facts(before), sha256]), encoding="ascii")
            draft.replace(entry)
        except OSError:
            with suppress(OSError):
                draft.unlink()

    def _entry(self, status: os.stat_result) -> Path:
        return self.folder / f"{status.st_dev:x}-{status.st_ino:x}"


def _facts(status: os.stat_result) -> list[str]:
    return [str(status.st_size), str(status.st_mtime_ns), str(status.st_ctime_ns)]
