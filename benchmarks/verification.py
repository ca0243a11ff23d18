"""What does it cost to know that weights are the pinned ones, beside bare sha256, and when they are known?"""

import hashlib
import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measurement import Measurement, alternate, at_least, median, plain, timed
from policy.stacks import FilePin
from registry.known_digests import SETTLED_NS, KnownDigests
from registry.verification import sha256_file, verify_files

FILES, MEGABYTES, ROUNDS = 8, 64, 7


def measure() -> Measurement:
    """Hash the same safetensors files bare, verified, and verified where each is known."""
    with TemporaryDirectory(prefix="verification") as folder:
        root = Path(folder) / "model"
        root.mkdir()
        pins = tuple(_write(root / f"part-{number}.safetensors") for number in range(FILES))
        known = KnownDigests(Path(folder) / "known")
        time.sleep(2 * SETTLED_NS / 1e9)
        _require_whole(root, pins, known)
        sides = alternate(
            {
                "bare": lambda: timed(lambda: [_bare(root / pin.path) for pin in pins]),
                "verified": lambda: timed(lambda: _require_whole(root, pins, None)),
                "known": lambda: timed(lambda: _require_whole(root, pins, known)),
            },
            ROUNDS,
        )
    bare, verified, quick = (median(sides[name]) for name in ("bare", "verified", "known"))
    total = FILES * MEGABYTES
    return Measurement(
        question="What does it cost to know that weights are the pinned ones?",
        figures=(
            at_least("P14", "speed of verification by that of bare sha256", bare / verified, 0.90),
            at_least("P14", "speed where every file is known, by that of hashing", verified / quick, 100),
            plain("bare sha256", total / bare, "MB/s"),
            plain("verified", total / verified, "MB/s"),
            plain("a known file", quick / FILES * 1e6, "microseconds"),
        ),
        conditions=(
            f"{FILES} safetensors files of {MEGABYTES} MB, in the page cache, {ROUNDS} rounds in turn; "
            "bare is hashlib.file_digest; verification adds paths, links, sizes and the safetensors headers."
        ),
        rounds=sides,
    )


def _write(path: Path) -> FilePin:
    size = MEGABYTES * 1_000_000
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + os.urandom(size))
    return FilePin(path=path.name, sha256=sha256_file(path), size=path.stat().st_size)


def _bare(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_whole(root: Path, pins: tuple[FilePin, ...], known: KnownDigests | None) -> None:
    assert verify_files(str(root), pins, known) == ()
