"""One id a request: taken from the caller or made here, in every log event and in the answer."""

import re
import time
import uuid
from collections.abc import Sequence

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.steps import heard_by
from rightstep.web.courses import COURSE, Course, Ear, route_of
from rightstep.web.problems import answer, trouble_of_any

HEADER = "x-request-id"
USABLE = re.compile(r"[A-Za-z0-9._-]{1,128}")
JOB_HEADER = "x-rightstep-job"
JOB_PATH = re.compile(r"/v1/jobs/([0-9]{8}-[0-9a-f]{8})")

log = structlog.get_logger("rightstep.web")


class RequestIds:
    """Names each request, sets what every answer carries, and tells the log and every ear how it ended."""

    def __init__(self, app: ASGIApp, ears: Sequence[Ear] = ()) -> None:
        self.app = app
        self.ears = ears

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = Headers(scope=scope)
        given = sent.get(HEADER, "")
        request_id = given if USABLE.fullmatch(given) else uuid.uuid4().hex
        course = Course(
            request_id=request_id,
            method=scope["method"],
            path=scope["path"],
            traceparent=sent.get("traceparent", ""),
        )
        scope.setdefault("state", {})["request_id"] = request_id
        began, is_stream = time.monotonic(), False
        scope["state"]["began"] = began

        async def send_named(message: Message) -> None:
            nonlocal is_stream
            if message["type"] == "http.response.start":
                course.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                headers["x-content-type-options"] = "nosniff"
                headers.setdefault("cache-control", "no-store")
                course.job_id = _job_of(headers, scope)
                if headers.get("content-type", "").startswith("text/event-stream"):
                    is_stream = True
                    self._streams(1)
            await send(message)

        token = COURSE.set(course)
        try:
            with (
                structlog.contextvars.bound_contextvars(request_id=request_id),
                heard_by(course.stages.append),
            ):
                try:
                    await self.app(scope, receive, send_named)
                except ClientDisconnect:
                    log.info("request.left", path=scope["path"])
                except Exception as error:  # noqa: BLE001 - the last edge: nothing leaves as a traceback
                    trouble = trouble_of_any(error)
                    if not course.status:
                        await answer(scope, trouble)(scope, receive, send_named)
                finally:
                    course.seconds = time.monotonic() - began
                    course.route = route_of(scope)
                    course.key_id = scope["state"].get("key_id", "")
                    if is_stream:
                        self._streams(-1)
                    for ear in self.ears:
                        ear.ended(course)
                    _log(course)
        finally:
            COURSE.reset(token)

    def _streams(self, change: int) -> None:
        for ear in self.ears:
            ear.streams(change)


def _job_of(headers: MutableHeaders, scope: Scope) -> str:
    """The job that an answer is about, as far as the answer or its path says so."""
    told = headers.get(JOB_HEADER)
    if told is not None:
        return told
    found = JOB_PATH.match(headers.get("location", "")) or JOB_PATH.match(scope["path"])
    return found[1] if found else ""


def _log(course: Course) -> None:
    """One line a request; what it does not have is left out."""
    facts = {"key": course.key_id, "job": course.job_id, "problem": course.problem, "trace": course.trace_id}
    stages = {name: round(seconds, 4) for name, seconds in course.stage_seconds.items()}
    log.info(
        "request.ended",
        method=course.method,
        path=course.path,
        route=course.route,
        status=course.status,
        seconds=round(course.seconds, 4),
        **{name: fact for name, fact in facts.items() if fact},
        **({"stages": stages} if stages else {}),
    )
