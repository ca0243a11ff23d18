"""How many batches a chunk takes: so many that its own cost vanishes, so few that workers end together."""

import math
import threading
from collections.abc import Iterable, Sequence

from policy.plan import Decision, DeviceCost
from policy.tasks import BatchResult
from registry.records import LeasedChunk
from workers.routing import Forecast

CHUNK_SECONDS = 1.5  # work of a chunk: below a second, Prefect's own cost of a task run shows
SHORTEST_SECONDS = 0.2  # of a chunk near the end of a job, where its cost is less than an idle worker's
MOST_SLOWNESS = 64  # times that a device may be slower and still be counted on
LARGEST_CHUNK = 1000  # pictures: their transaction keeps other writers waiting for less than 0.1 s


class ChunkSizes:
    """What batches of a job take, as predicted and then as measured; several threads may ask at once."""

    def __init__(self, decisions: Sequence[Decision], crew: int) -> None:
        """``crew`` chunks are in flight at once."""
        self._crew = crew
        self._seconds = {  # of a batch, by decision
            number: decision.seconds_p50 * decision.batch_size for number, decision in enumerate(decisions)
        }
        self._pictures = [decision.batch_size for decision in decisions]  # in a batch, by decision
        self._decisions = list(decisions)
        self._measured: dict[tuple[int, str], float] = {}  # seconds of a batch, by decision and device
        self._last = {min(self._seconds, key=self._seconds.__getitem__)}  # decisions of the last chunk
        self._lock = threading.Lock()

    def learn(self, decisions: Sequence[Decision]) -> None:
        """Take over decisions that were appended since."""
        with self._lock:
            for number, decision in enumerate(decisions[len(self._pictures) :], len(self._pictures)):
                self._seconds[number] = decision.seconds_p50 * decision.batch_size
                self._pictures.append(decision.batch_size)
                self._decisions.append(decision)

    def grow(self, crew: int) -> None:
        """So many chunks are in flight from now on."""
        self._crew = crew

    @property
    def most(self) -> int:
        """Batches of a whole chunk, while plenty are queued."""
        return self._within(CHUNK_SECONDS)

    @property
    def horizon(self) -> int:
        """With so many batches queued, everybody takes whole chunks, the slowest device too."""
        with self._lock:
            costs = [self._decisions[decision].devices for decision in self._last]
        slowness = max((_slowness(devices) for devices in costs), default=1)
        return self.most * self._crew * slowness

    def fitting(self, queued: int) -> int:
        """How many batches the next chunk takes where so many are queued.

        Guided self-scheduling: near the end everybody takes a share of what is left, so that
        no worker is still busy with a long chunk while the others have nothing.
        """
        share = -(-queued // self._crew)
        return min(self.most, max(share, self._within(SHORTEST_SECONDS)))

    def note_leased(self, chunk: LeasedChunk) -> None:
        """Size the next chunk by the slowest batch of this one."""
        with self._lock:
            self._last = {batch.decision for batch in chunk.batches}

    def note_rendered(self, chunk: LeasedChunk, results: Sequence[BatchResult]) -> None:
        """Take over what batches really took, loading apart; what failed took no time worth knowing."""
        found: dict[int, list[float]] = {}
        devices: dict[tuple[int, str], list[float]] = {}
        for batch, result in zip(chunk.batches, results, strict=True):
            if all(take.fault is None for take in result.takes):
                took = result.total_seconds - result.load_seconds
                found.setdefault(batch.decision, []).append(took)
                devices.setdefault((batch.decision, result.device), []).append(took)
        with self._lock:
            for decision, seconds in found.items():
                self._seconds[decision] = sum(seconds) / len(seconds)
            for place, seconds in devices.items():
                self._measured[place] = sum(seconds) / len(seconds)

    def forecast(self, chunk: LeasedChunk, queued: int, devices: Iterable[str]) -> Forecast:
        """What a chunk takes on each device of the pool, measured where it was, where devices differ.

        Nothing where its plan was made for one device, or for none of these.
        """
        found: dict[str, float] = {}
        with self._lock:
            for device in devices:
                seconds = [self._batch_seconds(batch.decision, device) for batch in chunk.batches]
                if None not in seconds:
                    found[device] = sum(each for each in seconds if each is not None)
        return Forecast(seconds=tuple(found.items()), behind=queued // len(chunk.batches))

    def _batch_seconds(self, number: int, device: str) -> float | None:
        decision = self._decisions[number]
        cost = next((cost for cost in decision.devices if cost.device == device), None)
        if cost is None:
            return None
        return self._measured.get((number, device), cost.seconds_p50 * decision.batch_size)

    def _within(self, seconds: float) -> int:
        with self._lock:
            slowest = max(self._seconds[decision] for decision in self._last)
            largest = max(self._pictures[decision] for decision in self._last)
        return max(1, min(LARGEST_CHUNK // largest, round(seconds / max(slowest, 1e-4))))


def _slowness(devices: Sequence[DeviceCost]) -> int:
    """How many batches the quickest device does while the slowest does one."""
    if len(devices) < 2:
        return 1
    seconds = [cost.seconds_p50 for cost in devices]
    return min(MOST_SLOWNESS, math.ceil(max(seconds) / max(min(seconds), 1e-6)))
