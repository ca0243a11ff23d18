"""Turning a pickle into safetensors without ever trusting it: in a process of its own, within bounds.

The process loads with torch's ``weights_only`` reader, which builds tensors and plain
containers and refuses everything else. Time, memory and the size of what it may write are
limited, because a small pickle can ask for a very large tensor.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from policy.errors import FormatFault, Refused, StorageFault
from workers.renderer import WORKER_ENVIRONMENT

SECONDS = 900.0
MEMORY = 8 << 30  # bytes that torch and its libraries may map, beyond the tensors
ROOM = 64 << 20  # bytes that the result may be larger than the pickle
CODE, BROKEN, FULL = 3, 4, 5  # exit codes of the process


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """What came out."""

    tensors: int
    dropped: tuple[str, ...]  # entries that are no tensors, left behind
    versions: tuple[tuple[str, str], ...]  # of the libraries that converted


def convert_pickle(source: Path, target: Path, *, seconds: float = SECONDS) -> Conversion:
    """Write the tensors of a pickle as safetensors; Refused where it would run code, else FormatFault."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.{os.getpid()}.part")
    size = source.stat().st_size
    command = [sys.executable, "-m", "workers.pickle_conversion", str(source), str(draft)]
    limits = [str(MEMORY + 6 * size), str(2 * size + ROOM), str(int(seconds) + 1)]
    try:
        done = subprocess.run(
            [*command, *limits],
            cwd=Path(__file__).resolve().parents[1],
            env=os.environ | WORKER_ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode == 0:
            told = json.loads(done.stdout.splitlines()[-1])
            draft.replace(target)
            return Conversion(
                tensors=told["tensors"],
                dropped=tuple(told["dropped"]),
                versions=tuple(sorted(told["versions"].items())),
            )
        raise _fault(source, done)
    except subprocess.TimeoutExpired as error:
        raise FormatFault(
            f"{source.name} was not converted within {seconds:.0f} seconds.", "Nothing was kept."
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _fault(source: Path, done: subprocess.CompletedProcess[str]) -> Refused | FormatFault | StorageFault:
    said = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    if done.returncode == CODE:
        return Refused(
            f"{source.name} is refused: it asks for more than tensors, which would run code. {said}",
            "Get the weights as safetensors from somebody you trust; nothing of this file was run or kept.",
        )
    if done.returncode == FULL:
        return StorageFault(f"The disk is full: {source.name} could not be converted.", "Make room.")
    return FormatFault(f"{source.name} cannot be converted: {said}", "Nothing was kept.")
