"""One id a request: taken from the caller or made here, in every log event and in the answer."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rightstep.web.problems import answer, trouble_of_any

HEADER = "x-request-id"
USABLE = re.compile(r"[A-Za-z0-9._-]{1,128}")

log = structlog.get_logger("rightstep.web")


class RequestIds:
    """Names each request, logs how it ended, and sets what every answer carries."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if USABLE.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.monotonic(), 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                headers["x-content-type-options"] = "nosniff"
                headers.setdefault("cache-control", "no-store")
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_named)
            except ClientDisconnect:
                log.info("request.left", path=scope["path"])
            except Exception as error:  # noqa: BLE001 - the last edge: nothing leaves as a traceback
                trouble = trouble_of_any(error)
                if not status:
                    await answer(scope, trouble)(scope, receive, send_named)
            finally:
                log.info(
                    "request.ended",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    seconds=round(time.monotonic() - began, 4),
                )
