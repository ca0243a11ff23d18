"""Repositories of a hub, brought into the house: each file hashed here, or nothing is pinned.

A repository lies below the home in the Hub's own layout, ``models--org--name/snapshots/COMMIT``,
where workers read it without a network. One process at a time brings a repository; a file that
was left half by one that was killed is removed by the next.
"""

import fcntl
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from policy.errors import IntegrityFault, Refused, ServiceFault, StorageFault
from registry.git_tree import FileDigests, file_digests
from registry.hub_choice import Choice, choose_files, remote_code_in
from registry.hub_client import HubClient
from registry.safetensors_header import header_fault
from registry.sources import LARGEST_TEXT, DirectorySource, SourceListing, listing_of
from registry.upstream import UpstreamFacts, UpstreamFile
from registry.verification import resolve_inside

HUB = "hub"  # how pins and claims name this source
SPARE = 1 << 20  # bytes that a disk must have beyond the files themselves


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetching:
    """How far a repository has come."""

    path: str  # the file that is coming now
    files: int
    files_done: int
    bytes_done: int
    bytes: int  # of all files


@dataclass(frozen=True, kw_only=True)
class HubListing:
    """A repository as it was brought and hashed, beside what its hub says of it."""

    listing: SourceListing
    facts: UpstreamFacts
    card: bytes | None  # README.md as it was read
    left_out: tuple[str, ...]  # configurations that ask for code of the repository and were not asked for


Report = Callable[[Fetching], None]


