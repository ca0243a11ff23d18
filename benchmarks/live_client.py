"""A client of live sessions for the benchmarks: one socket, and when what arrived."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.sync.client import ClientConnection, connect

from benchmarks.served_pictures import Server
from rightstep.web.live_wire import LiveFrame, parse_frame

PATIENCE = 60.0


@dataclass(kw_only=True)
class LiveClient:
    """An open socket with a session on it."""

    socket: ClientConnection
    began: float  # when the session was asked for
    begun: dict[str, Any]
    frames: list[tuple[float, LiveFrame]] = field(default_factory=list)  # with when each arrived

    def say(self, kind: str, **fields: Any) -> None:
        """Tell the session something."""
        self.socket.send(json.dumps({"type": kind, **fields}))

    def frame(self) -> tuple[float, LiveFrame]:
        """The next frame, and when it arrived."""
        while isinstance(message := self.socket.recv(timeout=PATIENCE), str):
            pass
        self.frames.append((time.perf_counter(), parse_frame(message)))
        return self.frames[-1]

    def end(self) -> None:
        """End the session, and hear that it ended."""
        self.say("end")
        while "ended" not in str(self.socket.recv(timeout=PATIENCE)):
            pass


@contextmanager
def live_session(server: Server, **wish: Any) -> Iterator[LiveClient]:
    """A session that has begun; whoever is done with it ends it, or drops it."""
    url = f"{server.url.replace('http', 'ws', 1)}/v1/live"
    key = {"authorization": server.headers["authorization"]}
    with connect(url, additional_headers=key, compression=None, max_size=None) as socket:
        began = time.perf_counter()
        socket.send(json.dumps({"type": "begin", "prompt": "a fox", **wish}))
        told = json.loads(socket.recv(timeout=PATIENCE))
        assert told["type"] == "begun", told
        yield LiveClient(socket=socket, began=began, begun=told)
