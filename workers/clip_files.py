"""Frames as one file: an animated WebP, lossless and marked, and a picture or a smaller copy out of it.

WebP tells how long each frame stands in whole milliseconds. Frames therefore begin at the
rounded times of an exact rate: at 24 a second they stand 42, 41 and 42 ms, and the clip is as
long as it should be. Equal frames in a row are one in the file, for as long as all of them.
"""

import io
import wave
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from policy.errors import FormatFault
from workers.marking import Marking, packet_of

WEBP = "image/webp"
WAV = "audio/wav"
LOUDEST = 32767  # of 16 bits


def marked_clip(frames: NDArray[np.uint8], marking: Marking, *, fps: float) -> bytes:
    """Encode (frames, height, width, 3) 8-bit pixels without loss, at a constant rate; it plays for ever."""
    return _animated(
        [Image.fromarray(frame) for frame in frames],
        durations(len(frames), fps),
        lossless=True,
        xmp=packet_of(marking).encode(),
    )


def durations(frames: int, fps: float) -> list[int]:
    """Milliseconds that each frame stands; together as long as the frames are at the exact rate."""
    begins = [round(1000 * number / fps) for number in range(frames + 1)]
    return [end - begin for begin, end in pairwise(begins)]


def decoded_frames(content: bytes) -> tuple[NDArray[np.uint8], list[int]]:
    """(frames, height, width, 3) pixels of a picture or clip file, and milliseconds of each; FormatFault."""
    try:
        with Image.open(io.BytesIO(content)) as file:
            times: list[int] = []
            frames: list[NDArray[np.uint8]] = []
            for frame in ImageSequence.Iterator(file):
                frames.append(np.asarray(frame.convert("RGB")))
                times.append(int(file.info.get("duration", 0)))
    except (OSError, SyntaxError, ValueError) as fault:
        raise FormatFault(f"The clip cannot be read: {fault}.", "Render the shot again.") from fault
    return np.stack(frames), times


def middle_frame(content: bytes) -> NDArray[np.uint8]:
    """(height, width, 3) pixels that stand for a clip: those at half its time."""
    frames, times = decoded_frames(content)
    passed = np.cumsum(times)
    return frames[int(np.searchsorted(passed, passed[-1] / 2, side="right").clip(max=len(frames) - 1))]


def smaller_clip(content: bytes, longest_side: int, *, quality: int) -> bytes:
    """The same clip with no side longer than so many pixels, with some loss: for looking at."""
    frames, times = decoded_frames(content)
    images = [Image.fromarray(frame) for frame in frames]
    for image in images:
        image.thumbnail((longest_side, longest_side))
    return _animated(images, times, quality=quality)


def wav_file(samples: NDArray[np.float32], rate: int) -> bytes:
    """(channels, samples) values -1..1 as a WAV of 16 bits, which holds no marking: its statement does."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.clip(-1, 1) * LOUDEST).round().astype("<i2").T.tobytes())
    return buffer.getvalue()


def _animated(images: Sequence[Image.Image], times: list[int], **how: object) -> bytes:
    buffer = io.BytesIO()
    images[0].save(
        buffer, format="WEBP", save_all=True, append_images=images[1:], duration=times, loop=0, **how
    )
    return buffer.getvalue()
