"""What a live session delivered, as a chain of segments: a record that grows with time, not with frames.

The hash of a segment covers the one before it and the sha256 of each of its frames, so the last
one vouches for all that was delivered, in its order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from policy.canonical import digest_text

GENESIS = "0" * 64
MOST_FRAMES = 100  # of a segment
MOST_SECONDS = 10.0  # from its first frame until it is written down


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """Frames that were delivered in a row; those that were dropped leave gaps in the numbers."""

    number: int  # from 0
    frames: tuple[tuple[int, str], ...]  # (frame number, sha256 of its bytes as they were sent)
    bytes_sent: int
    previous: str  # hash of the segment before it; GENESIS for the first
    hash: str


@dataclass(kw_only=True, slots=True)
class SegmentChain:
    """The segments of one session as they fill; moments are seconds of a steady clock."""

    most_frames: int = MOST_FRAMES
    most_seconds: float = MOST_SECONDS
    head: str = GENESIS
    segments: int = 0
    frames: int = 0  # in all segments, the open one included
    bytes_sent: int = 0
    _open: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    _open_bytes: int = 0
    _since: float = 0.0

    def add(self, frame: int, sha256: str, size: int, now: float) -> Segment | None:
        """Note a frame that was delivered; the segment that it fills, where it does."""
        if not self._open:
            self._since = now
        self._open.append((frame, sha256))
        self.frames, self.bytes_sent = self.frames + 1, self.bytes_sent + size
        self._open_bytes += size
        is_full = len(self._open) >= self.most_frames or now - self._since >= self.most_seconds
        return self.close() if is_full else None

    def close(self) -> Segment | None:
        """End the open segment; None where nothing was delivered since the last one."""
        if not self._open:
            return None
        made = Segment(
            number=self.segments,
            frames=tuple(self._open),
            bytes_sent=self._open_bytes,
            previous=self.head,
            hash=segment_hash(self.head, self._open),
        )
        self.head, self.segments = made.hash, self.segments + 1
        self._open.clear()
        self._open_bytes = 0
        return made


def segment_hash(previous: str, frames: Iterable[tuple[int, str]]) -> str:
    """sha256 hex over the segment before and every frame with its number."""
    return digest_text("live-segment", "\n".join([previous, *(f"{frame} {sha}" for frame, sha in frames)]))


def broken_at(segments: Sequence[Segment]) -> int | None:
    """The number of the first segment that does not follow from those before it; None where all do."""
    previous = GENESIS
    for number, segment in enumerate(segments):
        follows = segment.number == number and segment.previous == previous
        if not follows or segment.hash != segment_hash(previous, segment.frames):
            return number
        previous = segment.hash
    return None
