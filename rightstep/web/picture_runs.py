"""Requests for pictures under way: admitted, ordered, rendered through a port, delivered.

The ledger is written here, in threads, through the steps. A run belongs to all who wait for it: a
request that is sent again by its idempotency key joins the one under way, and the last one who
leaves ends it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from flows.bootstrap import House
from flows.steps import (
    DeliveredPictures,
    LeasedPictures,
    OrderedPictures,
    SettledPictures,
    abandon_pictures,
    deliver_pictures,
    lost_batch,
    order_pictures,
    settle_pictures,
)
from policy.errors import RightstepError, ServiceFault
from policy.manifest import RenderManifest
from policy.plan import PlanRefusal
from policy.previews import StepReport, preview_steps
from policy.tasks import BatchResult, RenderTask, ServedBatch
from policy.waiting import WaitingRoom
from policy.wording import duration
from registry.requests import RequestKey
from rightstep.web.courses import note_batch
from rightstep.web.kinds import BUSY, TOO_LATE
from rightstep.web.plans import trouble_of_refusal
from rightstep.web.problems import Failed, Trouble


class PicturePort(Protocol):
    """Who renders."""

    async def render(self, task: RenderTask, cap: int) -> ServedBatch:
        """Render a batch, perhaps with others up to ``cap`` pictures; cancelled, it stops at the next step.

        ServiceFault where the renderer was lost with it: the batch may be sent again.
        """
        ...

    def follow(
        self, task: RenderTask, cap: int, shown_after: frozenset[int]
    ) -> AsyncGenerator[StepReport | ServedBatch]:
        """The same, telling every step on the way, and showing the pictures after some; at last the batch."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotReport:
    """A step of one picture that is done."""

    shot: int  # of the order, from 0
    done: int
    steps: int
    preview: bytes | None  # a PNG, where one was due


@dataclass(frozen=True, kw_only=True)
class MadePictures:
    """What a request came to."""

    ordered: OrderedPictures
    served: tuple[ServedBatch, ...]
    delivered: DeliveredPictures


T = TypeVar("T")
Tell = Callable[[ShotReport], None]
Accept = Callable[[OrderedPictures], None]


@dataclass(frozen=True, kw_only=True)
class PictureOrder:
    """A request, with all that it takes to see it through."""

    house: House
    port: PicturePort
    hands: ThreadPoolExecutor
    room: WaitingRoom
    manifest: Callable[
        [float], RenderManifest
    ]  # the order of somebody who is let in so many seconds from now
    request: RequestKey | None
    must_keep: bool  # the pictures, since they are fetched later
    came: float  # when the request came in, of the steady clock
    patience: float | None  # seconds from then until the pictures are of no use any more
    previews: int | None  # how often to show each picture on its way; None: nobody follows
    require_access: Callable[[], object]  # Failed where whoever asked may no longer

    async def see_through(self, accept: Accept, tell: Tell) -> MadePictures:
        """Failed or an error of ours where it comes to nothing; its job is cancelled then."""
        wait, was_served = self.room.wait, False
        turned = self.room.enter(time.monotonic(), self._left)
        if turned is not None:
            headers = {"Retry-After": str(turned.seconds)}
            hint = f"Try again in {turned.seconds} seconds."
            raise Failed(Trouble(kind=BUSY, detail=turned.detail, next_step=hint, headers=headers))
        try:
            ordered = await self._ordered(wait)
            try:
                accept(ordered)
                async with asyncio.timeout(self._left):
                    made = await self._made(ordered, tell)
                was_served = True
                return made
            except BaseException as error:  # left, late, shut down or broken: nobody goes on with this job
                await self._abandon(ordered)
                if isinstance(error, TimeoutError):
                    raise Failed(_too_late(self.patience or 0.0)) from error
                raise
        finally:
            self.room.leave(time.monotonic(), was_served=was_served)

    @property
    def _left(self) -> float | None:
        """Seconds that are left of what the request allows."""
        return None if self.patience is None else self.came + self.patience - time.monotonic()

    async def _in_hand(self, step: Callable[..., T], *values: Any) -> T:
        """A step in one of a few threads: the ledger has one writer, and more would push each other aside.

        Whoever is cancelled meanwhile waits for it to end: nothing goes on behind anybody's back.
        """
        context = copy_context()
        work = asyncio.get_running_loop().run_in_executor(self.hands, lambda: context.run(step, *values))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})
            raise

    async def _ordered(self, wait: float) -> OrderedPictures:
        """Planned and in the ledger; whoever leaves meanwhile leaves no job behind."""
        ordering = asyncio.ensure_future(self._in_hand(self._order, wait))
        try:
            ordered = await asyncio.shield(ordering)
        except asyncio.CancelledError:
            left = await ordering
            if not isinstance(left, PlanRefusal):
                await self._abandon(left)
            raise
        if isinstance(ordered, PlanRefusal):
            raise Failed(trouble_of_refusal(ordered))
        return ordered

    def _order(self, wait: float) -> OrderedPictures | PlanRefusal:
        manifest = self.manifest(wait)
        return order_pictures(self.house, manifest, request=self.request, must_keep=self.must_keep)

    async def _abandon(self, ordered: OrderedPictures) -> None:
        with suppress(RightstepError):
            await self._in_hand(abandon_pictures, self.house, ordered)

    async def _made(self, ordered: OrderedPictures, tell: Tell) -> MadePictures:
        """Render what is open of the order until nothing is, and deliver it; lost batches are sent again."""
        served: list[ServedBatch] = []
        leased, delivered = ordered.leased, None
        while leased is not None:
            batches = await self._batches(ordered, leased, tell)
            results = [one.result for one in batches]
            settled = await self._in_hand(self._settled, ordered, leased, results)
            leased, delivered = settled.leased, settled.delivered
            served += batches
        if delivered is None:
            delivered = await self._in_hand(self._delivered, ordered)
        return MadePictures(ordered=ordered, served=tuple(served), delivered=delivered)

    def _settled(
        self, ordered: OrderedPictures, leased: LeasedPictures, results: list[BatchResult]
    ) -> SettledPictures:
        self.require_access()
        return settle_pictures(self.house, ordered, leased, results)

    def _delivered(self, ordered: OrderedPictures) -> DeliveredPictures:
        self.require_access()
        return deliver_pictures(self.house, ordered)

    async def _batches(
        self, ordered: OrderedPictures, leased: LeasedPictures, tell: Tell
    ) -> list[ServedBatch]:
        ordinals = {shot.name: number for number, shot in enumerate(ordered.manifest.shots)}
        async with asyncio.TaskGroup() as group:
            sent = [
                group.create_task(self._batch(task, cap, [ordinals[shot.name] for shot in batch.shots], tell))
                for batch, task, cap in zip(leased.chunk.batches, leased.tasks, leased.caps, strict=True)
            ]
        return [one.result() for one in sent]

    async def _batch(self, task: RenderTask, cap: int, shots: list[int], tell: Tell) -> ServedBatch:
        try:
            if self.previews is None:
                return await note_batch(task, self.port.render(task, cap))
            shown_after = preview_steps(task.steps, self.previews)
            reports = self.port.follow(task, cap, shown_after)
            return await note_batch(task, _followed(reports, shots, tell))
        except ServiceFault as fault:
            lost = lost_batch(task, fault.message)
            return ServedBatch(result=lost, queue_seconds=0.0, pictures=len(task.shots))


