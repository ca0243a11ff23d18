"""What the local hub holds: repositories with commits, branches and everything that can go wrong with them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

LFS_SUFFIXES = (".safetensors", ".bin", ".ckpt", ".pt")
LFS_FROM = 64 << 10  # bytes; above it a file lies in LFS whatever it is called


@dataclass(frozen=True)
class HeldFile:
    """One file of a commit."""

    body: bytes
    is_lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def blob_id(self) -> str:
        """git's id of the file, or of its LFS pointer."""
        return git_blob(self.pointer if self.is_lfs else self.body)

    @property
    def pointer(self) -> bytes:
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.body)}\n"
        ).encode()

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.blob_id


@dataclass
class Repository:
    """A repository as the hub knows it today."""

    name: str
    commits: dict[str, dict[str, HeldFile]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: str | bool = False
    is_private: bool = False
    is_disabled: bool = False
    accepted: set[str] = field(default_factory=set)  # tokens that accepted the gate
    issues: list[dict[str, str]] = field(default_factory=list)  # what security scans found
    renamed_to: str = ""
    served: dict[str, bytes] = field(default_factory=dict)  # path: what really goes over the wire
    cut_once: dict[str, int] = field(default_factory=dict)  # path: bytes until the line drops, one time

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """A new commit with these files; the branch moves to it."""
        held = {path: HeldFile(body, _goes_to_lfs(path, body)) for path, body in files.items()}
        parts = [self.name, str(len(self.commits)), *(f"{path} {file.etag}" for path, file in held.items())]
        revision = hashlib.sha1("\n".join(parts).encode()).hexdigest()
        self.commits[revision] = held
        self.refs[branch] = revision
        return revision

    def change(self, changes: Mapping[str, bytes | None], branch: str = "main") -> str:
        """A commit on top of a branch; None removes a file."""
        files: dict[str, bytes | None] = {
            path: file.body for path, file in self.commits[self.refs[branch]].items()
        }
        files |= changes
        return self.commit({path: body for path, body in files.items() if body is not None}, branch)

    def revision_of(self, name: str) -> str | None:
        return name if name in self.commits else self.refs.get(name)

    def info(self, revision: str) -> dict[str, Any]:
        """What ``/api/models/...`` answers."""
        files = self.commits[revision]
        card = front_matter(files["README.md"].body) if "README.md" in files else {}
        tags = card.get("license") or []
        return {
            "_id": "0" * 24,
            "id": self.name,
            "modelId": self.name,
            "author": self.name.partition("/")[0],
            "sha": revision,
            "lastModified": "2026-01-31T08:00:00.000Z",
            "createdAt": "2026-01-01T08:00:00.000Z",
            "private": self.is_private,
            "gated": self.gated,
            "disabled": self.is_disabled,
            "tags": [f"license:{tag}" for tag in ([tags] if isinstance(tags, str) else tags)],
            "cardData": card,
            "siblings": [_sibling(path, file) for path, file in files.items()],
            "securityRepoStatus": {"scansDone": True, "filesWithIssues": self.issues},
        }

    def tree(self, revision: str) -> list[dict[str, Any]]:
        """What ``/tree/...`` answers."""
        return [_entry(path, file) for path, file in self.commits[revision].items()]


def git_blob(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def front_matter(readme: bytes) -> dict[str, Any]:
    parts = readme.decode().split("---\n")
    return (yaml.safe_load(parts[1]) or {}) if len(parts) > 2 else {}


def _goes_to_lfs(path: str, body: bytes) -> bool:
    return path.endswith(LFS_SUFFIXES) or len(body) > LFS_FROM


def _sibling(path: str, file: HeldFile) -> dict[str, Any]:
    lfs = {"lfs": _lfs(file, "sha256")} if file.is_lfs else {}
    return {"rfilename": path, "size": len(file.body), "blobId": file.blob_id, **lfs}


def _entry(path: str, file: HeldFile) -> dict[str, Any]:
    lfs = {"lfs": _lfs(file, "oid")} if file.is_lfs else {}
    return {"type": "file", "path": path, "size": len(file.body), "oid": file.blob_id, **lfs}


def _lfs(file: HeldFile, name: str) -> dict[str, Any]:
    return {name: file.sha256, "size": len(file.body), "pointerSize": len(file.pointer)}
