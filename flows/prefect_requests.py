"""Asking a running Prefect server over its REST API, without importing Prefect.

A command that only adds a schedule need not wait for Prefect's import, and a process that
has asked one server stays free to start another.
"""

import json
import time
import urllib.error
import urllib.request
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


def ask(api_url: str, method: str, path: str, body: Any = None) -> Any:
    """The server's JSON answer; None where the thing is not there (404), ServiceFault for all else.

    A server whose database is busy says so with 503 and has changed nothing: it is asked again.
    """
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{api_url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
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
                f"The Prefect server at {api_url} does not answer: {error}", "Run: rightstep up."
            ) from error
        time.sleep(PAUSE_SECONDS)


def deployment_of(api_url: str, name: str) -> dict[str, Any] | None:
    """A deployment of this house; its flow bears the same name."""
    found: dict[str, Any] | None = ask(api_url, "GET", f"/deployments/name/{name}/{name}")
    return found
