"""Ten thousand mixed requests, one in twenty of whose callers hangs up: is anything lost, doubled or kept?"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2

from benchmarks.measurement import Measurement, at_most, plain
from benchmarks.served_pictures import PATH, PATIENCE, Server, rightstep_server, wish
from flows.bootstrap import House
from flows.rendering import list_jobs
from policy.tasks import TakeState
from registry.records import JobRecord, JobState
from registry.unit_of_work import unit_of_work

REQUESTS, CALLERS = 10_000, 8
WARM = 2_000  # requests after which the memory of the server counts
LEAVES = 0.05  # of the callers
STYLE = "rightstep/emoji-64-style-shapes"  # may not be hosted commercially: refused
PAGE = 200
SETTLES = 5.0  # seconds after the end by which the last caller's cancellation is through


def measure() -> Measurement:
    """Send them, and read in the ledger what came of them."""
    with rightstep_server(RIGHTSTEP_RENDERER="synthetic", RIGHTSTEP_SERVE_QUEUE="64") as server:
        assert server.house is not None
        soak = Soak(server)
        asyncio.run(soak.run())
        time.sleep(SETTLES)
        found = _audited(server.house, soak)
    return Measurement(
        question="Are ten thousand mixed requests all accounted for, with the memory of the server flat?",
        figures=(
            at_most("", "requests without an answer whose caller stayed", soak.unanswered, 0, "requests"),
            at_most("", "pictures answered for that the ledger lacks", found["lost"], 0, "jobs"),
            at_most("", "shots rendered twice for one job", found["doubled"], 0, "shots"),
            at_most("", "answers without exactly one shipment", found["shipments"], 0, "jobs"),
            at_most("", f"jobs left open {SETTLES:.0f} seconds after the end", found["open"], 0, "jobs"),
            at_most("", "memory at the end, of that after a fifth", soak.memory[-1] / soak.memory[0], 1.1),
            plain("memory of the server at the end", soak.memory[-1], "MB"),
            plain("answers with pictures", soak.outcomes["made"], "requests"),
            plain("refused by licence", soak.outcomes["refused"], "requests"),
            plain("callers who hung up", soak.outcomes["left"], "requests"),
            plain("jobs cancelled with their caller", found["cancelled"], "jobs"),
            plain("requests a second", REQUESTS / soak.seconds, "1/s"),
        ),
        conditions=(
            f"{REQUESTS:,} requests from {CALLERS} callers on synthetic pictures: one to three pictures, "
            f"streams with partial images, idempotency keys, refusals; {LEAVES:.0%} hang up within 60 ms. "
            f"One replica, ledger on SQLite, loopback."
        ),
    )


class Soak:
    """The callers, and what they were told."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._chance = random.Random(5)
        self.outcomes: Counter[str] = Counter()
        self.unanswered = 0
        self.answered: list[str] = []  # jobs, once for each answer
        self.named: set[str] = set()  # jobs of requests with an idempotency key, which may be answered twice
        self.memory: list[float] = []
        self.seconds = 0.0

    async def run(self) -> None:
        """All requests, by so many callers at once."""
        numbers = iter(range(REQUESTS))
        loop = asyncio.get_running_loop()
        began = loop.time()
        limits = httpx2.Limits(max_connections=2 * CALLERS)
        async with httpx2.AsyncClient(base_url=self._server.url, timeout=PATIENCE, limits=limits) as client:
            await asyncio.gather(*(self._call(client, numbers) for _ in range(CALLERS)))
        self.seconds = loop.time() - began
        self.memory.append(_resident_mb(self._server.process.pid))

    async def _call(self, client: httpx2.AsyncClient, numbers: Iterator[int]) -> None:
        for number in numbers:
            if number == WARM:
                self.memory.append(_resident_mb(self._server.process.pid))
            sent = self._ask(client, number, self._chance.random())
            if self._chance.random() >= LEAVES:
                await sent
                continue
            self.outcomes["left"] += 1
            try:
                await asyncio.wait_for(sent, self._chance.uniform(0.001, 0.06))
            except TimeoutError:
                continue

    async def _ask(self, client: httpx2.AsyncClient, number: int, kind: float) -> None:
        headers, body = dict(self._server.headers), wish(number, n=1 + number % 3)
        is_stream = 0.7 <= kind < 0.85
        if is_stream:
            body = wish(number, stream=True, partial_images=2)
        elif 0.85 <= kind < 0.93:
            headers["idempotency-key"] = f'"{number // 2 * 2}"'
            body = wish(number // 2 * 2)
        elif kind >= 0.93:
            body = wish(number, loras=[{"repo": STYLE}])
        try:
            answer = await client.post(PATH, content=body, headers=headers)
        except httpx2.HTTPError:
            self.unanswered += 1
            return
        if answer.status_code == 200 and is_stream:
            job = answer.headers["x-rightstep-job"]
            if "image_generation.completed" not in answer.text:
                self.unanswered += 1
                return
        elif answer.status_code == 200:
            job = json.loads(answer.text)["rightstep"]["job_id"]
        else:
            self.outcomes["refused" if answer.status_code == 422 else str(answer.status_code)] += 1
            return
        self.outcomes["made"] += 1
        self.answered.append(job)
        if "idempotency-key" in headers:
            self.named.add(job)


def _audited(house: House, soak: Soak) -> Counter[str]:
    """What the ledger says, beside what the callers were told."""
    jobs = {job.job_id: job for job in _all_jobs(house)}
    told = Counter(soak.answered)
    found: Counter[str] = Counter()
    for job_id, job in jobs.items():
        found["open"] += not job.state.is_finished
        found["cancelled"] += job.state is JobState.CANCELLED
        with unit_of_work(house.engine, read_only=True) as work:
            takes = [take for take in work.ledger.takes(job_id) if take.state is TakeState.DONE]
            shipments = len(work.shipments.shipments_of(job_id))
        found["doubled"] += len(takes) - len({take.shot for take in takes})
        if job_id in told and job_id not in soak.named:
            found["shipments"] += shipments != 1
    found["lost"] = sum(job not in jobs or jobs[job].state is not JobState.FINISHED for job in told)
    return found


def _all_jobs(house: House) -> Iterator[JobRecord]:
    after = None
    while page := list_jobs(house, PAGE, after):
        yield from page
        after = page[-1].job_id


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
