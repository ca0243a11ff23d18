"""Load on a server of pictures: callers that wait for their answer, and arrivals that wait for nobody."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx2

from benchmarks.served_pictures import PATH, PATIENCE, Server, wish

MADE, GIVEN_UP = 200, 504
Wish = Callable[[int], bytes]


@dataclass(kw_only=True)
class Load:
    """What became of the requests of a run."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)  # of pictures that were made
    refused: list[float] = field(default_factory=list)  # seconds until the word no, before anything was tried
    given_up: list[float] = field(default_factory=list)  # seconds until what was tried was given up
    statuses: Counter[int] = field(default_factory=Counter)
    left: int = 0  # requests whose caller hung up on purpose
    jobs: list[str] = field(default_factory=list)  # of our server, as its answers name them
    pictures_together: list[int] = field(default_factory=list)  # in the batch of each answer


async def _asked(client: httpx2.AsyncClient, server: Server, body: bytes, load: Load) -> None:
    began = time.perf_counter()
    answer = await client.post(PATH, content=body, headers=server.headers)
    seconds = time.perf_counter() - began
    load.statuses[answer.status_code] += 1
    kept = {MADE: load.latencies, GIVEN_UP: load.given_up}.get(answer.status_code, load.refused)
    kept.append(seconds)
    made = answer.json().get("rightstep") if answer.status_code == MADE else None
    if made is not None:
        load.jobs.append(made["job_id"])
        load.pictures_together.append(made["batch_pictures"])


def closed_loop(server: Server, *, callers: int, requests: int, first_seed: int) -> Load:
    """So many callers, each with one request under way at a time, until all requests are made."""
    return _run(
        server, callers, lambda client, load: _closed(client, server, load, callers, requests, first_seed)
    )


async def _closed(
    client: httpx2.AsyncClient, server: Server, load: Load, callers: int, requests: int, first_seed: int
) -> None:
    seeds = iter(range(first_seed, first_seed + requests))

    async def call() -> None:
        for seed in seeds:
            await _asked(client, server, wish(seed), load)

    await asyncio.gather(*(call() for _ in range(callers)))


def open_loop(server: Server, *, rate: float, seconds: float, first_seed: int, make: Wish = wish) -> Load:
    """Arrivals at random, ``rate`` a second (Poisson), whether those before are served or not."""
    return _run(
        server, 1000, lambda client, load: _open(client, server, load, rate, seconds, first_seed, make)
    )


async def _open(
    client: httpx2.AsyncClient,
    server: Server,
    load: Load,
    rate: float,
    seconds: float,
    first_seed: int,
    make: Wish,
) -> None:
    chance, began, at, seed = random.Random(first_seed), time.perf_counter(), 0.0, first_seed
    async with asyncio.TaskGroup() as group:
        while (at := at + chance.expovariate(rate)) < seconds:
            await asyncio.sleep(max(0.0, began + at - time.perf_counter()))
            group.create_task(_asked(client, server, make(seed), load))
            seed += 1


def _run(server: Server, connections: int, work: Callable[[Any, Load], Coroutine[Any, Any, None]]) -> Load:
    async def main() -> Load:
        load = Load()
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE, limits=limits) as client:
            began = time.perf_counter()
            await work(client, load)
            load.seconds = time.perf_counter() - began
        return load

    return asyncio.run(main())
