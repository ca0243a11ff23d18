"""The artefact store of several machines: an object store, with a folder of this machine before it.

The layout under the address is that of the folder (``ab/SHA256.png``), so that any tool can copy one into
the other.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from policy.errors import IntegrityFault, StorageFault, UnknownName
from policy.tasks import ArtefactRef
from workers.artefacts import SUFFIXES, TORN_AFTER_SECONDS, ArtefactStore, StoredFile, is_stored_name
from workers.object_stores import ObjectStore, StoredObject
from workers.store_addresses import StoreAddress

FOLDER = "artefacts"  # under the address
UNSENT_SECONDS = 7 * 86_400.0  # what was not sent in a week belongs to a job that nobody resumed
SPARED_SECONDS = 600.0  # what was used so lately may be being read
FRESH = timedelta(hours=12)  # what is older is put anew: who tidies up goes by the age of objects


class SharedArtefacts(ArtefactStore):
    """What lies in the folder is in the store already: bytes go up first and are kept here after.

    Folder and store are told apart nowhere else. A file of the folder that is gone is fetched, and its
    bytes are hashed before anybody gets its path.
    """

    def __init__(self, root: Path, address: StoreAddress, *, most_bytes: int) -> None:
        super().__init__(root)
        self._objects = ObjectStore(address)
        self._most_bytes = most_bytes
        self._outbox = ArtefactStore(root / "outbox")
        self._since_cleaned = 0  # bytes that came into the folder

    def put_bytes(self, content: bytes, media_type: str) -> ArtefactRef:
        """Keep bytes in the store, then here; StorageFault where either does not take them."""
        sha256 = hashlib.sha256(content).hexdigest()
        place = self._place(sha256, SUFFIXES[media_type])
        reference = ArtefactRef(sha256=sha256, size=len(content), media_type=media_type, path=str(place))
        if super().has(sha256, len(content)) and self._is_fresh(place, len(content)):
            return reference
        try:
            self._send(Path(self._outbox.put_bytes(content, media_type).path), place, sha256)
        except (FileNotFoundError, StorageFault):
            if not super().has(sha256, len(content)):  # else another worker sent the same bytes meanwhile
                raise
        return reference

    def path_of(self, sha256: str) -> Path:
        """Where the bytes of a digest lie on this machine, fetched now where they did not."""
        with suppress(UnknownName, FileNotFoundError):
            path = super().path_of(sha256)
            os.utime(path)  # used now: others make room first
            return path
        for place in self._candidates(sha256):
            if self._fetched(place, sha256):
                return place
        raise UnknownName(
            f"The artefact store {self._objects.address.url} holds no {sha256}.", "Render the shot again."
        )

    def has(self, sha256: str, size: int | None = None) -> bool:
        """Whether the store has the bytes; what lies here is there."""
        if super().has(sha256, size):
            return True
        found = (self._objects.size_of(self._name(place)) for place in self._candidates(sha256))
        return any(bytes_held if size is None else bytes_held == size for bytes_held in found)

    def remove(self, sha256: str) -> None:
        """Take the bytes of a digest out of the store, and of this machine's folder."""
        here = [place for place in self._candidates(sha256) if place.is_file()]
        for place in here or self._candidates(sha256):
            self._objects.remove(self._name(place))
        super().remove(sha256)

    def files(self) -> Iterator[tuple[StoredFile, ...]]:
        """Every object that bears the name of a digest, a folder at a time, in the order of their digests."""
        for number in range(256):
            listed = self._objects.listing(f"{FOLDER}/{number:02x}")
            yield tuple(self._file(one) for one in listed if is_stored_name(one.name.rpartition("/")[2]))

    def file_of(self, sha256: str) -> StoredFile | None:
        """The object of a digest; None where the store does not hold its bytes."""
        found = (self._objects.find(self._name(place)) for place in self._candidates(sha256))
        return next((self._file(one) for one in found if one is not None and one.size), None)

    def retire(self, file: StoredFile, untouched_since: datetime) -> bool:
        """Remove an object that nobody has put since then; False where somebody has, or it is gone already.

        No store takes an object aside: one that is put anew between the look and the removal is lost. It
        would have to be the same picture, made again within these milliseconds.
        """
        now = self._objects.find(self._name(file.path))
        if now is None or now.put_at > untouched_since:
            return False
        self._objects.remove(now.name)
        file.path.unlink(missing_ok=True)
        return True

    def clean(self, older_than_seconds: float = TORN_AFTER_SECONDS) -> int:
        """Remove what killed writers left, and of the folder what was used longest ago, down to its bound."""
        removed = super().clean(older_than_seconds) + self._outbox.clean(older_than_seconds)
        for path in self._outbox.root.glob("??/*"):
            with suppress(FileNotFoundError):  # sent meanwhile
                if path.stat().st_mtime < time.time() - UNSENT_SECONDS:
                    path.unlink()
                    removed += 1
        horizon = time.time() - SPARED_SECONDS
        held: list[tuple[float, int, Path]] = []
        for path in self.root.glob("??/*"):
            with suppress(FileNotFoundError):  # another worker made the same room
                status = path.stat()
                held.append((status.st_mtime, status.st_size, path))
        held.sort()
        over = sum(size for _, size, _ in held) - self._most_bytes
        for used, size, path in held:
            if over <= 0 or used > horizon:
                break
            path.unlink(missing_ok=True)
            over -= size
            removed += 1
        return removed

    def _file(self, found: StoredObject) -> StoredFile:
        folder, name = found.name.split("/")[-2:]
        return StoredFile(
            sha256=name.partition(".")[0],
            path=self.root / folder / name,
            size=found.size,
            touched_at=found.put_at,
        )

    def _is_fresh(self, place: Path, size: int) -> bool:
        """Whether the store has the bytes, put so lately that nobody who tidies up takes them."""
        found = self._objects.find(self._name(place))
        return found is not None and found.size == size and found.put_at > datetime.now(UTC) - FRESH

    def _send(self, file: Path, place: Path, sha256: str) -> None:
        if not self._is_fresh(place, file.stat().st_size):
            self._objects.put(self._name(place), file, sha256, file.with_name(f"{file.name}.upload"))
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
        self._note_arrival(place.stat().st_size)

    def _note_arrival(self, size: int) -> None:
        """Look at the bound every eighth of it: looking costs a walk through the folder."""
        self._since_cleaned += size
        if self._since_cleaned > self._most_bytes // 8:
            self._since_cleaned = 0
            self.clean()

    def _fetched(self, place: Path, sha256: str) -> bool:
        name = self._name(place)
        size = self._objects.size_of(name)
        if not size:
            return False
        draft = self.root / "tmp" / f"{uuid4().hex}.part"
        draft.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not self._objects.fetch(name, draft, size, sha256):
                return False
            place.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(place)
            self._note_arrival(size)
        except IntegrityFault as fault:
            raise UnknownName(f"{fault.message} It counts as lost.", "Render the shot again.") from fault
        except OSError as fault:
            raise StorageFault(
                f"{name} was not brought to {self.root}: {fault.strerror}.",
                "Make room there, then try again.",
            ) from fault
        finally:
            draft.unlink(missing_ok=True)
        return True

    @staticmethod
    def _name(place: Path) -> str:
        return f"{FOLDER}/{place.parent.name}/{place.name}"


def open_artefacts(folder: Path, address: StoreAddress | None, most_bytes: int) -> ArtefactStore:
    """The artefact store of a house: its folder, or where an address is set, the store behind it."""
    if address is None:
        return ArtefactStore(folder)
    return SharedArtefacts(folder, address, most_bytes=most_bytes)
