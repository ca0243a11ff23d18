"""Asking a running Prefect server over its REST API, without importing Prefect.

A command that only adds a schedule need not wait for Prefect's import, and a process that
has asked one server stays free to start another.
"""

import base64
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from policy.errors import ServiceFault

TIMEOUT_SECONDS = 30.0  # of one request
PATIENCE_SECONDS = 60.0  # with a server whose database is busy
PAUSE_SECONDS = 0.5
NOT_FOUND = 404
BUSY = 503
OVERNIGHT = "overnight"
ON_DEMAND = "on-demand"
SUBMITTED = "submitted"
DRIFT_WATCH = "drift-watch"
SHIP = "ship"
WEEKLY_AUDIT = "weekly-audit"


@dataclass(frozen=True, kw_only=True, slots=True)
class PrefectApi:
    """Where a Prefect server answers, and the ``NAME:SECRET`` that opens it."""

    url: str
    auth: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What a request to it carries."""
        opened = base64.b64encode(self.auth.encode()).decode()
        return {"Content-Type": "application/json"} | (
            {"Authorization": f"Basic {opened}"} if self.auth else {}
        )


def ask(api: PrefectApi, method: str, path: str, body: Any = None) -> Any:
    """The server's JSON answer; None where the thing is not there (404), ServiceFault for all else.

    A server whose database is busy says so with 503 and has changed nothing: it is asked again.
    """
    request = urllib.request.Request(  # noqa: S310 - an address of the settings, or our own
        f"{api.url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers=api.headers,
        method=method,
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - as above
                text = response.read()
            return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read(2000).decode(errors="replace")
            if error.code == NOT_FOUND:
                return None
            if error.code != BUSY or time.monotonic() > deadline:
                raise ServiceFault(
                    f"The Prefect server refused {method} {path}: {error.code} {detail}",
                    "Look into logs/prefect-server.log under RIGHTSTEP_HOME.",
                ) from error
        except (OSError, ValueError) as error:
            raise ServiceFault(
                f"The Prefect server at {api.url} does not answer: {error}", "Run: rightstep up."
            ) from error
        time.sleep(PAUSE_SECONDS)


def deployment_of(api: PrefectApi, name: str) -> dict[str, Any] | None:
    """A deployment of this house; its flow bears the same name."""
    found: dict[str, Any] | None = ask(api, "GET", f"/deployments/name/{name}/{name}")
    return found
