"""Live sessions under way: frames made at a pace into one slot, whoever watches them, and the record of both.

A session outlives its socket for a while, so it is its own task. Whoever makes the frames is asked
for one at a time, when it is due, and told with that what changed; so nothing waits that would be
old when it is sent, and of many changes between two frames the last one counts.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count
from typing import Any, Protocol

import structlog
from fastapi.concurrency import run_in_threadpool

from flows.bootstrap import House
from flows.steps import PlannedLive, begin_live, end_live, may_go_on, note_segments
from policy.canvas import CanvasControls, CanvasFrame, CanvasLoad, CanvasOpened, refuse_controls
from policy.errors import RightstepError, ServiceFault, WrongUse
from policy.pacing import LatestSlot, Pace
from policy.segments import Segment, SegmentChain
from registry.live_records import LiveSession
from rightstep.web.live_figures import LiveFigures
from rightstep.web.live_wire import Change, LiveFrame
from rightstep.web.problems import Failed

LOOK_SECONDS = 0.5  # between two looks at whether a session may go on; a revoked key ends it within a second
log = structlog.get_logger("rightstep.web")


class Ending(StrEnum):
    """Why a session is over."""

    ASKED = "asked"  # by its client
    LEFT = "left"  # the client is gone
    IDLE = "idle"  # no word from the client for too long
    TOO_LONG = "too_long"
    KEY_ENDED = "key_ended"
    WITHDRAWN = "withdrawn"  # a part of what it runs on was
    RENDERER_LOST = "renderer_lost"
    GARBAGE = "garbage"  # too many messages that could not be read
    SHUT_DOWN = "shut_down"
    BROKEN = "broken"  # a defect of ours


class LivePlace(Protocol):
    """Whoever makes the frames of one session."""

    async def open(self, load: CanvasLoad) -> CanvasOpened:
        """Begin a session; ServiceFault where the renderer is lost."""
        ...

    async def frame(self, controls: CanvasControls | None) -> CanvasFrame:
        """The next frame; without controls by those of the frame before."""
        ...

    async def release(self) -> None:
        """Let the next session have the place."""
        ...


class LivePort(Protocol):
    """Places for live sessions."""

    @property
    def most(self) -> int:
        """How many sessions there may be at once."""
        ...

    def reserve(self) -> LivePlace | None:
        """A place for one session, held until it is released; None where all are taken."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveWish:
    """How a session is to run, beside what it shows."""

    controls: CanvasControls
    fps: float
    only_changes: bool
    ahead: int  # frames that may be under way to a client that says what it has shown
    asked: float  # when, by a steady clock


