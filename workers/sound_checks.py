"""Looks at the sound of a clip: whether anything is heard, and whether it is louder than a file can hold.

A clip may be meant to be silent, or loud, so both are for a person to judge. The two bounds are
conventions, not measurements: nobody here has heard a trained model.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SoundSuspicion = Literal["silent", "clipped"]

SILENT = 10 ** (-70 / 20)  # 70 dB below the loudest: what ITU-R BS.1770-5 leaves out of a loudness altogether
CUT = 0.01  # share of samples at the loudest value: a tone this often cut is heard to be


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundStatistics:
    """Two figures of the sound of one clip, each 0..1."""

    loudness: float  # root mean square over all channels
    clipping: float  # share of samples that are as loud as a sample can be, or louder


def sound_statistics(samples: NDArray[np.float32]) -> SoundStatistics:
    """Measure (channels, samples) values, of which a file holds -1..1."""
    if not samples.size:
        return SoundStatistics(loudness=0.0, clipping=0.0)
    held = samples.clip(-1, 1)
    return SoundStatistics(
        loudness=float(np.sqrt(np.square(held, dtype=np.float64).mean())),
        clipping=float((np.abs(held) >= 1).mean()),
    )


def sound_suspicion(statistics: SoundStatistics) -> SoundSuspicion | None:
    """What a sound gives away by itself: nothing to hear, or cut off where it is loud."""
    if statistics.loudness <= SILENT:
        return "silent"
    return "clipped" if statistics.clipping > CUT else None
