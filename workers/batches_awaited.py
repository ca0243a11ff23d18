"""Coroutines around the queue of a bench, as Ray Serve asks for them: whoever is cancelled has left."""

import asyncio
from collections.abc import AsyncGenerator

from policy.previews import StepReport
from policy.tasks import RenderTask, ServedBatch
from workers.batcher import Batcher, Follower


async def render(batcher: Batcher, task: RenderTask, cap: int) -> ServedBatch:
    """Render a batch, perhaps together with others; cancelled, it leaves the queue or its batch."""
    ticket = batcher.submit(task, cap)
    try:
        return await asyncio.wrap_future(ticket.answer)
    finally:
        batcher.leave(ticket)


async def follow(
    batcher: Batcher, task: RenderTask, cap: int, shown_after: frozenset[int]
) -> AsyncGenerator[StepReport | ServedBatch]:
    """The same, telling every step on the way; the last that comes is the batch."""
    loop, told = asyncio.get_running_loop(), asyncio.Queue[StepReport | None]()

    def tell(report: StepReport) -> None:
        loop.call_soon_threadsafe(told.put_nowait, report)

    ticket = batcher.submit(task, cap, Follower(tell=tell, shown_after=shown_after))
    try:
        answer = asyncio.wrap_future(ticket.answer)
        answer.add_done_callback(lambda _: told.put_nowait(None))
        while (report := await told.get()) is not None:
            yield report
        yield await answer
    finally:
        batcher.leave(ticket)
