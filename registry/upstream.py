"""What a hub says of a repository at one commit: facts written down beside the pin, to compare later.

Everything here is somebody else's word. Bytes are believed only after they were hashed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

PUBLIC_HUB = "https://huggingface.co"


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamFile:
    """One file as the hub lists it."""

    path: str
    size: int  # bytes
    blob_id: str  # git's sha1 of the content, or of the pointer where the content lies in LFS
    lfs_sha256: str = ""  # of the content, where it lies in LFS; "" for small files


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenceTriple:
    """``license``, ``license_name`` and ``license_link`` as the hub read them from the card."""

    licences: tuple[str, ...] = ()
    name: str = ""
    link: str = ""


class Alarm(StrEnum):
    """What the hub's scanners say of a file, from bad to worse."""

    CAUTION = "caution"
    SUSPICIOUS = "suspicious"
    UNSAFE = "unsafe"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileAlarm:
    """One file that the hub's scanners point at."""

    path: str
    alarm: Alarm


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamFacts:
    """A repository at one commit, as its hub describes it."""

    asked: str  # org/name as it was asked for
    repo: str  # org/name as the hub calls it now: another one where it was renamed
    revision: str  # 40 hex
    endpoint: str
    asked_revision: str = "main"
    gated: str = ""  # "auto", "manual", or "" where it is open
    licence: LicenceTriple = field(default_factory=LicenceTriple)
    scans_done: bool = False
    alarms: tuple[FileAlarm, ...] = ()
    files: tuple[UpstreamFile, ...] = ()  # every file of the commit, pinned or not

    @property
    def renamed(self) -> bool:
        return self.asked != self.repo

    @property
    def by_path(self) -> Mapping[str, UpstreamFile]:
        return {file.path: file for file in self.files}
