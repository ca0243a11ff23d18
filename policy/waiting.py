"""How many may wait for a picture, and how long; one too many is turned away at once, with a hint."""

import math
from collections import deque
from dataclasses import dataclass, field

from policy.wording import duration

REMEMBERED = 32  # departures that the pace is taken from: a few batches


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnedAway:
    """A visitor who found no place, or would wait for too long."""

    seconds: int  # until it is worth another try, at least 1
    detail: str


@dataclass(kw_only=True, slots=True)
class WaitingRoom:
    """Places for requests that wait or render; moments are of a steady clock. Not for several threads."""

    places: int
    taken: int = 0
    _since: float = 0.0  # the last departure, or the first arrival in an empty room
    _gaps: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def wait(self) -> float:
        """Seconds until all who are inside have left, at the pace of the last ones; 0 in an empty room."""
        return self.taken * self._pace

    @property
    def _pace(self) -> float:
        """Seconds between two departures while somebody was inside."""
        return sum(self._gaps) / len(self._gaps) if self._gaps else 0.0

    def enter(self, now: float, patience: float | None = None) -> TurnedAway | None:
        """None where a place was taken; else why not, for somebody who has so many seconds."""
        if self.taken >= self.places:
            return TurnedAway(
                seconds=max(1, math.ceil(self._pace)),
                detail=f"{self.places} requests wait already, and no more may.",
            )
        if patience is not None and 0 < self.wait >= patience:
            return TurnedAway(
                seconds=max(1, math.ceil(self.wait - patience)),
                detail=f"Those who came before take {duration(self.wait)}, "
                f"and there are {duration(patience)} for this one.",
            )
        if not self.taken:
            self._since = now
        self.taken += 1
        return None

    def leave(self, now: float, *, was_served: bool = True) -> None:
        """Give a place back; who leaves without a picture tells nothing about how long one takes."""
        self.taken -= 1
        if was_served:
            self._gaps.append(max(0.0, now - self._since))
            self._since = now
