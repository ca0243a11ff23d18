"""What a driver saw of its workers' failures, as the rules of barring take it."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import count

from policy.barring import Failure, Suspect, why_kept
from policy.tasks import BatchResult, FaultKind
from registry.records import LeasedChunk

BLAMED = {FaultKind.SHOT, FaultKind.WORKER}
REMEMBERED = 10_000  # batches that failed; the oldest is forgotten first
LAST = 64  # failures of one worker in a row: more would say no more


@dataclass(kw_only=True)
class _Tried:
    """Who failed a batch that failed at least once, and who made it after all."""

    failed: set[str] = field(default_factory=set[str])
    made: str = ""


class Suspicions:
    """Failures in a row by worker, and what others made meanwhile; several threads may tell at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._order = count()
        self._rows: dict[str, list[tuple[int, str]]] = {}  # batch and stack, since the worker made anything
        self._since: dict[str, int] = {}  # when that row began
        self._made: dict[str, dict[str, int]] = {}  # by stack and worker: when the last made one was begun
        self._tried: dict[int, _Tried] = {}
        self._begun: dict[str, int] = {}  # by lease

    def begin(self, lease: str) -> None:
        """A chunk is handed out: what is made of it was possible at this moment or later."""
        with self._lock:
            self._begun.setdefault(lease, next(self._order))

    def note(self, chunk: LeasedChunk, results: Sequence[BatchResult]) -> None:
        """Take over what became of a chunk; a full disk or a cancel says nothing of anybody."""
        with self._lock:
            begun = self._begun.pop(chunk.lease, 0)
            for batch, result in zip(chunk.batches, results, strict=True):
                faults = {take.fault for take in result.takes}
                if not result.worker or not faults:
                    continue
                if None in faults:
                    self._note_made(batch.number, result, begun)
                elif faults <= BLAMED:
                    self._note_failed(batch.number, result)

    def to_bar(self, at_work: Collection[str]) -> tuple[Suspect, ...]:
        """Whom the rules would bar, of the workers that take work now."""
        with self._lock:
            for gone in set(self._rows) - set(at_work):
                self._forgive(gone)
            found = [self._suspect(worker, len(at_work) - 1) for worker in self._rows]
        return tuple(one for one in found if not why_kept(one))

    @property
    def is_empty(self) -> bool:
        """Whether nobody's last batch failed."""
        return not self._rows

    def _note_made(self, batch: int, result: BatchResult, begun: int) -> None:
        self._forgive(result.worker)
        made = self._made.setdefault(result.stack_id, {})
        made[result.worker] = max(begun, made.get(result.worker, 0))
        if batch in self._tried:
            self._tried[batch].made = result.worker

    def _note_failed(self, batch: int, result: BatchResult) -> None:
        self._since.setdefault(result.worker, next(self._order))
        row = self._rows.setdefault(result.worker, [])
        row.append((batch, result.stack_id))
        del row[:-LAST]
        self._tried.setdefault(batch, _Tried()).failed.add(result.worker)
        while len(self._tried) > REMEMBERED:
            del self._tried[next(iter(self._tried))]

    def _forgive(self, worker: str) -> None:
        self._rows.pop(worker, None)
        self._since.pop(worker, None)

    def _suspect(self, worker: str, others: int) -> Suspect:
        since = self._since[worker]
        failures: list[Failure] = []
        for batch, stack_id in self._rows[worker]:
            tried = self._tried.get(batch, _Tried())
            made = self._made.get(stack_id, {})
            failures.append(
                Failure(
                    batch=batch,
                    stack_id=stack_id,
                    failed_elsewhere=bool(tried.failed - {worker}),
                    made_elsewhere=tried.made not in {"", worker},
                    stack_stands=any(when > since for other, when in made.items() if other != worker),
                )
            )
        made_before = frozenset(stack for stack, made in self._made.items() if worker in made)
        return Suspect(worker=worker, failures=tuple(failures), made=made_before, others=others)
