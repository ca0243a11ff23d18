"""Frames at a steady pace: when the next one is due, and what is kept of those that nobody took.

Raw frames are worth something only while they are new. So a stall is forgotten and never made
up for by a burst, and what waits to be sent is one frame: the newest.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


def is_chunk_due(*, waiting: int, fps: float, lead: float, chunk: int) -> bool:
    """Whether the next chunk of a stream is to be begun, with so many frames of the last one ``waiting``.

    As late as may be, so that a change of words is seen as soon as it can be: when what waits
    lasts for a frame longer than the ``lead`` seconds that a chunk's first frame may take. Never
    more than a chunk's frames wait when one is begun, so who takes none bounds what is made.
    """
    return waiting <= min(lead * fps + 1, chunk)


@dataclass(kw_only=True, slots=True)
class Pace:
    """Begins of frames at a rate; moments are seconds of a steady clock. Not for several threads.

    A frame that begins late by less than a period is followed by one that begins when it was due
    anyway, so that small delays do not add up. Later than that, the rhythm starts anew from there.
    """

    fps: float
    begun: int = 0
    stalls: int = 0  # times that the rhythm started anew
    _due: float | None = None

    @property
    def period(self) -> float:
        """Seconds between two frames."""
        return 1.0 / self.fps

    def wait(self, now: float) -> float:
        """Seconds until the next frame is due; 0 where it is, and for the first."""
        return 0.0 if self._due is None else max(0.0, self._due - now)

    def begin(self, now: float) -> None:
        """A frame is begun now, as it is due or later."""
        due = now if self._due is None else self._due
        if now - due > self.period:
            due, self.stalls = now, self.stalls + 1
        self._due = due + self.period
        self.begun += 1

    def rest(self) -> None:
        """Nobody wants frames for a while: the next one is due at once, and nothing was late."""
        self._due = None


@dataclass(kw_only=True, slots=True)
class LatestSlot(Generic[T]):
    """Room for one thing: a newer one takes the place of one that was not taken, which is counted."""

    dropped: int = 0
    _held: list[T] = field(default_factory=list[T])

    @property
    def is_full(self) -> bool:
        """Whether something waits to be taken."""
        return bool(self._held)

    def put(self, thing: T) -> None:
        """Hold this one, and forget the one before it."""
        if self._held:
            self.dropped += 1
        self._held[:] = [thing]

    def take(self) -> T | None:
        """The newest that was not taken; None where there is none."""
        return self._held.pop() if self._held else None
