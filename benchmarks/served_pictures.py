"""Servers of pictures in processes of their own: ours, and the plain one of a first page of code."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from flows.access import create_key
from flows.bootstrap import House, open_house
from flows.settings import Settings

MODEL = "rightstep/emoji-64"
PATH = "/v1/images/generations"
PATIENCE = 180.0
WORDS = ("a flat fox", "a 3d fox", "a red heart", "a robot", "an apple")


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a server answers, with what headers, and its processes' parent."""

    url: str
    headers: dict[str, str]
    process: subprocess.Popen[bytes]
    house: House | None = None  # of ours, seen from outside


@contextmanager
def rightstep_server(**settings: str) -> Iterator[Server]:
    """``rightstep serve`` in a fresh home, warm, with a key that nothing holds back."""
    with TemporaryDirectory(prefix="rightstep-bench-") as folder:
        home = Path(folder) / "home"
        house = open_house(Settings(home=home, actor="bench"))
        key = create_key(
            house, owner="bench", scopes=["submit", "read"], per_minute=1_000_000, at_once=10_000
        )
        environment = os.environ | {
            "RIGHTSTEP_HOME": str(home),
            "RIGHTSTEP_SERVE_PORT": "0",
            "RIGHTSTEP_SERVE_WARM": MODEL,
            **settings,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "rightstep", "serve"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            headers = {"authorization": f"Bearer {key.secret}", "content-type": "application/json"}
            yield Server(url=url, headers=headers, process=process, house=house)
        finally:
            process.terminate()
            process.wait(PATIENCE)
            house.engine.dispose()


@contextmanager
def plain_server(root: Path, lora: Path) -> Iterator[Server]:
    """One process, FastAPI and a diffusers pipeline behind a lock: no policy, ledger, licence or batching."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.plain_server", str(root), str(lora)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        yield Server(url=url, headers={"content-type": "application/json"}, process=process)
    finally:
        process.terminate()
        process.wait(PATIENCE)


class Caller:
    """One connection that is kept, and a picture at a time over it."""

    def __init__(self, server: Server) -> None:
        where = urlsplit(server.url)
        self._connection = HTTPConnection(where.hostname or "", where.port, timeout=PATIENCE)
        self._headers = server.headers

    def connect(self) -> None:
        """Anew: a server hangs up on a connection that nobody has used for some seconds."""
        self._connection.close()
        self._connection.connect()

    def picture(self, seed: int) -> float:
        """Seconds from the first byte sent to the last one read."""
        body = wish(seed)
        began = time.perf_counter()
        self._connection.request("POST", PATH, body, self._headers)
        answer = self._connection.getresponse()
        read = answer.read()
        seconds = time.perf_counter() - began
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {read[:300]!r}")
        return seconds


def wish(seed: int, **fields: object) -> bytes:
    """A request that was never made before with this seed."""
    return json.dumps({"model": MODEL, "prompt": WORDS[seed % len(WORDS)], "seed": seed, **fields}).encode()
