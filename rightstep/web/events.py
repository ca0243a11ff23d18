"""``/v1/jobs/{id}/events``: a job as it goes, as server-sent events (WHATWG HTML, section 9.2).

The id of an event is the standing that it tells, so that nothing has to be remembered between two
connections: a client that comes back is told at once what changed, or nothing until something does.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from flows.steps import job_of
from policy.access import Scope
from policy.errors import LedgerFault
from registry.records import JobRecord
from rightstep.web.desk import Desk
from rightstep.web.documents import told
from rightstep.web.doors import Visitor
from rightstep.web.jobs import JobId
from rightstep.web.kinds import UNKNOWN_NAME
from rightstep.web.problems import Failed, problem_of
from rightstep.web.shapes import job_shape

LOOK_SECONDS = 0.5
BEAT_SECONDS = 10.0  # silence after which a comment goes out: proxies cut silent connections
RETRY_MILLISECONDS = 2000
NO_MORE = 204  # the answer that tells an EventSource to stop coming back
EXAMPLE = """retry: 2000

id: running.6.2.4.0.0.0.0.0
event: progress
data: {"job_id": "20260131-0123abcd", "state": "running", "counts": {"made": 4, "shots": 12}}

"""


def make_router(desk: Desk) -> APIRouter:
    """The events of a job."""
    reads = desk.doors.needs(Scope.READ)
    router = APIRouter(prefix="/v1/jobs/{job_id}/events", tags=["jobs"])

    @router.get(
        "",
        summary="Follow a job",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Events `progress`, and at last `end`; each holds the job as it stands.",
                "content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}},
            },
            NO_MORE: {"description": "`Last-Event-ID` was the end: there is nothing to wait for."},
            **told(UNKNOWN_NAME),
        },
    )
    async def events(
        request: Request,
        job_id: JobId,
        visitor: Annotated[Visitor, reads],
        last_event_id: Annotated[
            str | None, Header(description="The id of the last event that was received.", max_length=256)
        ] = None,
    ) -> Response:
        """Tells every change of a job until it is over or held, the client goes, or its key is revoked."""
        job = await run_in_threadpool(job_of, desk.house, job_id)
        if is_at_rest(job) and event_id(job) == last_event_id:
            return Response(status_code=NO_MORE)
        return StreamingResponse(
            follow(request, visitor, job_id, last_event_id or ""),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    return router


async def follow(request: Request, visitor: Visitor, job_id: str, seen: str) -> AsyncGenerator[str]:
    """Events from the standing after ``seen`` until the job is at rest; ``error`` where no more is told."""
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    told_at = time.monotonic()
    while not await request.is_disconnected():
        try:
            job = await run_in_threadpool(_seen_by, visitor, job_id)
        except LedgerFault:
            yield ": the ledger does not answer\n\n"
            return
        except Failed as failed:
            problem = problem_of(failed.trouble, str(request.scope["state"]["request_id"]))
            yield f"event: error\ndata: {json.dumps(problem)}\n\n"
            return
        if event_id(job) != seen:
            seen, told_at = event_id(job), time.monotonic()
            yield event(job)
        elif time.monotonic() - told_at >= BEAT_SECONDS:
            told_at = time.monotonic()
            yield ": still here\n\n"
        if is_at_rest(job):
            return
        await asyncio.sleep(LOOK_SECONDS)


def _seen_by(visitor: Visitor, job_id: str) -> JobRecord:
    visitor.require_access()
    return job_of(visitor.house, job_id)


def event(job: JobRecord) -> str:
    """A job as one event."""
    name = "end" if is_at_rest(job) else "progress"
    return f"id: {event_id(job)}\nevent: {name}\ndata: {job_shape(job).model_dump_json()}\n\n"


def event_id(job: JobRecord) -> str:
    """The standing of a job in a word: its state, and every count."""
    counts = job.counts
    numbers = (
        counts.queued,
        counts.leased,
        counts.done,
        counts.reused,
        counts.dead,
        counts.cancelled,
        counts.eaten,
        counts.failed_takes,
    )
    return ".".join([job.state.value, *(str(number) for number in numbers)])


def is_at_rest(job: JobRecord) -> bool:
    """Whether nothing will happen until a person does something."""
    return job.state.is_at_rest
