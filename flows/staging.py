"""Where shipments are put together and kept: a folder of their own, and a rename when all of it is committed.

    with staged(root, ID) as draft:     shipments/.staging/ID, held by a lock
        ...                             write, flush
        work.commit()                   the database says that ID was shipped
        draft.promote()                 shipments/ID

Whoever is killed on the way leaves a staging folder and no lock. ``reap`` looks at what was
committed: that is promoted, everything else is removed.
"""

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from policy.errors import StorageFault
from registry.database import Engine
from registry.evidence.papers import FILES
from registry.unit_of_work import unit_of_work

STAGING = ".staging"
LOCK = ".lock"


@dataclass(kw_only=True, slots=True)
class Draft:
    """A shipment under way."""

    shipment_id: str
    folder: Path  # where it is put together
    kept: Path  # where it will stand
    is_committing: bool = False  # from here on only the database knows whether it was shipped

    def flush(self) -> None:
        """Make names durable; the files themselves are flushed as they are written."""
        for folder in (self.folder / FILES, self.folder, self.folder.parent):
            flush_folder(folder)

    def promote(self) -> None:
        """Move the whole folder to its place, in one step."""
        self.folder.replace(self.kept)
        flush_folder(self.kept.parent)


@contextmanager
def staged(root: Path, shipment_id: str) -> Generator[Draft]:
    """A staging folder; removed where an error comes before the commit. A full disk is a StorageFault."""
    draft = Draft(shipment_id=shipment_id, folder=root / STAGING / shipment_id, kept=root / shipment_id)
    try:
        with _lock(root, fcntl.LOCK_SH):
            (draft.folder / FILES).mkdir(parents=True)
            try:
                yield draft
            except BaseException:
                if not draft.is_committing:  # otherwise ``reap`` looks whether it was
                    shutil.rmtree(draft.folder, ignore_errors=True)
                raise
    except OSError as fault:
        raise StorageFault(
            f"The shipment cannot be put together in {root}: {fault.strerror or fault}.",
            "Make room there, and ship again.",
        ) from fault


def reap(engine: Engine, root: Path) -> tuple[str, ...]:
    """Finish or remove what killed shippers left; nothing while somebody ships. Names what it touched."""
    try:
        left = sorted(path.name for path in (root / STAGING).iterdir())
    except FileNotFoundError:
        return ()
    if not left:
        return ()
    with suppress(BlockingIOError), _lock(root, fcntl.LOCK_EX | fcntl.LOCK_NB):
        with unit_of_work(engine, read_only=True) as work:
            committed = work.shipments.known(left)
        for name in left:
            folder = root / STAGING / name
            if name in committed and folder.is_dir():
                folder.replace(root / name)
            else:
                shutil.rmtree(folder, ignore_errors=True)
        flush_folder(root)
        return tuple(left)
    return ()


def write_durably(path: Path, body: bytes) -> None:
    """Write and flush a file of a draft."""
    with path.open("wb") as stream:
        stream.write(body)
        stream.flush()
        os.fsync(stream.fileno())


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _lock(root: Path, how: int) -> Generator[None]:
    """Shippers share it, a reaper has it alone; the system lets go of it when its holder dies."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK).open("a") as lock:
        fcntl.flock(lock, how)
        yield
