"""The socket in front of the app: uvicorn in this very process, until somebody stops it."""

import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI

from policy.errors import ServiceFault
from rightstep.web.live_wire import MOST_SKETCH

BACKLOG = 128
SWITCH_SECONDS = 0.0005  # whoever is refused at once must not queue for the interpreter behind those who plan
GRACE_SECONDS = 5  # for answers that are under way when it ends
PING_SECONDS = 10.0  # between two questions whether the other end of a socket is there, and to answer each
SOCKETS: dict[str, Any] = {  # how uvicorn speaks over live ones
    "ws": "websockets-sansio",
    "ws_max_size": MOST_SKETCH,  # a larger message is refused before it is read
    "ws_ping_interval": PING_SECONDS,
    "ws_ping_timeout": PING_SECONDS,
    "ws_per_message_deflate": False,  # frames are compressed already
}


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ServiceFault where the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host.strip("[]"), port))
    except OSError as fault:
        opened.close()
        raise ServiceFault(
            f"Nothing can listen at {host} port {port}: {fault.strerror}.", "Choose another with --port."
        ) from fault
    opened.listen(BACKLOG)
    return opened


def serve_app(app: FastAPI, opened: socket.socket, on_ready: Callable[[], None]) -> None:
    """Answer until Ctrl-C or SIGTERM; what is under way gets a few seconds."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        **SOCKETS,
    )
    sys.setswitchinterval(SWITCH_SECONDS)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # uvicorn raises the signal again when it has ended
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        Server(config).run(sockets=[opened])
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
