"""The size that an image model was trained at, as its own configuration tells it."""

import json
from pathlib import Path
from typing import Any

DENOISERS = ("unet", "transformer")
LARGEST_CONFIG = 1 << 20  # bytes


def read_native_size(root: Path) -> tuple[int, int] | None:
    """(width, height) in pixels: the denoiser's ``sample_size`` times what its autoencoder scales by.

    None where the files do not say: packed and video models have no such field.
    """
    blocks = _read(root / "vae" / "config.json").get("block_out_channels")
    samples = (_read(root / part / "config.json").get("sample_size") for part in DENOISERS)
    sample = next((found for found in samples if found is not None), None)
    sides = [sample, sample] if isinstance(sample, int) else sample
    if not isinstance(blocks, list) or not isinstance(sides, list) or len(sides) != 2:
        return None
    height, width = sides
    if not all(isinstance(side, int) and side > 0 for side in (height, width)):
        return None
    scale = 1 << (len(blocks) - 1)
    return width * scale, height * scale


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            return {}
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
