"""What a request must look like before anybody reads it: sizes, paths and headers, by rules in turn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rightstep.web.kinds import HEADERS_TOO_LARGE, MALFORMED, MEDIA_TYPE, PATH_TOO_LONG, TOO_LARGE
from rightstep.web.problems import Failed, Trouble, answer

ONCE = (
    "authorization",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "last-event-id",
    "range",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How large a request may be, in bytes."""

    body: int = 64 * 1024
    bodies: Mapping[str, int] = field(  # by path; 100,000 shots take about 30 MB
        default_factory=lambda: {"/v1/plan": 64 * 1024 * 1024, "/v1/jobs": 64 * 1024 * 1024}
    )
    path: int = 4096  # with its query
    headers: int = 16 * 1024

    def body_of(self, path: str) -> int:
        return self.bodies.get(path, self.body)


Rule = Callable[[Scope, Headers, Limits], Trouble | None]


def _path_is_short(scope: Scope, _headers: Headers, limits: Limits) -> Trouble | None:
    length = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
    if length <= limits.path:
        return None
    return Trouble(kind=PATH_TOO_LONG, detail=f"Path and query may have {limits.path:,} bytes.")


def _path_is_plain(scope: Scope, _headers: Headers, _limits: Limits) -> Trouble | None:
    path: str = scope["path"]
    parts = path.split("/")[1:]
    is_plain = path.isprintable() and "\\" not in path and not {".", ".."} & set(parts)
    if is_plain and "" not in parts[:-1]:
        return None
    return Trouble(kind=MALFORMED, detail="The path has characters or parts that no path here has.")


def _headers_are_small(_scope: Scope, headers: Headers, limits: Limits) -> Trouble | None:
    if sum(len(name) + len(value) for name, value in headers.raw) <= limits.headers:
        return None
    return Trouble(kind=HEADERS_TOO_LARGE, detail=f"All headers together may have {limits.headers:,} bytes.")


def _headers_stand_once(_scope: Scope, headers: Headers, _limits: Limits) -> Trouble | None:
    twice = [name for name in ONCE if len(headers.getlist(name)) > 1]
    if not twice:
        return None
    return Trouble(kind=MALFORMED, detail=f"The header {twice[0]} stands twice.")


def _body_is_plain(_scope: Scope, headers: Headers, _limits: Limits) -> Trouble | None:
    coding = headers.get("content-encoding", "identity")
    if coding.lower() == "identity":
        return None
    return Trouble(
        kind=MEDIA_TYPE, detail="A coded body is not read here.", next_step="Send the body as it is."
    )


def _body_is_small(scope: Scope, headers: Headers, limits: Limits) -> Trouble | None:
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        return Trouble(kind=MALFORMED, detail="The header content-length is no number.")
    most = limits.body_of(scope["path"])
    return _too_large(most) if int(length[:20]) > most else None


RULES: tuple[Rule, ...] = (
    _path_is_short,
    _path_is_plain,
    _headers_are_small,
    _headers_stand_once,
    _body_is_plain,
    _body_is_small,
)


def _too_large(most: int) -> Trouble:
    return Trouble(
        kind=TOO_LARGE, detail=f"A body may have {most:,} bytes here.", next_step="Split the order."
    )


class Gate:
    """Turns a request away by the first rule that objects, and counts a body that does not say its size."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        for rule in RULES:
            trouble = rule(scope, headers, self.limits)
            if trouble is not None:
                await answer(scope, trouble)(scope, receive, send)
                return
        most, read = self.limits.body_of(scope["path"]), 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise Failed(_too_large(most))
            return message

        await self.app(scope, receive_counted, send)
