"""Frames as one file: an animated WebP, lossless and marked, and a picture or a smaller copy out of it.

WebP tells how long each frame stands in whole milliseconds. Frames therefore begin at the
rounded times of an exact rate: at 24 a second they stand 42, 41 and 42 ms, and the clip is as
long as it should be. Equal frames in a row are one in the file, for as long as all of them.

Frames are encoded and decoded one by one: beside the pixels that are handed in and the file, memory
holds a few frames, however long the clip is.
"""

import io
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from policy.errors import FormatFault
from workers.marking import Marking, packet_of

WEBP = "image/webp"


class Reel(Image.Image):
    """(frames, height, width, 3) pixels as Pillow reads a file: it seeks, and holds one frame."""

    def __init__(self, frames: NDArray[np.uint8]) -> None:
        super().__init__()
        self._frames = frames
        self._at = -1
        self.n_frames = len(frames)
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go to a frame; the one before it is let go."""
        if frame != self._at:
            shown = Image.fromarray(self._frames[frame])
            self.im, self._mode, self._size, self._at = shown.im, shown.mode, shown.size, frame

    def tell(self) -> int:
        """Which frame it stands at."""
        return self._at


def marked_clip(frames: NDArray[np.uint8], marking: Marking, *, fps: float) -> bytes:
    """Encode (frames, height, width, 3) 8-bit pixels without loss, at a constant rate; it plays for ever."""
    return _animated(
        [Reel(frames)],
        durations(len(frames), fps),
        lossless=True,
        xmp=packet_of(marking).encode(),
    )


def durations(frames: int, fps: float) -> list[int]:
    """Milliseconds that each frame stands; together as long as the frames are at the exact rate."""
    begins = [round(1000 * number / fps) for number in range(frames + 1)]
    return [end - begin for begin, end in pairwise(begins)]


def frames_of(content: bytes) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """The frames of a picture or clip file one by one: (height, width, 3) pixels, and milliseconds it stands.

    FormatFault where it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(content)) as file:
            for frame in ImageSequence.Iterator(file):
                yield np.asarray(frame.convert("RGB")), int(file.info.get("duration", 0))
    except (OSError, SyntaxError, ValueError) as fault:
        raise FormatFault(f"The clip cannot be read: {fault}.", "Render the shot again.") from fault


def decoded_frames(content: bytes) -> tuple[NDArray[np.uint8], list[int]]:
    """(frames, height, width, 3) pixels of a picture or clip file, and milliseconds of each; FormatFault."""
    frames, times = zip(*frames_of(content), strict=True)
    return np.stack(frames), list(times)


def evenly_timed(content: bytes, count: int, fps: float) -> Iterator[NDArray[np.uint8]]:
    """``count`` frames of a clip at an exact rate, one by one; equal ones in a row come again."""
    shown, ends = 0, 0
    for pixels, stands in frames_of(content):
        ends += stands or round(1000 * count / fps)  # nothing moves: one picture that stands
        while shown < count and round(1000 * shown / fps) < ends:
            yield pixels
            shown += 1


def middle_frame(content: bytes) -> NDArray[np.uint8]:
    """(height, width, 3) pixels that stand for a clip: those at half its time."""
    frames, times = decoded_frames(content)
    passed = np.cumsum(times)
    return frames[int(np.searchsorted(passed, passed[-1] / 2, side="right").clip(max=len(frames) - 1))]


def smaller_clip(content: bytes, longest_side: int, *, quality: int) -> bytes:
    """The same clip with no side longer than so many pixels, with some loss: for looking at."""
    images: list[Image.Image] = []
    times: list[int] = []
    for pixels, stands in frames_of(content):
        image = Image.fromarray(pixels)
        image.thumbnail((longest_side, longest_side))
        images.append(image)
        times.append(stands)
    return _animated(images, times, quality=quality)


def _animated(images: Sequence[Image.Image], times: list[int], **how: object) -> bytes:
    buffer = io.BytesIO()
    images[0].save(
        buffer, format="WEBP", save_all=True, append_images=images[1:], duration=times, loop=0, **how
    )
    return buffer.getvalue()