class HubSource:
    """A ModelSource whose repositories are brought on demand; without a network it shows what was brought."""

    name = HUB

    def __init__(self, cache: Path, client: HubClient, *, is_offline: bool = False) -> None:
        self.client = client
        self.is_offline = is_offline
        self._cache = cache
        self._brought = DirectorySource(cache, name=HUB)

    def repositories(self) -> tuple[str, ...]:
        """None: a hub cannot be listed, and what was pinned from it the registry knows."""
        return ()

    def locate(self, repo: str, revision: str | None = None) -> Path:
        """The folder of a snapshot that was brought; never asks the network."""
        return self._brought.locate(repo, revision)

    def listing(self, repo: str, revision: str | None = None) -> SourceListing:
        """Bring every file of a repository and hash it."""
        return self.fetch(repo, revision).listing

    def describe(self, repo: str, revision: str | None = None) -> UpstreamFacts:
        """What the hub says of a repository now; ServiceFault where the hub is switched off."""
        if self.is_offline:
            raise ServiceFault(
                "The Hub is switched off here (RIGHTSTEP_HUB_OFFLINE or HF_HUB_OFFLINE).",
                "Switch it on, or bring the repository as a folder: RIGHTSTEP_MODEL_FOLDERS.",
            )
        return self.client.describe(repo, revision)

    def fetch(
        self,
        repo: str,
        revision: str | None = None,
        *,
        patterns: Sequence[str] = (),
        report: Report = lambda _: None,
        pickles: bool = False,
    ) -> HubListing:
        """Bring a repository, or the files that match with its card, texts and configurations.

        Raises IntegrityFault where a byte is not what was announced; the file is then removed.
        ``pickles`` also brings pickles that are named, for conversion; they are never loaded here.
        """
        facts = self.describe(repo, revision)
        choice = choose_files(facts, patterns, pickles=pickles)
        root = self._folder(repo) / "snapshots" / facts.revision
        with self._alone(repo):
            self._remove_leftovers(repo)
            self._require_room(repo, root, choice)
            digests, left_out = self._bring_all(facts, choice, report)
            card = digests.get("README.md")
            return HubListing(
                listing=listing_of(root, repo, revision=facts.revision, source=HUB, digests=digests),
                facts=facts,
                card=(root / "README.md").read_bytes() if card and card.size <= LARGEST_TEXT else None,
                left_out=left_out,
            )

    def read_text(self, facts: UpstreamFacts, path: str) -> bytes:
        """A small file at a commit, brought and hashed; IntegrityFault where it is not small."""
        file = facts.by_path[path]
        if file.size > LARGEST_TEXT:
            raise IntegrityFault(f"{facts.repo}/{path} is too long for a text.", "Look at it by hand.")
        with self._alone(facts.asked):
            return self._bring(facts, file, lambda _: None)[0].read_bytes()

    def _bring_all(
        self, facts: UpstreamFacts, choice: Choice, report: Report
    ) -> tuple[dict[str, FileDigests], tuple[str, ...]]:
        total = sum(file.size for file in choice.files)
        digests: dict[str, FileDigests] = {}
        left_out: list[str] = []
        done = 0
        for number, file in enumerate(choice.files):
            start, came = done, 0

            def tell(size: int, path: str = file.path, number: int = number, start: int = start) -> None:
                nonlocal came
                came += size
                report(
                    Fetching(
                        path=path,
                        files=len(choice.files),
                        files_done=number,
                        bytes_done=start + came,
                        bytes=total,
                    )
                )

            tell(0)
            path, found = self._bring(facts, file, tell)
            done += file.size
            if self._asks_for_code(facts, choice, file, path):
                left_out.append(file.path)
                continue
            digests[file.path] = found
        report(
            Fetching(
                path="",
                files=len(choice.files),
                files_done=len(choice.files),
                bytes_done=total,
                bytes=total,
            )
        )
        return digests, tuple(left_out)

    def _bring(
        self, facts: UpstreamFacts, file: UpstreamFile, tell: Callable[[int], None]
    ) -> tuple[Path, FileDigests]:
        """One file, hashed; bytes that lay there already and are wrong are brought once more."""
        root = self._folder(facts.asked) / "snapshots" / facts.revision
        was_there = (root / file.path).exists()
        for is_last in (not was_there, True):
            link = self.client.download(self._cache, facts.asked, facts.revision, file.path, tell)
            found = file_digests(self._inside(root, file.path))
            wrong = _difference(file, found)
            if wrong is None and file.path.endswith(".safetensors"):
                wrong = header_fault(link)
            if wrong is None:
                return link, found
            _remove(link)
            if is_last:
                break
        raise IntegrityFault(
            f"{facts.repo}/{file.path} came with other bytes than were announced: {wrong}.",
            "The file was removed and nothing was pinned. Try again; twice wrong, do not use this source.",
        )

    def _inside(self, root: Path, path: str) -> Path:
        try:
            return resolve_inside(root, path)
        except ValueError as error:
            raise IntegrityFault(f"{path} was kept as {error}.", "Remove it, then pin again.") from error

    def _asks_for_code(self, facts: UpstreamFacts, choice: Choice, file: UpstreamFile, path: Path) -> bool:
        """Whether a configuration asks for code of the repository: refused where somebody named it."""
        if file.size > LARGEST_TEXT or (told := remote_code_in(file.path, path.read_bytes())) is None:
            return False
        if file.path not in choice.named:
            return True
        raise Refused(
            f"{facts.repo}/{file.path} {told}, which nothing here runs.",
            "Pin the weights alone, with --file '*.safetensors'; a pipeline of ours may fit them.",
        )

    def _require_room(self, repo: str, root: Path, choice: Choice) -> None:
        needed = sum(file.size for file in choice.files if not (root / file.path).exists())
        free = shutil.disk_usage(self._cache).free
        if needed + SPARE > free:
            raise StorageFault(
                f"{repo} needs {needed / 1e6:,.1f} MB; {self._cache} has {free / 1e6:,.1f} MB free.",
                "Make room, move RIGHTSTEP_HOME, or pin fewer files with --file.",
            )

    def _remove_leftovers(self, repo: str) -> None:
        """What a killed process left half; whoever holds the lock is alone, so nobody writes them now."""
        for half in (self._folder(repo) / "blobs").glob("*.incomplete"):
            half.unlink(missing_ok=True)

    @contextmanager
    def _alone(self, repo: str) -> Generator[None]:
        """One process at a time for a repository; the kernel frees the lock of a killed one."""
        path = self._cache / ".rightstep" / f"{self._folder(repo).name}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("w")
        except OSError as error:
            raise StorageFault(
                f"{self._cache} cannot be used: {error.strerror}.", "Check RIGHTSTEP_HOME."
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _folder(self, repo: str) -> Path:
        return self._cache / f"models--{repo.replace('/', '--')}"


def _difference(announced: UpstreamFile, found: FileDigests) -> str | None:
    """How what came differs from what was announced; git's id of a small file, sha256 of a large one."""
    if found.size != announced.size:
        return f"{found.size} bytes instead of {announced.size}"
    if announced.lfs_sha256:
        if found.sha256 != announced.lfs_sha256:
            return f"sha256 {found.sha256} instead of {announced.lfs_sha256}"
    elif found.blob_id != announced.blob_id:
        return f"git id {found.blob_id} instead of {announced.blob_id}"
    return None


def _remove(link: Path) -> None:
    """Remove a file from the cache: what the link points to, and the link."""
    link.resolve().unlink(missing_ok=True)
    link.unlink(missing_ok=True)
