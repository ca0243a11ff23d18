"""``POST /v1/images/generations``: a picture while somebody waits, in OpenAI's shape.

The ledger is written here, in threads, through the steps; what renders is a port.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import APIRouter, Body, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from flows.bootstrap import House
from flows.steps import (
    PICTURE_LABEL,
    LeasedPictures,
    OrderedPictures,
    abandon_pictures,
    deliver_pictures,
    lease_pictures,
    lost_batch,
    order_pictures,
    settle_pictures,
)
from policy.access import Scope
from policy.errors import RightstepError, ServiceFault
from policy.manifest import RenderManifest, Shot
from policy.plan import PlanRefusal
from policy.tasks import RenderTask, ServedBatch
from policy.tiers import ServiceLevel, ServiceTier
from policy.uses import IntendedUse
from policy.waiting import WaitingRoom
from rightstep.web.courses import note_batch
from rightstep.web.desk import Desk
from rightstep.web.documents import told_openai
from rightstep.web.doors import Visitor
from rightstep.web.kinds import BUSY, REFUSED, WRONG_ORDER, WRONG_USE
from rightstep.web.picture_shapes import EXAMPLES, Pictures, PictureWish, answer_shape, headers_of
from rightstep.web.plans import trouble_of_refusal
from rightstep.web.problems import Failed, Trouble

SEEDS = 2**32
Wish = Annotated[PictureWish, Body(openapi_examples=EXAMPLES)]
T = TypeVar("T")


class PicturePort(Protocol):
    """Who renders."""

    async def render(self, task: RenderTask, cap: int) -> ServedBatch:
        """Render a batch, perhaps with others up to ``cap`` pictures; cancelled, it stops at the next step.

        ServiceFault where the renderer was lost with it: the batch may be sent again.
        """
        ...


@dataclass(kw_only=True)
class PictureStudio:
    """Makes pictures through a port; refuses at once whoever would wait behind too many."""

    port: PicturePort
    room: WaitingRoom

    def router(self, desk: Desk) -> APIRouter:
        """The routes under ``/v1/images``."""
        router = APIRouter(prefix="/v1/images", tags=["images"])
        submits = desk.doors.needs(Scope.SUBMIT)

        @router.post(
            "/generations",
            summary="Make pictures while you wait",
            response_model=Pictures,
            responses=told_openai(REFUSED, WRONG_ORDER, WRONG_USE, BUSY),
        )
        async def generate(
            wish: Wish, visitor: Annotated[Visitor, submits], request: Request
        ) -> JSONResponse:
            """Planned at tier interactive, judged by licence, rendered, recorded as shipped to whoever asked.

            Whoever hangs up meanwhile has the job cancelled, and its renderer stops at the next step.
            """
            house = visitor.house
            manifest = manifest_of(house, wish)
            async with self._place():
                ordered = await run_in_threadpool(order_pictures, house, manifest)
                if isinstance(ordered, PlanRefusal):
                    raise Failed(trouble_of_refusal(ordered))
                served = await self._rendered(house, ordered, request)
                made = await run_in_threadpool(deliver_pictures, house, ordered)
            base = str(request.base_url) if wish.response_format == "url" else ""
            answer = answer_shape(ordered, manifest, served, made, base)
            return JSONResponse(answer.to_json(), headers=headers_of(answer.rightstep))

        return router

    @asynccontextmanager
    async def _place(self) -> AsyncGenerator[None]:
        seconds = self.room.enter()
        if seconds is not None:
            raise Failed(
                Trouble(
                    kind=BUSY,
                    detail=f"{self.room.places} requests wait already, and no more may.",
                    next_step=f"Try again in {seconds} seconds.",
                    headers={"Retry-After": str(seconds)},
                )
            )
        came = time.monotonic()
        try:
            yield
        finally:
            self.room.leave(time.monotonic() - came)

    async def _rendered(self, house: House, ordered: OrderedPictures, request: Request) -> list[ServedBatch]:
        """Render what is open of an order until nothing is; a batch that was lost is sent again."""
        served: list[ServedBatch] = []
        try:
            is_open = True
            while is_open and (leased := await run_in_threadpool(lease_pictures, house, ordered)) is not None:
                batches = await unless_left(request, self._batches(leased))
                results = [one.result for one in batches]
                is_open = await run_in_threadpool(settle_pictures, house, leased, results)
                served += batches
        except BaseException:  # hung up, shut down or broken: nobody goes on with this job
            with suppress(RightstepError):
                await run_in_threadpool(abandon_pictures, house, ordered)
            raise
        return served

    async def _batches(self, leased: LeasedPictures) -> list[ServedBatch]:
        async with asyncio.TaskGroup() as group:
            sent = [
                group.create_task(self._batch(task, cap))
                for task, cap in zip(leased.tasks, leased.caps, strict=True)
            ]
        return [one.result() for one in sent]

    async def _batch(self, task: RenderTask, cap: int) -> ServedBatch:
        try:
            return await note_batch(task, self.port.render(task, cap))
        except ServiceFault as fault:
            lost = lost_batch(task, fault.message)
            return ServedBatch(result=lost, queue_seconds=0.0, pictures=len(task.shots))


def manifest_of(house: House, wish: PictureWish) -> RenderManifest:
    """The order that a request is: one shot a picture, seeds that count on."""
    first = secrets.randbelow(SEEDS) if wish.seed is None else wish.seed
    width, height = wish.sides
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
    asker = house.settings.actor
    return RenderManifest(
        name=f"images-{secrets.token_hex(6)}",
        shots=shots,
        service=ServiceLevel(
            tier=ServiceTier.INTERACTIVE,
            latency_target_s=wish.deadline_seconds,
            quality_floor=wish.quality_floor,
        ),
        use=IntendedUse(act=house.settings.serve_use),
        owner=asker,
        labels=(PICTURE_LABEL,),
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