async def _followed(
    reports: AsyncGenerator[StepReport | ServedBatch], shots: Sequence[int], tell: Tell
) -> ServedBatch:
    """The batch that a port tells at last; its steps are told on, for each of its shots."""
    async with aclosing(reports):
        async for report in reports:
            if isinstance(report, ServedBatch):
                return report
            for place, shot in enumerate(shots):
                preview = report.previews[place] if report.previews else None
                tell(ShotReport(shot=shot, done=report.done, steps=report.steps, preview=preview))
    raise ServiceFault("The renderer ended without an answer.", "Try again.")


class PictureRun:
    """An order under way, with seats for all who wait for it: the last one who leaves ends it."""

    def __init__(self, order: PictureOrder) -> None:
        self._accepted: asyncio.Future[OrderedPictures] = asyncio.get_running_loop().create_future()
        self._followers: list[asyncio.Queue[ShotReport | None]] = []
        self._seats = 0
        self._task = asyncio.ensure_future(order.see_through(self._accepted.set_result, self._tell))
        self._task.add_done_callback(self._over)
        self.is_ending = False  # the last one has left: nobody may join any more

    @property
    def is_over(self) -> bool:
        return self._task.done()

    def when_over(self, call: Callable[[], object]) -> None:
        """Called once it is over, before anybody who waits goes on."""
        self._task.add_done_callback(lambda _: call())

    async def ended(self) -> None:
        """Wait until nothing of it is under way, whatever it came to."""
        await asyncio.wait({self._task})

    async def accepted(self) -> OrderedPictures:
        """The order, once it is in the ledger; else what stopped it."""
        either: set[asyncio.Future[Any]] = {self._accepted, self._task}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return self._accepted.result() if self._accepted.done() else (await self.made()).ordered

    async def made(self) -> MadePictures:
        """What it comes to."""
        return await asyncio.shield(self._task)

    async def reports(self) -> AsyncGenerator[ShotReport]:
        """Every step from now on, until it is over."""
        told: asyncio.Queue[ShotReport | None] = asyncio.Queue()  # bounded by the steps of the order
        if self.is_over:
            return
        self._followers.append(told)
        try:
            while (report := await told.get()) is not None:
                yield report
        finally:
            self._followers.remove(told)

    def _tell(self, report: ShotReport | None) -> None:
        for follower in self._followers:
            follower.put_nowait(report)

    def _over(self, task: asyncio.Task[MadePictures]) -> None:
        if not task.cancelled():
            task.exception()  # is told to whoever waits; where nobody does, nobody has to hear of it
        self._tell(None)

    def sit(self) -> Callable[[], None]:
        """Take a seat; the answer is how to leave it, which is done once."""
        self._seats += 1
        return self._leave

    def _leave(self) -> None:
        self._seats -= 1
        if not self._seats and not self.is_over:
            self.is_ending = True
            self._task.cancel()


def _too_late(patience: float) -> Trouble:
    return Trouble(
        kind=TOO_LATE,
        detail=f"The pictures were not made within {duration(patience)}, and were given up.",
        next_step="Ask for fewer pictures or steps, or allow more seconds.",
    )
