"""Ten minutes of live sessions whose watchers are slow, drop out and talk nonsense: is anything kept?"""

import random
import time
from collections import Counter
from pathlib import Path
from socket import SHUT_RDWR
from threading import Thread

import httpx2
from websockets.exceptions import ConnectionClosed

from benchmarks.live_client import LiveClient, live_session
from benchmarks.live_streams import BASE, stream_server
from benchmarks.measurement import Measurement, at_least, at_most, plain
from benchmarks.served_pictures import MODEL, Server

SECONDS, WARM, SETTLES = 600.0, 120.0, 10.0
PLACES = 3


def measure() -> Measurement:
    """Watch canvases and a stream for ten minutes, badly."""
    with stream_server(0.005, RIGHTSTEP_LIVE_PLACES=str(PLACES), RIGHTSTEP_LIVE_GRACE_SECONDS="2") as server:
        found: Counter[str] = Counter()
        until = time.monotonic() + SECONDS
        watchers = [
            Thread(target=_watch, args=(server, seed, model, until, found))
            for seed, model in enumerate((MODEL, MODEL, BASE))
        ]
        for watcher in watchers:
            watcher.start()
        time.sleep(WARM)
        warm = _held(server)
        for watcher in watchers:
            watcher.join()
        end = _held(server)
        time.sleep(SETTLES)
        left = _left_open(server)
    return Measurement(
        question="Does a server of live sessions keep anything over ten minutes of bad watchers?",
        figures=(
            at_most("P20", "memory at the end, of that after two minutes", end[0] / warm[0], 1.05),
            at_most("", "open files more than after two minutes", end[1] - warm[1], 20, "files"),
            at_most("", f"sessions open {SETTLES:.0f} seconds after the end", left, 0, "sessions"),
            at_most("", "frames out of order or twice", found["disorder"], 0, "frames"),
            at_most("", "sessions that broke", found["broken"], 0, "sessions"),
            at_least("", "sessions", found["sessions"], 20, "sessions"),
            plain("frames", found["frames"], "frames"),
            plain("sockets dropped without a word", found["dropped"], "sockets"),
            plain("memory of the server at the end", end[0], "MB"),
        ),
        conditions=(
            f"{SECONDS / 60:.0f} minutes, {PLACES} watchers on {PLACES} places: two canvases and a stream, "
            "synthetic; each watches for some seconds at some pace, changes words, sends nonsense, and ends, "
            "closes or drops its socket."
        ),
    )


def _watch(server: Server, seed: int, model: str, until: float, found: Counter[str]) -> None:
    chance = random.Random(seed)
    while time.monotonic() < until:
        try:
            with live_session(server, model=model, fps=chance.choice((5, 15, 30))) as client:
                found["sessions"] += 1
                _look(client, chance, found)
                if chance.random() < 0.3:
                    found["dropped"] += 1
                    client.socket.socket.shutdown(SHUT_RDWR)
                elif chance.random() < 0.5:
                    client.end()
        except ConnectionClosed as closed:
            found["broken"] += bool(closed.rcvd and closed.rcvd.code == 4500)
        except (AssertionError, OSError, TimeoutError):  # no place yet: the one before is waited for
            time.sleep(0.5)


def _look(client: LiveClient, chance: random.Random, found: Counter[str]) -> None:
    until, last, pause = time.monotonic() + chance.uniform(1, 8), -1, chance.choice((0, 0, 0.1, 0.3))
    while time.monotonic() < until:
        _, frame = client.frame()
        found["frames"] += 1
        found["disorder"] += frame.number <= last
        last = frame.number
        client.say("shown", frame=last)
        if chance.random() < 0.1:
            client.say("change", prompt=f"fox {chance.random()}")
        if chance.random() < 0.02:
            client.socket.send("nonsense")
        time.sleep(pause)
    client.frames.clear()


def _held(server: Server) -> tuple[float, int]:
    """Megabytes and open files of the process that answers."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    resident = int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
    return resident, len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def _left_open(server: Server) -> float:
    lines = httpx2.get(f"{server.url}/metrics", headers=server.headers).text.splitlines()
    return float(next(line for line in lines if line.startswith("rightstep_live_sessions_open")).split()[1])
