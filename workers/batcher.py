"""What waits with the same key goes together: batches made while they wait, never waited for.

An idle bench takes what comes at once. While it renders, requests queue; then the oldest goes
next, with everything behind it that may share its forward passes, up to its cap. Who wants to
follow a batch is told of its steps, in order, and of the answer after the last of them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from policy.previews import StepReport
from policy.tasks import BatchResult, RenderTask, ServedBatch
from workers.finishing import marked_previews
from workers.picture_bench import BatchWatch
from workers.renderer import Pictures, Step

Render = Callable[
    [Sequence[RenderTask], BatchWatch], Sequence[Future[BatchResult]]
]  # in the order of the tasks


@dataclass(frozen=True, kw_only=True, slots=True)
class Follower:
    """Somebody who wants to be told of every step, and shown the pictures after some of them."""

    tell: Callable[[StepReport], object]  # called by a thread of the batcher
    shown_after: frozenset[int] = frozenset()


@dataclass(kw_only=True, eq=False)
class Ticket:
    """One caller's place in the queue."""

    task: RenderTask
    cap: int  # pictures that may share the forward passes, these included
    since: float
    follower: Follower | None = None
    answer: Future[ServedBatch] = field(default_factory=Future)
    is_left: bool = False

    @property
    def pictures(self) -> int:
        return len(self.task.shots)


def batch_key(task: RenderTask) -> RenderTask:
    """The task without what differs between callers: equal keys may share forward passes."""
    return replace(task, task_id="", shots=(), provenance=(), reuse=())


def next_batch(waiting: Iterable[Ticket]) -> tuple[Ticket, ...]:
    """The oldest ticket, and in order those behind it that may go with it; nobody's cap is overstepped."""
    chosen: list[Ticket] = []
    pictures, cap, key = 0, 0, None
    for ticket in waiting:
        if key is None:
            key, cap = batch_key(ticket.task), ticket.cap
        elif batch_key(ticket.task) != key or pictures + ticket.pictures > min(cap, ticket.cap):
            continue
        chosen.append(ticket)
        pictures += ticket.pictures
        cap = min(cap, ticket.cap)
    return tuple(chosen)


class Batcher:
    """A queue in front of one bench, with the thread that renders."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._waiting: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._telling = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tell")  # one: in order
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, task: RenderTask, cap: int, follower: Follower | None = None) -> Ticket:
        """Queue a task; its ticket has the answer to wait for."""
        ticket = Ticket(task=task, cap=cap, since=time.monotonic(), follower=follower)
        with self._changed:
            self._waiting.append(ticket)
            self._changed.notify_all()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Its caller is gone: what waits is forgotten, a batch that nobody else waits for stops."""
        with self._changed:
            ticket.is_left = True
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                ticket.answer.cancel()

    def close(self) -> None:
        """End the thread after the batch that it renders; nothing else is answered."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()
        self._telling.shutdown()

    def _work(self) -> None:
        while batch := self._take():
            began = time.monotonic()
            tasks = [ticket.task for ticket in batch]
            pictures = sum(ticket.pictures for ticket in batch)
            try:
                results = self._render(tasks, _Watch(batch, self._telling))
            except Exception as fault:  # noqa: BLE001 - a bench that breaks its word must not end the queue
                broken: Future[BatchResult] = Future()
                broken.set_exception(fault)
                results = [broken] * len(batch)
            for ticket, result in zip(batch, results, strict=True):
                result.add_done_callback(partial(self._answer, ticket, began - ticket.since, pictures))

    def _take(self) -> tuple[Ticket, ...]:
        """Wait for the next batch; empty when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if self._is_closed:
                return ()
            batch = next_batch(self._waiting)
            for ticket in batch:
                self._waiting.remove(ticket)
            return batch

    def _answer(self, ticket: Ticket, waited: float, pictures: int, done: Future[BatchResult]) -> None:
        if ticket.follower is None:
            _answer(ticket, waited, pictures, done)
        else:
            self._telling.submit(_answer, ticket, waited, pictures, done)


class _Watch:
    """Those who wait for a batch, to its bench."""

    def __init__(self, batch: Sequence[Ticket], telling: ThreadPoolExecutor) -> None:
        self._batch = batch
        self._telling = telling

    def is_left(self) -> bool:
        return all(ticket.is_left for ticket in self._batch)

    def at_step(self, step: Step, *, is_synthetic: bool) -> None:
        """Decoding is the renderer's, between two steps; the rest is done beside the next one."""
        is_due = any(step.done in one.follower.shown_after for one in self._batch if one.follower)
        pictures = step.preview() if is_due else None
        start = 0
        for ticket in self._batch:
            end = start + ticket.pictures
            if ticket.follower is not None and not ticket.is_left:
                is_shown = pictures is not None and step.done in ticket.follower.shown_after
                own = pictures[start:end] if is_shown and pictures is not None else None
                self._telling.submit(_tell, ticket, step.done, own, is_synthetic=is_synthetic)
            start = end


def _tell(ticket: Ticket, done: int, pictures: Pictures | None, *, is_synthetic: bool) -> None:
    if ticket.follower is None:
        return
    task = ticket.task
    shown = () if pictures is None else marked_previews(task, pictures, done, is_synthetic=is_synthetic)
    ticket.follower.tell(StepReport(done=done, steps=task.steps, previews=shown))


def _answer(ticket: Ticket, waited: float, pictures: int, done: Future[BatchResult]) -> None:
    """Hand a result on; a caller who is gone has cancelled the answer, and nobody is told."""
    if not ticket.answer.set_running_or_notify_cancel():
        return
    fault = done.exception()
    if fault is not None:
        ticket.answer.set_exception(fault)
    else:
        served = ServedBatch(result=done.result(), queue_seconds=waited, pictures=pictures)
        ticket.answer.set_result(served)
