"""Files that a person hands in as evidence, read whole before anything is signed over them."""

from collections.abc import Iterable
from pathlib import Path

from policy.errors import StorageFault, WrongUse
from registry.kept_files import MAX_EVIDENCE_BYTES


def read_attachments(paths: Iterable[Path]) -> tuple[tuple[str, bytes], ...]:
    """Name and bytes of each, in order."""
    return tuple((path.name, read_attachment(path)) for path in paths)


def read_attachment(path: Path) -> bytes:
    """The bytes of one file; WrongUse where it is too large to be kept, StorageFault where it is not read."""
    try:
        if path.stat().st_size > MAX_EVIDENCE_BYTES:
            raise WrongUse(
                f"{path} is too large to be kept as evidence.", "Hand in what shows it, up to 16 MB."
            )
        return path.read_bytes()
    except OSError as fault:
        raise StorageFault(
            f"The evidence {path} cannot be read: {fault.strerror}.", "Name a file that you may read."
        ) from fault
