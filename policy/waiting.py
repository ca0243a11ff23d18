"""How many may wait for a picture, and what one too many is told: refused at once, with a hint of seconds."""

import math
from dataclasses import dataclass

MEMORY = 0.2  # how much of the average stay the last visitor is


@dataclass(kw_only=True, slots=True)
class WaitingRoom:
    """Places for requests that wait or render; not for several threads."""

    places: int
    taken: int = 0
    stay: float = 1.0  # average seconds from coming to leaving

    def enter(self) -> int | None:
        """None where a place was taken; else the seconds until one may be free, by Little's law."""
        if self.taken < self.places:
            self.taken += 1
            return None
        return max(1, math.ceil(self.stay / self.taken))

    def leave(self, stayed: float) -> None:
        """Give a place back after so many seconds."""
        self.taken -= 1
        self.stay += MEMORY * (stayed - self.stay)
