"""Who comes in: a key with the scope that a route needs, and no more often than it may."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from flows.bootstrap import House
from flows.handing_in import LOCAL
from flows.steps import key_of, list_keys, record_use
from policy.access import AccessCode, AccessKey, Scope, Usage, Wait, refuse_access
from rightstep.web.kinds import ACCESS, TOO_MANY
from rightstep.web.listening import Caller, refuse_keyless
from rightstep.web.problems import Failed, Trouble

REALM = 'Bearer realm="rightstep"'
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")

bearer = HTTPBearer(
    scheme_name="key",
    description="A key of this house. Without any key made, only this machine is let in.",
    auto_error=False,
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """Who was let in."""

    client: str  # whose idempotency keys these are: the id of the key, or "local"
    house: House  # that acts in the visitor's name
    require_access: Callable[[], object]  # raises Failed where the visitor's key was ended meanwhile
    presented: str = field(default="", repr=False)  # the secret that opened the door; "" for this machine


Admit = Callable[..., Iterator[Visitor]]


class Doorkeeper:
    """Judges the key of each request, and counts what each key has under way; one an app."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lock = threading.Lock()
        self._usages: dict[str, Usage] = {}
        self._has_keys = False  # keys end, and are never forgotten: once true it stays so

    def needs(self, scope: Scope, *, unless_local: bool = False) -> Any:
        """The FastAPI dependency of a route that needs a scope; holds a slot of the key until the end.

        ``unless_local`` lets this machine in without a key also once there are keys, and without
        asking the ledger.
        """

        def admit(request: Request, credentials: Credentials) -> Iterator[Visitor]:
            presented = credentials.credentials if credentials else ""
            what = f"{request.method} {request.scope['path']}"
            with self.visit(request, presented, scope, what, unless_local=unless_local) as visitor:
                yield visitor

        return Depends(admit)

    @contextmanager
    def visit(
        self, asking: HTTPConnection, presented: str, scope: Scope, what: str, *, unless_local: bool = False
    ) -> Generator[Visitor]:
        """Let whoever asks in until the end of the block, by the secret presented; else Failed.

        ``what`` is what the key is used for, as the audit log is told where the scope is one of those.
        """
        if not presented and (unless_local or not self._is_locked()) and _is_local(asking):
            yield Visitor(client=LOCAL, house=self._house, require_access=bool)
            return
        key = self._judged(presented, scope)
        asking.state.key_id = key.key_id
        usage = self._entered(key)
        try:
            record_use(self._house, key, scope, what)
            yield Visitor(
                client=key.key_id,
                house=self._house.acting_for(key.owner),
                require_access=partial(self._judged, presented, scope),
                presented=presented,
            )
        finally:
            with self._lock:
                usage.leave()

    def _is_locked(self) -> bool:
        """Whether anybody has made a key: from then on nobody comes in without one."""
        self._has_keys = self._has_keys or bool(list_keys(self._house))
        return self._has_keys

    def _judged(self, presented: str, scope: Scope) -> AccessKey:
        key = key_of(self._house, presented) if presented else None
        refusal = refuse_access(key, scope, self._house.clock(), presented=bool(presented))
        if refusal is None and key is not None:
            return key
        assert refusal is not None  # noqa: S101 - without a key there always is one
        raise Failed(
            Trouble(
                kind=ACCESS[refusal.code],
                detail=refusal.detail,
                next_step=refusal.next_step,
                headers={"WWW-Authenticate": _challenge(refusal.code, scope)},
            )
        )

    def _entered(self, key: AccessKey) -> Usage:
        """The usage of a key with a slot taken; Failed where the key asks too much."""
        with self._lock:
            usage = self._usages.get(key.key_id)
            if usage is None or (usage.per_minute, usage.at_once) != (key.per_minute, key.at_once):
                usage = self._usages[key.key_id] = Usage(per_minute=key.per_minute, at_once=key.at_once)
            wait = usage.take(self._house.clock()) or usage.enter()
        if wait is not None:
            raise Failed(_too_many(wait))
        return usage


def _is_local(request: HTTPConnection) -> bool:
    """Whether a request comes from this machine itself, through nobody."""
    headers = request.headers
    caller = Caller(
        address=request.client.host if request.client else "",
        host=headers.get("host", ""),
        origin=headers.get("origin"),
        fetch_site=headers.get("sec-fetch-site"),
        is_forwarded=any(name in headers for name in PROXY_HEADERS),
    )
    return not refuse_keyless(caller)


def _too_many(wait: Wait) -> Trouble:
    return Trouble(
        kind=TOO_MANY,
        detail=wait.detail,
        next_step=f"Try again in {wait.seconds} seconds.",
        headers={"Retry-After": str(wait.seconds)},
    )


def _challenge(code: AccessCode, scope: Scope) -> str:
    """What a client is told to present (RFC 6750, section 3)."""
    if code is AccessCode.KEY_MISSING:
        return REALM
    if code is AccessCode.SCOPE_MISSING:
        return f'{REALM}, error="insufficient_scope", scope="{scope.value}"'
    return f'{REALM}, error="invalid_token"'
