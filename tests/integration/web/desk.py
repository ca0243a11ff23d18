"""A house behind its HTTP API: who renders in the test's own process, and what the tests order."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from flows.bootstrap import House
from flows.rendering import job_of
from flows.workshop import bench_options
from policy.canvas import CanvasControls, CanvasFrame, CanvasLoad, CanvasOpened
from policy.errors import ServiceFault
from policy.previews import StepReport
from policy.tasks import RenderTask, ServedBatch
from tests.integration.flows.near import render_job_near
from workers.batcher import Batcher
from workers.batches_awaited import follow, render
from workers.live_bench import LiveBench
from workers.picture_bench import PictureBench, PictureBenchOptions

BASE = "rightstep/emoji-64"
SHAPES = "rightstep/emoji-64-style-shapes"  # CC-BY-NC: refused for commercial use
HERE = "127.0.0.1"
PATIENCE = 60


class NearDriver:
    """Renders jobs in this process: at once, or when the test says so."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.is_up = True
        self.is_prompt = True
        self.started: list[tuple[str, bool]] = []

    def check(self) -> None:
        if not self.is_up:
            raise ServiceFault("No standing house takes orders.", "Start it: rightstep up.")

    def start(self, job_id: str, *, again: bool = False) -> None:
        if job_of(self.house, job_id).state.is_finished:
            return
        self.check()
        self.started.append((job_id, again))
        if self.is_prompt:
            render_job_near(self.house, job_id)


def client_of(app: FastAPI, *, address: str = HERE, host: str = HERE, **headers: str) -> TestClient:
    """A client at this machine, unless told otherwise."""
    return TestClient(app, client=(address, 50000), base_url=f"http://{host}", headers=headers)


def order(*names: str, **fields: Any) -> dict[str, Any]:
    """A manifest of foxes; ``shots`` says something of each of them."""
    shared = {"model": BASE, "prompt": "a flat fox", "method": "emoji-64-lcm", "steps": 4}
    defaults = {**shared, **fields.pop("shots", {})}
    shots = [{"name": name, "seed": seed} for seed, name in enumerate(names)]
    return {"name": "web", "territories": ["WORLD"], "defaults": defaults, "shots": shots, **fields}


class NearPort:
    """Renders what somebody waits for in this process, by the bench and the queue of a replica."""

    def __init__(self, house: House) -> None:
        options = PictureBenchOptions(bench=bench_options(house, house.settings.groups[0]), stacks=2)
        self.batcher = Batcher(PictureBench(options).render)
        self.losses = 0  # renders that come back as those of a renderer that died
        self.may_answer = threading.Event()  # unset, batches are rendered and nobody is told
        self.may_answer.set()

    async def render(self, task: RenderTask, cap: int) -> ServedBatch:
        if self.losses:
            self.losses -= 1
            raise ServiceFault("The replica died.", "Try again.")
        served = await render(self.batcher, task, cap)
        await self._let_go()
        return served

    async def follow(
        self, task: RenderTask, cap: int, shown_after: frozenset[int]
    ) -> AsyncGenerator[StepReport | ServedBatch]:
        if self.losses:
            self.losses -= 1
            raise ServiceFault("The replica died.", "Try again.")
        async for told in follow(self.batcher, task, cap, shown_after):
            if isinstance(told, ServedBatch):
                await self._let_go()
            yield told

    async def _let_go(self) -> None:
        await asyncio.to_thread(self.may_answer.wait, PATIENCE)


class NearPlace:
    """A place for a live session in this process, with the bench of a real one."""

    def __init__(self, house: House) -> None:
        self._bench = LiveBench(bench_options(house, house.settings.groups[0]))
        self.is_taken = False
        self.is_lost = False  # from now on it answers as one whose renderer died
        self.asked: list[CanvasControls | None] = []

    async def open(self, load: CanvasLoad) -> CanvasOpened:
        return await asyncio.to_thread(self._bench.open, load)

    async def frame(self, controls: CanvasControls | None) -> CanvasFrame:
        if self.is_lost:
            raise ServiceFault("The renderer died.", "Begin another session.")
        self.asked.append(controls)
        return await asyncio.to_thread(self._bench.frame, controls)

    async def release(self) -> None:
        await asyncio.to_thread(self._bench.rest)
        self.is_taken = False


class NearPlaces:
    """So many of them."""

    def __init__(self, house: House, most: int) -> None:
        self.all = [NearPlace(house) for _ in range(most)]

    @property
    def most(self) -> int:
        return len(self.all)

    def reserve(self) -> NearPlace | None:
        free = next((place for place in self.all if not place.is_taken), None)
        if free is not None:
            free.is_taken = True
        return free
