"""The kit as a zip: the same files give the same bytes, wherever and whenever it is written.

Nothing is compressed, because compressed bytes differ between versions of zlib; every entry bears the
same day, and they stand in the order of their names, the list of their digests last.
"""

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from policy.canonical import canonical_json
from policy.errors import StorageFault

KIT_FORMAT = "rightstep:kit/v1"
MANIFEST = "manifest.json"
DAY = (1980, 1, 1, 0, 0, 0)  # the first that a zip can name


@dataclass(frozen=True, kw_only=True, slots=True)
class KitFile:
    """A file of the kit; its bytes are asked for when it is written, and may come in pieces."""

    name: str
    body: Callable[[], Iterable[bytes]]
    is_large: bool = False  # may pass a gigabyte


def kit_file(name: str, body: bytes) -> KitFile:
    """A small file that is there already."""
    return KitFile(name=name, body=lambda: (body,))


def json_file(name: str, value: object) -> KitFile:
    """A value as canonical JSON."""
    return kit_file(name, f"{canonical_json(value)}\n".encode())


def verifier() -> KitFile:
    """The program that checks a kit with the standard library alone."""
    body = (files("registry") / "builtin" / "kit" / "verify.py").read_bytes()
    return kit_file("verify.py", body)


def write_kit(path: Path, contents: Iterable[KitFile]) -> str:
    """Write the whole kit or nothing; returns its sha256."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED, allowZip64=True) as kit:
            digests = {one.name: _write(kit, one) for one in sorted(contents, key=lambda one: one.name)}
            _write(kit, json_file(MANIFEST, {"format": KIT_FORMAT, "files": digests}))
        with partial.open("rb") as written:
            os.fsync(written.fileno())
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        partial.replace(path)
    except OSError as fault:
        raise StorageFault(
            f"The kit cannot be written to {path}: {fault.strerror}.", "Make room there."
        ) from fault
    finally:
        partial.unlink(missing_ok=True)
    return digest


def _write(kit: zipfile.ZipFile, one: KitFile) -> str:
    entry = zipfile.ZipInfo(one.name, DAY)
    entry.create_system = 3  # Unix, wherever this runs
    entry.external_attr = 0o644 << 16
    state = hashlib.sha256()
    with kit.open(entry, "w", force_zip64=one.is_large) as file:
        for piece in _gathered(one.body()):
            state.update(piece)
            file.write(piece)
    return state.hexdigest()


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces in blocks that are worth a write."""
    waiting, size = [], 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size > 1 << 20:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
