"""``WS /v1/live``, and the ticket that lets a browser open it."""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import APIRouter
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from fastapi.websockets import WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from flows.bootstrap import House
from flows.steps import LiveOrder, PlannedLive, plan_live
from policy.access import Scope
from policy.canvas import CanvasControls, refuse_controls
from policy.errors import WrongUse
from policy.plan import PlanRefusal
from rightstep.web.desk import Desk
from rightstep.web.documents import told
from rightstep.web.doors import Visitor
from rightstep.web.kinds import BUSY, FOREIGN_PAGE, KEY_UNKNOWN, SESSION_UNKNOWN, TOO_LATE
from rightstep.web.listening import refuse_page
from rightstep.web.live_figures import LiveFigures
from rightstep.web.live_page import make_page_router
from rightstep.web.live_runs import LivePort, LiveRun, LiveWish, begin_run
from rightstep.web.live_tickets import LIFETIME, Tickets
from rightstep.web.live_watch import Watcher
from rightstep.web.live_wire import Begin, Resume, parse_opening, say
from rightstep.web.plans import trouble_of_refusal
from rightstep.web.problems import PROBLEM_JSON, Failed, Trouble, noted, problem_of, trouble_of_any

OPENING_SECONDS = 10.0  # that a socket may take to say what it wants
READY_SECONDS = 120.0  # that a renderer may take to be ready for it
LARGEST_SIDE = 1280
CANVAS_STRENGTH = 0.75  # of a sketch that nobody said anything about
APPLICATION_CODES = 4000  # close codes: this, and the HTTP status of the kind of failure
BEARER = "bearer "


class LiveTicket(BaseModel):
    """A ticket, and how long it is good."""

    ticket: str = Field(description="For `/v1/live?ticket=`, once.")
    seconds: float = Field(description="How long it is good.")


class LiveStudio(Protocol):
    """Shows live sessions; whoever has places for them brings one."""

    figures: LiveFigures

    def router(self, desk: Desk) -> APIRouter:
        """The routes under ``/v1/live``."""
        ...


@dataclass(kw_only=True)
class Canvases:
    """Live sessions on a port of places."""

    port: LivePort
    clock: Callable[[], float] = time.monotonic
    figures: LiveFigures = field(default_factory=LiveFigures)
    runs: dict[str, tuple[LiveRun, str]] = field(default_factory=dict[str, tuple[LiveRun, str]])  # and whose
    watchers: dict[str, Watcher] = field(default_factory=dict[str, Watcher])

    def router(self, desk: Desk) -> APIRouter:
        """The routes under ``/v1/live``."""
        router, tickets = APIRouter(tags=["live"]), Tickets(clock=self.clock)
        router.include_router(make_page_router())
        self.figures.places.set(self.port.most)
        submits = desk.doors.needs(Scope.SUBMIT)
        origins = desk.house.settings.live_origins

        @router.post("/v1/live/tickets", summary="Get a ticket for a live session", responses=told())
        async def ticket(visitor: Annotated[Visitor, submits]) -> LiveTicket:
            """For browsers, which cannot send a key with a socket: one socket, within half a minute."""
            return LiveTicket(ticket=tickets.issue(visitor.presented), seconds=LIFETIME)

        @router.websocket("/v1/live")
        async def live(socket: WebSocket, ticket: str = "") -> None:
            request_id = uuid.uuid4().hex
            headers = socket.headers
            page = refuse_page(headers.get("origin"), headers.get("host", ""), origins)
            if page:
                trouble = Trouble(kind=FOREIGN_PAGE, detail=page, next_step="See RIGHTSTEP_LIVE_ORIGINS.")
                body = problem_of(trouble, request_id)
                await socket.send_denial_response(
                    JSONResponse(body, trouble.kind.status, media_type=PROBLEM_JSON)
                )
                return
            await socket.accept()
            try:
                presented = _presented(headers.get("authorization", ""), ticket, tickets)
                visiting = desk.doors.visit(socket, presented, Scope.SUBMIT, "WS /v1/live")
                async with contextmanager_in_threadpool(visiting) as visitor:
                    await self._serve(socket, visitor)
            except WebSocketDisconnect:
                return
            except Exception as error:  # noqa: BLE001 - the last edge: nothing leaves as a traceback
                await _refuse(socket, trouble_of_any(error), request_id)

        return router

    async def _serve(self, socket: WebSocket, visitor: Visitor) -> None:
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                said = parse_opening(await _text(socket))
        except TimeoutError as late:
            detail = f"Nothing was said for {OPENING_SECONDS:g} seconds."
            raise Failed(Trouble(kind=TOO_LATE, detail=detail, next_step="Begin a session.")) from late
        run = self._resumed(said, visitor) if isinstance(said, Resume) else await self._begun(said, visitor)
        session = run.session.session_id
        before = self.watchers.get(session)
        if before is not None:
            before.take_over()
        watcher = self.watchers[session] = Watcher(socket, run)
        run.watched(is_watched=True)
        try:
            await socket.send_text(say("begun", **_facts(run)))
            await watcher.watch()
        finally:
            if self.watchers.get(session) is watcher:
                del self.watchers[session]
                run.watched(is_watched=False)

    def _resumed(self, said: Resume, visitor: Visitor) -> LiveRun:
        run, client = self.runs.get(said.session, (None, ""))
        if run is None or run.ending is not None or client != visitor.client or not run.opens_to(said.token):
            raise Failed(
                Trouble(
                    kind=SESSION_UNKNOWN,
                    detail="There is no such session to go on with.",
                    next_step="Begin another one.",
                )
            )
        return run

    async def _begun(self, said: Begin, visitor: Visitor) -> LiveRun:
        house, asked = visitor.house, time.monotonic()
        planned = await run_in_threadpool(_planned, house, said)
        usual = CANVAS_STRENGTH if planned.canvas.stream is None else 1.0
        controls = CanvasControls(
            prompt=said.prompt,
            seed=said.seed,
            strength=usual if said.strength is None else said.strength,
            steps=planned.canvas.default_steps,
        )
        if refusal := refuse_controls(controls, planned.canvas):
            raise WrongUse(refusal, "Begin with other values.")
        place = self.port.reserve()
        if place is None:
            detail = f"{self.port.most} live sessions run already, and no more may."
            raise Failed(Trouble(kind=BUSY, detail=detail, next_step="Try again later."))
        wish = LiveWish(
            controls=controls,
            fps=planned.canvas.fps,
            only_changes=said.only_changes,
            ahead=said.ahead,
            asked=asked,
        )
        try:
            async with asyncio.timeout(READY_SECONDS):
                run = await begin_run(house, place, planned, wish, visitor.require_access, self.figures)
        except TimeoutError as late:
            detail = f"No renderer was ready within {READY_SECONDS:g} seconds."
            raise Failed(Trouble(kind=TOO_LATE, detail=detail, next_step="Try again later.")) from late
        session = run.session.session_id
        self.runs[session] = run, visitor.client
        run.when_ended(lambda: self.runs.pop(session))
        return run


