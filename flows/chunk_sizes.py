"""How many batches a chunk takes: so many that its own cost vanishes, so few that workers end together."""

import threading
from collections.abc import Sequence

from policy.plan import Decision
from policy.tasks import BatchResult
from registry.records import LeasedChunk

CHUNK_SECONDS = 1.5  # work of a chunk: below a second, Prefect's own cost of a task run shows
SHORTEST_SECONDS = 0.2  # of a chunk near the end of a job, where its cost is less than an idle worker's
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
        self._last = {min(self._seconds, key=self._seconds.__getitem__)}  # decisions of the last chunk
        self._lock = threading.Lock()

    def learn(self, decisions: Sequence[Decision]) -> None:
        """Take over decisions that were appended since."""
        with self._lock:
            for number, decision in enumerate(decisions[len(self._pictures) :], len(self._pictures)):
                self._seconds[number] = decision.seconds_p50 * decision.batch_size
                self._pictures.append(decision.batch_size)

    @property
    def most(self) -> int:
        """Batches of a whole chunk, while plenty are queued."""
        return self._within(CHUNK_SECONDS)

    @property
    def horizon(self) -> int:
        """With so many batches queued, everybody takes whole chunks."""
        return self.most * self._crew

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
        for batch, result in zip(chunk.batches, results, strict=True):
            if all(take.fault is None for take in result.takes):
                found.setdefault(batch.decision, []).append(result.total_seconds - result.load_seconds)
        with self._lock:
            for decision, seconds in found.items():
                self._seconds[decision] = sum(seconds) / len(seconds)

    def _within(self, seconds: float) -> int:
        with self._lock:
            slowest = max(self._seconds[decision] for decision in self._last)
            largest = max(self._pictures[decision] for decision in self._last)
        return max(1, min(LARGEST_CHUNK // largest, round(seconds / max(slowest, 1e-4))))
