"""A client of live sessions on a real socket."""

import hashlib
import io
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from rightstep.web.live_wire import LiveFrame, parse_frame
from tests.integration.web.desk import BASE

PATIENCE = 60
BEGIN: dict[str, Any] = {"type": "begin", "model": BASE, "prompt": "a flat fox", "fps": 30, "format": "png"}


@dataclass
class Watching:
    """An open socket, and what was heard on it."""

    socket: ClientConnection
    words: list[dict[str, Any]] = field(default_factory=list)
    frames: list[LiveFrame] = field(default_factory=list)

    def say(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def hear(self) -> dict[str, Any] | LiveFrame:
        """The next message, a frame or words."""
        message = self.socket.recv(timeout=PATIENCE)
        if isinstance(message, bytes):
            self.frames.append(parse_frame(message))
            return self.frames[-1]
        self.words.append(json.loads(message))
        return self.words[-1]

    def until(self, kind: str) -> dict[str, Any]:
        """The next words of a kind; frames on the way are kept."""
        while True:
            heard = self.hear()
            if isinstance(heard, dict) and heard["type"] == kind:
                return heard

    def frame(self) -> LiveFrame:
        """The next frame."""
        while True:
            heard = self.hear()
            if isinstance(heard, LiveFrame):
                return heard

    def frame_with(self, change: int) -> LiveFrame:
        """The next frame that takes so many changes into account."""
        while (found := self.frame()).change < change:
            pass
        return found

    def closed(self) -> int:
        """Listen until the end; how the socket was closed."""
        try:
            while True:
                self.hear()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else 1006

    def begin(self, **fields: Any) -> dict[str, Any]:
        """Begin a session, and hear that it began."""
        self.socket.send(json.dumps({**BEGIN, **fields}))
        return self.until("begun")

    def drop(self) -> None:
        """Go without a word, as a network does."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)


@contextmanager
def watching(address: str, query: str = "", **headers: str) -> Iterator[Watching]:
    """A socket to the live sessions of an app; ``headers`` with underscores for dashes."""
    url = f"{address.replace('http', 'ws', 1)}/v1/live{query}"
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with connect(url, additional_headers=sent, compression=None, max_size=None) as opened:
        yield Watching(opened)


def picture_in(frame: LiveFrame) -> Image.Image:
    """The picture of a frame."""
    return Image.open(io.BytesIO(frame.body))


def png(colour: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> bytes:
    """A sketch of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def sha256(frame: LiveFrame) -> str:
    return hashlib.sha256(frame.body).hexdigest()