@dataclass(kw_only=True)
class LiveRun:
    """One session from its first frame to the end of its record."""

    house: House
    place: LivePlace
    planned: PlannedLive
    wish: LiveWish
    require_access: Callable[[], object]
    session: LiveSession
    figures: LiveFigures
    ahead: asyncio.Future[CanvasFrame] | None = None  # the first frame, asked for already
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    ending: Ending | None = None
    slot: LatestSlot[LiveFrame] = field(default_factory=LatestSlot[LiveFrame])
    chain: SegmentChain = field(default_factory=SegmentChain)
    change: int = 0  # changes that came, sketches included
    prompt: int = 0
    made: int = 0

    def __post_init__(self) -> None:
        self.controls, self._pace = self.wish.controls, Pace(fps=self.wish.fps)
        self._began = self._heard = time.monotonic()
        self.figures.open.inc()
        self._first: float | None = None
        self._gone: float | None = None  # since when nobody watches
        self._tellings = count(1)
        self._told: deque[tuple[int, int, int]] = deque()  # (how many were told by then, change, prompt)
        self._tell(0, 0)
        self._full: list[Segment] = []  # that are not on record yet
        self._writing: asyncio.Future[None] | None = None
        self.is_paused = False
        self.fresh = asyncio.Event()  # there is something in the slot, or it is over
        self._turn = asyncio.Event()  # something changed that the maker waits for
        self._is_stream = self.planned.canvas.stream is not None
        self._over = asyncio.Event()
        self.sending = asyncio.Lock()  # held from before a frame is sent until it is noted
        self._task = asyncio.ensure_future(self._see_through())

    # what its client says

    def heard(self) -> None:
        """The client gave a sign of life."""
        self._heard = time.monotonic()

    def apply(self, said: Change) -> None:
        """Take a change; WrongUse where no frame can be made of it, and then all stays as it is."""
        given = {
            name: value for name, value in said.model_dump(exclude={"type"}).items() if value is not None
        }
        self._take(replace(self.controls, **given))

    def sketch(self, pixels: bytes) -> None:
        """Take a sketch, as RGB bytes of the canvas' size; WrongUse where frames come of words alone."""
        self._take(replace(self.controls, sketch=pixels))

    def _take(self, controls: CanvasControls) -> None:
        if refusal := refuse_controls(controls, self.planned.canvas):
            raise WrongUse(refusal, "Everything else stays as it was.")
        if controls.prompt != self.controls.prompt:
            self.prompt += 1
        self.controls = controls
        self.change += 1
        self._turn.set()

    def pause(self, *, paused: bool) -> None:
        """Make no frames, or make them again."""
        self.is_paused = paused
        self._turn.set()

    def watched(self, *, is_watched: bool) -> None:
        """Somebody watches, or nobody does any more."""
        self._gone = None if is_watched else time.monotonic()
        self._turn.set()

    def opens_to(self, token: str) -> bool:
        """Whether this is the token that the session was begun with."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    # the end

    def end(self, ending: Ending) -> None:
        """Bring it to an end; the first reason counts."""
        if self.ending is None:
            self.ending = ending
            self._over.set()
            self.fresh.set()

    def when_ended(self, call: Callable[[], object]) -> None:
        """Called once its record is closed and its place is free."""
        self._task.add_done_callback(lambda _: call())

    async def ended(self) -> None:
        """Wait until its record is closed and its place is free."""
        await asyncio.wait({self._task})

    async def over(self) -> None:
        """Wait until it is known to end."""
        await self._over.wait()

    # frames

    def take(self) -> LiveFrame | None:
        """The newest frame that was not sent yet; None where there is none."""
        frame = self.slot.take()
        if self._is_stream and frame is not None:
            self._turn.set()
        return frame

    def delivered(self, frame: LiveFrame) -> None:
        """A frame was sent: it goes on record."""
        method = self.session.method
        if not self.chain.frames:
            self.figures.first(method, time.monotonic() - self.wish.asked)
        self.figures.sent(method)
        sha256 = hashlib.sha256(frame.body).hexdigest()
        full = self.chain.add(frame.number, sha256, len(frame.body), time.monotonic())
        if full is not None:
            self._full.append(full)

    async def _see_through(self) -> None:
        works = (self._make, self._look, self.over)
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(work()) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.end(Ending.SHUT_DOWN)
            raise
        finally:
            for task in tasks:
                task.cancel()
            if self.ahead is not None:
                tasks.append(self.ahead)  # nobody will see it: what it came to is of no account
            found = await asyncio.gather(*tasks, return_exceptions=True)
            self._judge([one for one in found if isinstance(one, Exception)])
            await self.place.release()
            await self._close()

    def _judge(self, faults: list[Exception]) -> None:
        for fault in faults:
            if isinstance(fault, ServiceFault):
                self.end(Ending.RENDERER_LOST)
            else:
                log.error("live.crashed", session=self.session.session_id, exc_info=fault)
                self.end(Ending.BROKEN)

    async def _make(self) -> None:
        while True:
            await self._wanted()
            await asyncio.sleep(self._pace.wait(time.monotonic()))
            now = time.monotonic()
            self._pace.begin(now)
            if self._first is None:
                self._first = now
            frame = await self._next()
            change, prompt = self._made_by(frame.told)
            self.slot.put(
                LiveFrame(
                    number=self.made,
                    pts=round((now - self._first) * 1000),
                    prompt=prompt,
                    change=change,
                    media_type=self.planned.canvas.media_type,
                    body=frame.body,
                )
            )
            self.made += 1
            self.fresh.set()

    async def _next(self) -> CanvasFrame:
        """The next frame, of whoever makes them, who is told what changed."""
        if self.ahead is not None:
            frame, self.ahead = await self.ahead, None  # told with the begin of the session
            return frame
        if self.change == self._applied:
            return await self.place.frame(None)
        self._tell(self.change, self.prompt)
        return await self.place.frame(self.controls)

    def _tell(self, change: int, prompt: int) -> None:
        self._applied = change
        self._told.append((next(self._tellings), change, prompt))

    def _made_by(self, told: int) -> tuple[int, int]:
        """The change and the prompt of a frame that was made by the ``told``-th controls."""
        while len(self._told) > 1 and self._told[1][0] <= told:
            self._told.popleft()
        _, change, prompt = self._told[0]
        return change, prompt

    async def _wanted(self) -> None:
        """Return when somebody waits for a frame that is another one than the last.

        A stream waits for its watcher, so that no frame of it is left out.
        """
        while self._gone is not None or self.is_paused or self._is_as_before():
            self._turn.clear()
            self._pace.rest()
            await self._turn.wait()
        while self._is_stream and self.slot.is_full:
            self._turn.clear()
            await self._turn.wait()

    def _is_as_before(self) -> bool:
        """Whether the next frame would be the last one again, and is not wanted so."""
        is_repeated = self.change == self._applied and self.ahead is None
        return is_repeated and self.wish.only_changes and not self._is_stream

    async def _look(self) -> None:
        """Look now and then whether it may go on, and write down what was delivered."""
        settings = self.house.settings
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            if self._gone is not None and now - self._gone > settings.live_grace_seconds:
                self.end(Ending.LEFT)
            elif now - self._began > settings.live_seconds:
                self.end(Ending.TOO_LONG)
            elif now - self._heard > settings.live_idle_seconds:
                self.end(Ending.IDLE)
            try:
                await run_in_threadpool(self.require_access)
            except Failed:
                self.end(Ending.KEY_ENDED)
            if not await run_in_threadpool(may_go_on, self.house, self.planned):
                self.end(Ending.WITHDRAWN)
            if self._full:
                self._writing = asyncio.ensure_future(self._write(tuple(self._full)))
                await asyncio.shield(self._writing)

    async def _write(self, segments: tuple[Segment, ...]) -> None:
        await run_in_threadpool(note_segments, self.house, self.session, segments)
        del self._full[: len(segments)]

    async def _close(self) -> None:
        """Close the record, whatever happened; what cannot be written now is ended at the next start."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        async with self.sending:
            rest = self.chain.close()
        segments = [*self._full, *([rest] if rest else [])]
        dropped = self.made - self.chain.frames
        because = (self.ending or Ending.BROKEN).value
        with suppress(RightstepError):
            await run_in_threadpool(end_live, self.house, self.session, because, segments, dropped=dropped)
        stalls = self._pace.stalls
        self.figures.ended(self.session.method, because, dropped=dropped, stalls=stalls)
        log.info(
            "live.ended",
            session=self.session.session_id,
            because=because,
            frames=self.chain.frames,
            dropped=dropped,
            stalls=stalls,
        )


async def begin_run(
    house: House,
    place: LivePlace,
    planned: PlannedLive,
    wish: LiveWish,
    require_access: Callable[[], object],
    figures: LiveFigures,
) -> LiveRun:
    """Open a place for a session and put it on record; the place is free again where that fails.

    Its first frame is drawn while the record is written, and is not sent before it is.
    """
    ahead: asyncio.Future[CanvasFrame] | None = None
    try:
        opened = await place.open(planned.canvas)
        ahead = asyncio.ensure_future(place.frame(wish.controls))
        session = await run_in_threadpool(begin_live, house, planned, opened)
    except BaseException:
        if ahead is not None:
            await asyncio.gather(ahead, return_exceptions=True)
        await place.release()
        raise
    return LiveRun(
        house=house,
        place=place,
        planned=planned,
        wish=wish,
        require_access=require_access,
        session=session,
        figures=figures,
        ahead=ahead,
    )
