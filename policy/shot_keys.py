"""The digest of everything that determines a shot's pixels.

Two shots with the same key are the same picture, so a kept artefact is used again. What
a whole decision shares is digested once; a shot then adds only what is its own, as one
short canonical text.
"""

import json
import unicodedata
from collections.abc import Callable

from policy.canonical import digest, digest_text
from policy.ladder import Candidate
from policy.manifest import Shot

Versions = tuple[tuple[str, str], ...]
quoted: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode


def text(value: str) -> str:
    """A string as canonical JSON writes it."""
    return quoted(value if value.isascii() else unicodedata.normalize("NFC", value))


def run_digest(
    candidate: Candidate,
    *,
    width: int,
    height: int,
    frames: int,
    runtime: Versions,
    fps: float | None = None,
) -> str:
    """Digest of what a decision's shots share: stack, preset, steps, guidance, size, dtype and versions.

    ``fps`` is that of a clip, whose file says how long each frame stands; a picture has none.
    """
    stack, preset = candidate.offer.stack, candidate.offer.preset
    return digest(
        "run",
        {
            "stack": stack.stack_id,
            "preset": preset.name,
            "preset_version": preset.version,
            "steps": candidate.steps,
            "guidance": {name: float(value) for name, value in candidate.guidance},
            "width": width,
            "height": height,
            "frames": frames,
            "dtype": stack.dtype,
            **({} if fps is None else {"fps": float(fps)}),
            "runtime": sorted(runtime),
        },
    )


def shot_key(run: str, shot: Shot) -> str:
    """The shot's key under the digest of its run."""
    inputs = ",".join(f"[{text(shown.role)},{text(shown.sha256)}]" for shown in shot.inputs)
    return digest_text(
        "shot-key", f'["{run}",{text(shot.prompt)},{text(shot.negative)},{shot.seed},[{inputs}]]'
    )
