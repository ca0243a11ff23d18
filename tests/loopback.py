"""A server that somebody else runs, as tests have one: on loopback, in a thread, and gone with the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Answers(BaseHTTPRequestHandler):
    """What answers one connection for ``owner``, whatever the method."""

    protocol_version = "HTTP/1.1"
    owner: Any

    def answer(self) -> None:
        """Answer what came; a subclass says how."""
        raise NotImplementedError

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def log_message(self, *_: Any) -> None:
        """Silence: what was asked is kept as values."""


class Loopback:
    """An HTTP server of its own port; ``go_on`` lets answers through that wait."""

    def __init__(self, answers: type[Answers], host: str = "127.0.0.1", port: int = 0) -> None:
        self.stalled = threading.Event()
        self.go_on = threading.Event()
        self._server = ThreadingHTTPServer((host, port), type("Handler", (answers,), {"owner": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def endpoint(self) -> str:
        return f"http://{self._server.server_address[0]!s}:{self.port}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        self._thread.start()
        try:
            yield self
        finally:
            self.go_on.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