def _planned(house: House, said: Begin) -> PlannedLive:
    repository, _, method = said.model.partition(":")
    fastest = house.settings.live_fps
    if (said.fps or 0) > fastest:
        raise WrongUse(f"{said.fps:g} frames a second are too many.", f"Ask for at most {fastest:g}.")
    asker = house.settings.actor
    order = LiveOrder(
        model=repository,
        prompt=said.prompt,
        recipient=f"{asker}/{said.user}" if said.user else asker,
        loras=tuple(lora.to_request() for lora in said.loras),
        method=method or None,
        steps=said.steps,
        size=_size_of(said),
        fps=said.fps,
        media_type=f"image/{said.format}",
    )
    planned = plan_live(house, order)
    if isinstance(planned, PlanRefusal):
        raise Failed(trouble_of_refusal(planned))
    return planned


def _size_of(said: Begin) -> tuple[int, int] | None:
    if said.size == "auto":
        return None
    width, height = map(int, said.size.split("x"))
    if max(width, height) > LARGEST_SIDE or min(width, height) < 16 or width % 8 or height % 8:
        raise WrongUse(
            f"{width} x {height} is no size for live frames.",
            f"Ask for multiples of 8 from 16 to {LARGEST_SIDE}.",
        )
    return width, height


def _facts(run: LiveRun) -> dict[str, object]:
    """What a client is told of its session."""
    canvas = run.planned.canvas
    return {
        "session": run.session.session_id,
        "token": run.token,
        "method": canvas.preset,
        "streams": canvas.stream is not None,
        "stack_id": run.session.stack_id,
        "plan_hash": run.session.plan_hash,
        "width": canvas.width,
        "height": canvas.height,
        "media_type": canvas.media_type,
        "steps": run.controls.steps,
        "steps_allowed": canvas.steps,
        "strength": run.controls.strength,
        "fps": run.wish.fps,
        "recipient": run.session.recipient,
        "change": run.change,
    }


def _presented(authorization: str, ticket: str, tickets: Tickets) -> str:
    """The secret that a socket comes with: in its header, or by its ticket; "" where it has neither."""
    if ticket:
        presented = tickets.redeem(ticket)
        if presented is None:
            raise Failed(
                Trouble(
                    kind=KEY_UNKNOWN,
                    detail="This ticket is used or too old.",
                    next_step="Ask for another one: POST /v1/live/tickets.",
                )
            )
        return presented
    if authorization.lower().startswith(BEARER):
        return authorization[len(BEARER) :].strip()
    return ""


async def _text(socket: WebSocket) -> str:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    text = message.get("text")
    if text is None:
        raise WrongUse("A session is begun in words.", "Send a message of the type begin as text.")
    return str(text)


async def _refuse(socket: WebSocket, trouble: Trouble, request_id: str) -> None:
    try:
        await socket.send_text(say("refused", problem=problem_of(noted(trouble), request_id)))
        await socket.close(APPLICATION_CODES + trouble.kind.status, trouble.kind.code)
    except (WebSocketDisconnect, RuntimeError):
        return  # it is gone
