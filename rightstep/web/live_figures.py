"""What live sessions come to, for ``/metrics``: sessions, frames, and how long the first one took."""

from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import Collector

FIRST_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class LiveFigures:
    """The figures of the live sessions of one process; labels are names of ours alone."""

    def __init__(self) -> None:
        self.open = Gauge("rightstep_live_sessions_open", "Live sessions under way.", registry=None)
        self.places = Gauge(
            "rightstep_live_places", "Live sessions that there may be at once.", registry=None
        )
        self._ended = Counter(
            "rightstep_live_sessions_ended", "Live sessions by why they ended.", ("because",), registry=None
        )
        self._frames = Counter(
            "rightstep_live_frames", "Frames that were sent, by method.", ("method",), registry=None
        )
        self._dropped = Counter(
            "rightstep_live_frames_dropped",
            "Frames that a newer one took the place of before they were sent, by method.",
            ("method",),
            registry=None,
        )
        self._stalls = Counter(
            "rightstep_live_stalls",
            "Times that a frame was begun more than a period late, by method.",
            ("method",),
            registry=None,
        )
        self._first = Histogram(
            "rightstep_live_first_frame_seconds",
            "From the wish for a session to its first frame, by method.",
            ("method",),
            buckets=FIRST_SECONDS,
            registry=None,
        )

    @property
    def collectors(self) -> Sequence[Collector]:
        """All of it."""
        return self.open, self.places, self._ended, self._frames, self._dropped, self._stalls, self._first

    def first(self, method: str, seconds: float) -> None:
        """The first frame of a session was sent."""
        self._first.labels(method).observe(seconds)

    def sent(self, method: str) -> None:
        """A frame was sent."""
        self._frames.labels(method).inc()

    def ended(self, method: str, because: str, *, dropped: int, stalls: int) -> None:
        """A session is over."""
        self.open.dec()
        self._ended.labels(because).inc()
        self._dropped.labels(method).inc(dropped)
        self._stalls.labels(method).inc(stalls)
