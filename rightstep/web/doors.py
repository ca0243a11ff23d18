"""Who comes in: a key with the scope that a route needs, and no more often than it may."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from flows.bootstrap import House
from flows.steps import key_of, list_keys, record_use
from policy.access import AccessCode, AccessKey, Scope, Usage, Wait, refuse_access
from rightstep.web.kinds import ACCESS, TOO_MANY
from rightstep.web.listening import Caller, refuse_keyless
from rightstep.web.problems import Failed, Trouble

REALM = 'Bearer realm="rightstep"'
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
LOCAL = "local"  # whoever asks from this machine while there are no keys

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


Admit = Callable[..., Iterator[Visitor]]


class Doorkeeper:
    """Judges the key of each request, and counts what each key has under way; one an app."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lock = threading.Lock()
        self._usages: dict[str, Usage] = {}
        self._has_keys = False  # keys end, and are never forgotten: once true it stays so

    def needs(self, scope: Scope) -> Any:
        """The FastAPI dependency of a route that needs a scope; holds a slot of the key until the end."""

        def admit(request: Request, credentials: Credentials) -> Iterator[Visitor]:
            presented = credentials.credentials if credentials else ""
            if not presented and self._is_open_to(request):
                yield Visitor(client=LOCAL, house=self._house, require_access=bool)
                return
            key = self._judged(presented, scope)
            usage = self._entered(key)
            try:
                record_use(self._house, key, scope, f"{request.method} {request.scope['path']}")
                yield Visitor(
                    client=key.key_id,
                    house=self._house.acting_for(key.owner),
                    require_access=partial(self._judged, presented, scope),
                )
            finally:
                with self._lock:
                    usage.leave()

        return Depends(admit)

    def _is_open_to(self, request: Request) -> bool:
        """Whether a request without a key is let in: from this machine, while nobody has made a key."""
        self._has_keys = self._has_keys or bool(list_keys(self._house))
        if self._has_keys:
            return False
        headers = request.headers
        caller = Caller(
            address=request.client.host if request.client else "",
            host=headers.get("host", ""),
            origin=headers.get("origin"),
            fetch_site=headers.get("sec-fetch-site"),
            is_forwarded=any(name in headers for name in PROXY_HEADERS),
        )
        return not refuse_keyless(caller)

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
