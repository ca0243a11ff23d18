"""Asking a running Prefect server over its REST API, without importing Prefect.

A command that only adds a schedule need not wait for Prefect's import, and a process that
has asked one server stays free to start another.
"""

import json
import urllib.error
import urllib.request
from typing import Any

from policy.errors import ServiceFault

TIMEOUT_SECONDS = 30.0
NOT_FOUND = 404
OVERNIGHT = "overnight"
ON_DEMAND = "on-demand"


def ask(api_url: str, method: str, path: str, body: Any = None) -> Any:
    """The server's JSON answer; None where the thing is not there (404), ServiceFault for all else."""
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{api_url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - as above
            text = response.read()
    except urllib.error.HTTPError as error:
        with error:
            if error.code == NOT_FOUND:
                return None
            detail = error.read(2000).decode(errors="replace")
        raise ServiceFault(
            f"The Prefect server refused {method} {path}: {error.code} {detail}",
            "Look into logs/prefect-server.log under RIGHTSTEP_HOME.",
        ) from error
    except (OSError, ValueError) as error:
        raise ServiceFault(
            f"The Prefect server at {api_url} does not answer: {error}", "Run: rightstep up."
        ) from error
    return json.loads(text) if text else None


def deployment_of(api_url: str, name: str) -> dict[str, Any] | None:
    """A deployment of this house; its flow bears the same name."""
    found: dict[str, Any] | None = ask(api_url, "GET", f"/deployments/name/{name}/{name}")
    return found
