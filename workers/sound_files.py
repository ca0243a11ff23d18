"""The sound of a clip as a file: a WAV of 16 bits that says in its own bytes what made it."""

import io
import struct
import wave

import numpy as np
from numpy.typing import NDArray

from workers.marking import Marking, packet_of

WAV = "audio/wav"
LOUDEST = 32767  # of 16 bits
XMP_CHUNK = b"_PMX"  # where XMP stands in a WAV: XMP specification, part 3


def marked_wav(samples: NDArray[np.float32], rate: int, marking: Marking) -> bytes:
    """(channels, samples) values -1..1 as a marked WAV; ``rate`` is samples a second."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.clip(-1, 1) * LOUDEST).round().astype("<i2").T.tobytes())
    packet = packet_of(marking).encode()
    packet += b" " * (len(packet) % 2)  # chunks begin at even places
    body = buffer.getvalue()[8:] + struct.pack("<4sI", XMP_CHUNK, len(packet)) + packet
    return struct.pack("<4sI", b"RIFF", len(body)) + body
