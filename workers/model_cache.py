"""Models on a node: fetched from a peer or the store, hashed before anybody loads them, on a bounded disk.

Under one folder: ``models/ab/SHA256`` are the files, once for every pin that has them, ``snapshots/PIN``
the repositories, made of hard links to them, ``held/PIN`` a lock for each and when it was used last. The
folder is laid out as the store is, so a node's cache is a peer to the others wherever they can read it.
Locks are the system's own: whoever is killed lets go.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO
from uuid import uuid4

from policy.errors import IntegrityFault, StorageFault
from policy.stacks import FilePin, ModelPin
from policy.tasks import StackLoad
from workers.artefacts import DIGEST
from workers.object_stores import ObjectStore
from workers.store_addresses import ModelCacheOptions

FOLDER = "models"  # under the address of a store or a peer, and here


def object_name(sha256: str) -> str:
    """What the file of a model is called in a store."""
    return f"{FOLDER}/{sha256[:2]}/{sha256}"


class Held:
    """The pins of a stack that is resident: while they are held, no worker of the node makes room of them."""

    def __init__(self, load: StackLoad, locks: Sequence[IO[str]] = ()) -> None:
        self.load = load  # with the folders of this node
        self._locks = locks

    def release(self) -> None:
        """Let go; twice is nothing."""
        for lock in self._locks:
            lock.close()


class ModelCache:
    """The snapshots of one node, shared by its workers."""

    def __init__(self, options: ModelCacheOptions) -> None:
        self._root = options.folder
        self._most = options.most_bytes
        self._sources = options.sources

    def hold(self, load: StackLoad) -> Held:
        """Every pin of a stack as a folder of this node, brought here where it is not.

        A folder that is there anyway is taken as it is. StorageFault where a pin cannot be brought,
        or finds no room beside what is held; IntegrityFault where a pin names no plain files.
        """
        locks: list[IO[str]] = []
        parts = []
        try:
            for pin, part in zip(load.stack.pins, load.parts, strict=True):
                if Path(part.root).is_dir():
                    parts.append(part)
                    continue
                _refuse_strange_names(pin)
                locks.append(self._lock(self._root / "held" / pin.pin_id, fcntl.LOCK_SH))
                parts.append(replace(part, root=str(self._snapshot(pin))))
        except BaseException:
            Held(load, locks).release()
            raise
        return Held(replace(load, parts=tuple(parts)), locks)

    def mend(self, load: StackLoad) -> None:
        """Throw away what is damaged of a stack: files whose bytes are not those of their name."""
        with self._alone():
            for pin in load.stack.pins:
                _refuse_strange_names(pin)
                snapshot = self._root / "snapshots" / pin.pin_id
                for file in pin.files:
                    kept = self._root / object_name(file.sha256)
                    if kept.exists() and _sha256_of(kept) != file.sha256:
                        kept.unlink()
                    linked = snapshot / file.path  # another pin may have mended the one, and not the other
                    if linked.exists() and _sha256_of(linked) != file.sha256:
                        shutil.rmtree(snapshot)

    def bytes_held(self) -> int:
        """What the files take, each counted once, and those that are not whole yet."""
        found = (*(self._root / FOLDER).glob("??/*"), *(self._root / "drafts").glob("*.part"))
        return sum(path.stat().st_size for path in found)

    def _snapshot(self, pin: ModelPin) -> Path:
        """The folder of a pin that is held by the caller."""
        place = self._root / "snapshots" / pin.pin_id
        os.utime(self._root / "held" / pin.pin_id)
        if _is_whole(place, pin.files):
            return place
        try:
            with self._alone():
                if not _is_whole(place, pin.files):  # another worker brought it while this one waited
                    self._bring(pin, place)
        except OSError as fault:
            raise StorageFault(
                f"{pin.repo} was not brought to {self._root}: {fault.strerror}.", "Make room there."
            ) from fault
        return place

    def _bring(self, pin: ModelPin, place: Path) -> None:
        for left in (self._root / "drafts").glob("*"):
            if left.is_dir():  # of a worker that was killed: its links would keep their files for ever
                shutil.rmtree(left)
        files = {file.sha256: file for file in pin.files}
        missing = [
            file for file in files.values() if not _has_size(self._root / object_name(file.sha256), file.size)
        ]
        self._make_room(pin, sum(file.size for file in missing), frozenset(files))
        for file in missing:
            self._fetch(pin, file)
        draft = self._root / "drafts" / uuid4().hex
        try:
            for file in pin.files:
                link = draft / file.path
                link.parent.mkdir(parents=True, exist_ok=True)
                link.hardlink_to(self._root / object_name(file.sha256))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(place, ignore_errors=True)  # torn
            draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _fetch(self, pin: ModelPin, file: FilePin) -> None:
        """One file from whoever has it, on from where it broke off; under its name once it is hashed."""
        draft = self._root / "drafts" / f"{file.sha256}.part"
        draft.parent.mkdir(parents=True, exist_ok=True)
        faults: list[str] = []
        for address in self._sources:
            for _ in range(1 + draft.exists()):  # again, where what another had left was at fault
                try:
                    if not ObjectStore(address).fetch(
                        object_name(file.sha256), draft, file.size, file.sha256
                    ):
                        faults.append(f"{address.url} has none")
                        break
                except (IntegrityFault, StorageFault) as fault:
                    faults.append(fault.message)
                    continue
                target = self._root / object_name(file.sha256)
                target.parent.mkdir(parents=True, exist_ok=True)
                draft.replace(target)
                return
        raise StorageFault(
            f"{file.path} of {pin.repo} could not be brought: {'; '.join(faults) or 'nobody is asked'}.",
            "Look at the store and its peers, then resume the job.",
        )

    def _make_room(self, pin: ModelPin, needed: int, wanted: frozenset[str]) -> None:
        """Take out what was used longest ago and nobody holds, until so many bytes more are in bounds."""
        begun = sum(
            path.stat().st_size for path in (self._root / "drafts").glob("*.part") if path.stem in wanted
        )
        needed = max(0, needed - begun)
        self._drop_unlinked(wanted)
        if self.bytes_held() + needed > self._most:
            for draft in (self._root / "drafts").glob("*.part"):
                if draft.stem not in wanted:
                    draft.unlink()
        by_age = sorted((self._root / "held").glob("*"), key=lambda path: path.stat().st_mtime)
        for lock in by_age:
            if self.bytes_held() + needed <= self._most:
                return
            if lock.name == pin.pin_id:
                continue
            try:
                with self._lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    shutil.rmtree(self._root / "snapshots" / lock.name, ignore_errors=True)
            except BlockingIOError:
                continue
            self._drop_unlinked(wanted)
        if self.bytes_held() + needed > self._most:
            raise StorageFault(
                f"{pin.repo} needs {needed >> 20} MB more than the models held in {self._root} leave of "
                f"{self._most >> 20} MB.",
                "Raise the bound, or let fewer stacks be resident.",
            )

    def _drop_unlinked(self, wanted: frozenset[str]) -> None:
        """Remove files that no snapshot has, and whatever is called by no digest."""
        for path in (self._root / FOLDER).glob("??/*"):
            if path.name not in wanted and path.stat().st_nlink == 1:
                path.unlink()

    @contextmanager
    def _alone(self) -> Generator[None]:
        """One worker of a node brings models or makes room; the others wait, and mostly for the same ones."""
        with self._lock(self._root / "cache.lock", fcntl.LOCK_EX):
            yield

    @staticmethod
    def _lock(path: Path, how: int) -> IO[str]:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a", encoding="ascii")
        try:
            fcntl.flock(lock, how)
        except BaseException:
            lock.close()
            raise
        return lock


def _refuse_strange_names(pin: ModelPin) -> None:
    """Paths and digests become names here before anybody verifies them."""
    for file in pin.files:
        parts = file.path.split("/")
        if not DIGEST.fullmatch(file.sha256) or {"", ".", ".."} & set(parts):
            raise IntegrityFault(
                f"{pin.repo} names {file.path!r}, which is no file inside a folder.", "Pin the model again."
            )


def _is_whole(place: Path, files: tuple[FilePin, ...]) -> bool:
    return all(_has_size(place / file.path, file.size) for file in files)


def _has_size(path: Path, size: int) -> bool:
    with suppress(OSError):
        return path.stat().st_size == size
    return False


def _sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
