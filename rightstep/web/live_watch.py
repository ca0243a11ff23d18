"""A socket that watches a live session: reads what its client says, and sends the newest frame there is.

A client that says which frames it has shown is never sent more ahead than it wished for, one by
default: what lies in the buffers between would be old when it arrives. One that says nothing is
sent whatever its socket takes.
"""

import asyncio
from contextlib import suppress

from fastapi.concurrency import run_in_threadpool
from fastapi.websockets import WebSocket, WebSocketDisconnect

from flows.steps import read_sketch
from policy.errors import WrongUse
from rightstep.web.live_runs import Ending, LiveRun
from rightstep.web.live_wire import MOST_SKETCH, Change, End, Pause, Shown, parse_later, say

MOST_MISTAKES = 20  # messages that cannot be read, until the session is ended
LOST = {1005, 1006}  # how a socket ends that nobody closed: its client may come back
SHUT_DOWN = 1012
CLOSE_CODES = {
    Ending.ASKED: 1000,
    Ending.LEFT: 1000,
    Ending.IDLE: 4408,
    Ending.TOO_LONG: 4408,
    Ending.KEY_ENDED: 4401,
    Ending.WITHDRAWN: 4422,
    Ending.RENDERER_LOST: 4503,
    Ending.GARBAGE: 4400,
    Ending.SHUT_DOWN: 4503,
    Ending.BROKEN: 4500,
}
TAKEN_OVER = 4409


class Watcher:
    """One socket of one session."""

    def __init__(self, socket: WebSocket, run: LiveRun) -> None:
        self._socket, self._run = socket, run
        self._shown: int | None = None  # None: this client does not say
        self._under_way: list[int] = []
        self._told = 0  # the change that was acknowledged last
        self._mistakes = 0
        self._left = asyncio.Event()

    def take_over(self) -> None:
        """Another socket watches now."""
        self._left.set()

    async def watch(self) -> None:
        """Until the session is over, the socket is gone, or another one takes over."""
        works = (self._read(), self._send(), self._run.over(), self._left.wait())
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks[:2]:
                if task.done():
                    self._gone(task.exception())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._left.is_set():
            await self._close(TAKEN_OVER, "taken_over")
        elif (ending := self._run.ending) is not None:
            await self._run.ended()
            await self._close(CLOSE_CODES[ending], ending.value)

    def _gone(self, fault: BaseException | None) -> None:
        """The socket was closed or lost, or reading it broke: only one that was lost is waited for."""
        if not isinstance(fault, WebSocketDisconnect):
            if fault is not None:
                self._run.end(Ending.BROKEN)
            return
        if fault.code == SHUT_DOWN:
            self._run.end(Ending.SHUT_DOWN)
        elif fault.code not in LOST:
            self._run.end(Ending.LEFT)

    async def _close(self, code: int, because: str) -> None:
        session = self._run.session.session_id
        frames = self._run.chain.frames
        with suppress(WebSocketDisconnect, RuntimeError):  # it may be gone by now
            await self._socket.send_text(say("ended", session=session, because=because, frames=frames))
            await self._socket.close(code, because)

    async def _read(self) -> None:
        """Everything that the client says; returns when it ends the session."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            self._run.heard()
            try:
                text, body = message.get("text"), message.get("bytes")
                if text is not None:
                    self._hear(parse_later(text))
                elif body is not None:
                    await self._see(body)
            except WrongUse as error:
                await self._scold(error)

    def _hear(self, said: Change | Pause | Shown | End) -> None:
        match said:
            case Change():
                self._run.apply(said)
            case Pause():
                self._run.pause(paused=said.paused)
            case Shown():
                self._shown = said.frame
                self._under_way = [number for number in self._under_way if number > said.frame]
                self._run.fresh.set()
            case End():
                self._run.end(Ending.ASKED)

    async def _see(self, body: bytes) -> None:
        if len(body) > MOST_SKETCH:
            raise WrongUse(f"The sketch has {len(body):,} bytes.", f"Send at most {MOST_SKETCH:,}.")
        canvas = self._run.planned.canvas
        self._run.sketch(await run_in_threadpool(read_sketch, body, (canvas.width, canvas.height)))

    async def _scold(self, error: WrongUse) -> None:
        self._mistakes += 1
        if self._mistakes >= MOST_MISTAKES:
            self._run.end(Ending.GARBAGE)
        await self._socket.send_text(say("error", detail=error.message, next_step=error.next_step))

    async def _send(self) -> None:
        run = self._run
        while True:
            await run.fresh.wait()
            run.fresh.clear()
            is_far_ahead = self._shown is not None and len(self._under_way) >= run.wish.ahead
            frame = None if is_far_ahead else run.take()
            if frame is None:
                continue
            if frame.change > self._told:
                self._told = frame.change
                await self._socket.send_text(say("applied", change=frame.change, frame=frame.number))
            async with run.sending:
                if run.ending is not None:
                    return
                await self._socket.send_bytes(frame.to_bytes())
                run.delivered(frame)
            self._under_way = [*self._under_way[-run.wish.ahead :], frame.number]
