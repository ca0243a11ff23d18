"""The API on a real socket of this machine, and a client that reads its events."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI

from rightstep.web.server import SOCKETS
from tests.integration.flows.jobs.night import PATIENCE, wait_until
from tests.integration.web.desk import HERE


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of an app that uvicorn serves, until the end of the block."""
    with socket.create_server((HERE, 0)) as listener:
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5, **SOCKETS)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until("the server is up", lambda: server.started)
            yield f"http://{HERE}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event as an EventSource would hand it out."""

    id: str
    name: str
    data: dict[str, Any]


def events_in(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events from the lines of a stream; comments and the time to come back are no events."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield Event(id=fields["id"], name=fields["event"], data=json.loads(fields["data"]))
            fields = {}
        else:
            fields = {}


@contextmanager
def following(address: str, job: str, last: str | None = None, **headers: str) -> Iterator[Iterator[Event]]:
    """The events of a job, from the one after ``last``."""
    sent = headers if last is None else {**headers, "last-event-id": last}
    with (
        httpx2.Client(base_url=address, timeout=PATIENCE) as client,
        client.stream("GET", f"/v1/jobs/{job}/events", headers=sent) as response,
    ):
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events_in(response.iter_lines())
