"""``POST /v1/images/generations``: a picture while somebody waits, in OpenAI's shape."""

import asyncio
import secrets
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect

from flows.bootstrap import House
from flows.steps import PICTURE_LABEL, native_size
from policy.access import Scope
from policy.errors import RequestKeyReused
from policy.manifest import RenderManifest, Shot
from policy.tiers import ServiceLevel, ServiceTier
from policy.uses import IntendedUse
from policy.waiting import WaitingRoom
from registry.requests import RequestKey
from rightstep.web.desk import Desk
from rightstep.web.documents import told_openai
from rightstep.web.doors import Visitor
from rightstep.web.kinds import (
    BUSY,
    KEY_REUSED,
    MALFORMED,
    REFUSED,
    TOO_LATE,
    WRONG_MOMENT,
    WRONG_ORDER,
    WRONG_USE,
)
from rightstep.web.picture_events import EXAMPLE as EVENTS_EXAMPLE
from rightstep.web.picture_events import events_of
from rightstep.web.picture_runs import PictureOrder, PicturePort, PictureRun
from rightstep.web.picture_shapes import (
    EXAMPLES,
    Pictures,
    PictureWish,
    answer_shape,
    headers_of,
    headers_of_order,
)
from rightstep.web.request_keys import IdempotencyKey, request_key

SEEDS = 2**32
HANDS = 4  # threads that plan, settle and deliver
LEAST_SECONDS = 0.001  # of a promise: what is left of one that the wait has used up
Wish = Annotated[PictureWish, Body(openapi_examples=EXAMPLES)]
T = TypeVar("T")


@dataclass(kw_only=True)
class PictureStudio:
    """Makes pictures through a port; refuses at once whoever would wait behind too many."""

    port: PicturePort
    room: WaitingRoom
    hands: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(HANDS, thread_name_prefix="pictures")
    )
    runs: dict[tuple[str, str], tuple[RequestKey, PictureRun]] = field(default_factory=dict)  # with a key

    def router(self, desk: Desk) -> APIRouter:
        """The routes under ``/v1/images``."""
        router = APIRouter(prefix="/v1/images", tags=["images"])
        submits = desk.doors.needs(Scope.SUBMIT)

        @router.post(
            "/generations",
            summary="Make pictures while you wait",
            response_model=Pictures,
            responses={
                200: {
                    "description": "The pictures; as events with `stream`.",
                    "content": {
                        "text/event-stream": {"schema": {"type": "string"}, "example": EVENTS_EXAMPLE}
                    },
                },
                **told_openai(
                    MALFORMED, REFUSED, WRONG_ORDER, WRONG_USE, KEY_REUSED, WRONG_MOMENT, BUSY, TOO_LATE
                ),
            },
        )
        async def generate(
            wish: Wish,
            visitor: Annotated[Visitor, submits],
            request: Request,
            idempotency_key: IdempotencyKey = None,
        ) -> Response:
            """Planned at tier interactive, judged by licence, rendered, recorded as shipped to whoever asked.

            Whoever hangs up meanwhile has the job cancelled, and its renderer stops at the next step. With an
            `Idempotency-Key`, the same request again is the same job: one that is under way is joined, one
            that is finished is delivered again, and one that was cancelled or failed is made anew.
            """
            named = None
            if idempotency_key is not None:
                named = request_key(visitor.client, idempotency_key, wish.fingerprint)
            run = await self._run(visitor, wish, named, request.scope["state"]["began"])
            leave = run.sit()
            try:
                ordered = await unless_left(request, run.accepted())
                if wish.stream:
                    request_id = str(request.scope["state"]["request_id"])
                    events = events_of(run, wish, request_id, visitor.require_access, leave)
                    headers = {**headers_of_order(ordered), "x-accel-buffering": "no"}
                    leave = _nothing  # the stream does
                    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
                made = await unless_left(request, run.made())
            finally:
                leave()
            base = str(request.base_url) if wish.response_format == "url" else ""
            answer = answer_shape(made, base)
            return JSONResponse(answer.to_json(), headers=headers_of(answer.rightstep))

        return router

    async def _run(
        self, visitor: Visitor, wish: PictureWish, named: RequestKey | None, came: float
    ) -> PictureRun:
        """The run of a request: its own, or the one that its key stands for while that is under way."""
        name = ("", "") if named is None else (named.client, named.key)
        while named is not None and (known := self.runs.get(name)) is not None:
            before, run = known
            if before.fingerprint != named.fingerprint:
                raise RequestKeyReused(
                    f"The idempotency key {named.key!r} stands for another request, which is under way.",
                    "Send a new key with a new request.",
                )
            if not run.is_ending and not run.is_over:
                return run
            await run.ended()
        order = PictureOrder(
            house=visitor.house,
            port=self.port,
            hands=self.hands,
            came=came,
            room=self.room,
            manifest=partial(manifest_of, visitor.house, wish),
            request=named,
            must_keep=wish.response_format == "url",
            patience=wish.deadline_seconds,
            previews=wish.partial_images if wish.stream else None,
            require_access=visitor.require_access,
        )
        run = PictureRun(order)
        if named is not None:
            self.runs[name] = named, run
            run.when_over(partial(self.runs.pop, name))
        return run


def manifest_of(house: House, wish: PictureWish, wait: float = 0.0) -> RenderManifest:
    """The order that a request is: one shot a picture, seeds that count on.

    ``wait`` seconds of what it allows go by before anything is rendered for it.
    """
    first = secrets.randbelow(SEEDS) if wish.seed is None else wish.seed
    width, height = wish.sides or native_size(house, wish.repository)
    shots = tuple(
        Shot(
            name=f"picture-{number + 1}",
            prompt=wish.prompt,
            model=wish.repository,
            negative=wish.negative,
            seed=first + number,
            width=width,
            height=height,
            loras=tuple(lora.to_request() for lora in wish.loras),
            steps=wish.steps,
            method=wish.asked_method,
        )
        for number in range(wish.n)
    )
    asker, allowed = house.settings.actor, wish.deadline_seconds
    return RenderManifest(
        name=f"images-{secrets.token_hex(6)}",
        shots=shots,
        service=ServiceLevel(
            tier=ServiceTier.INTERACTIVE,
            latency_target_s=None if allowed is None else max(LEAST_SECONDS, allowed - wait),
            quality_floor=wish.quality_floor,
            may_degrade=wish.may_degrade,
        ),
        use=IntendedUse(act=house.settings.serve_use),
        owner=asker,
        labels=(PICTURE_LABEL, *wish.labels),
        recipients=(f"{asker}/{wish.user}" if wish.user else asker,),
    )


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to, or ClientDisconnect where the caller hung up first: it is cancelled then."""
    under_way = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({under_way, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not under_way.done():
            raise ClientDisconnect
        return under_way.result()
    finally:
        for task in (under_way, gone):
            task.cancel()
        await asyncio.gather(under_way, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Ends when the caller hangs up: nothing else comes after a body that was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _nothing() -> None:
    """A seat that somebody else leaves."""
