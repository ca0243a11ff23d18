"""Git object ids of a plain folder, computed by us: what gives a folder without history a 40-hex revision.

The id is the one that ``git write-tree`` gives with ``core.fileMode=false``: the executable
bit says nothing about a model and does not survive every file system.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20
_FILE = b"100644"
_FOLDER = b"40000"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileDigests:
    """What one reading of a file yields."""

    size: int
    sha256: str
    blob_id: str  # git's sha1 of the file


def file_digests(path: Path) -> FileDigests:
    """Size, sha256 and git blob id in one pass."""
    size = path.stat().st_size
    plain, blob, seen = hashlib.sha256(), hashlib.sha1(_head("blob", size), usedforsecurity=False), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            plain.update(chunk)
            blob.update(chunk)
            seen += len(chunk)
    return FileDigests(size=seen, sha256=plain.hexdigest(), blob_id=blob.hexdigest())


def tree_id(blobs: Mapping[str, str]) -> str:
    """The id of the tree that holds these blobs, by relative path with forward slashes."""
    files: dict[str, str] = {}
    folders: dict[str, dict[str, str]] = {}
    for path, blob in blobs.items():
        head, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(head, {})[rest] = blob
        else:
            files[head] = blob
    entries = [(name.encode(), _FILE, blob) for name, blob in files.items()]
    entries += [(name.encode() + b"/", _FOLDER, tree_id(inner)) for name, inner in folders.items()]
    body = b"".join(
        mode + b" " + name.removesuffix(b"/") + b"\0" + bytes.fromhex(object_id)
        for name, mode, object_id in sorted(entries)
    )
    return hashlib.sha1(_head("tree", len(body)) + body, usedforsecurity=False).hexdigest()


def _head(kind: str, size: int) -> bytes:
    """What git hashes before the content of an object."""
    return f"{kind} {size}\0".encode()
