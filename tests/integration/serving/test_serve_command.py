"""`rightstep serve` in a process of its own: OpenAI's client, Ray Serve, and the built-in model."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import openai
import pytest
from PIL import Image

from flows.access import create_key
from flows.bootstrap import House, open_house
from flows.rendering import list_jobs, shots_of
from flows.settings import Settings
from policy.tasks import TakeState
from registry.live_records import LiveSession
from registry.records import JobState, TakeRecord
from registry.unit_of_work import unit_of_work
from tests.integration.web.watching import picture_in, png, sha256, watching
from workers.processes import OwnProcess, descendants

BASE = "rightstep/emoji-64"
SHAPES = "rightstep/emoji-64-style-shapes"  # CC-BY-NC: refused for commercial use
PATIENCE = 180.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running `rightstep serve`, its house seen from outside, and a key to it."""

    url: str
    key: str
    house: House
    process: subprocess.Popen[bytes]

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0, timeout=PATIENCE)

    def picture(self, **fields: object) -> openai.types.ImagesResponse:
        """One request with fields of ours in it."""
        return self.client.images.generate(model=BASE, prompt="a flat fox", extra_body=fields)


def wait_until(what: str, condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"It never came to this: {what}.")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("serving") / "home"
    house = open_house(Settings(home=home, actor="tester"))
    key = create_key(house, owner="studio", scopes=["submit", "read"], per_minute=1000, at_once=20)
    environment = os.environ | {
        "RIGHTSTEP_HOME": str(home),
        "RIGHTSTEP_SERVE_PORT": "0",
        "RIGHTSTEP_SERVE_WARM": BASE,
    }
    with (home / "serve.err").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "rightstep", "serve"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None
    url = process.stdout.readline().decode().strip()
    assert url.startswith("http://127.0.0.1:"), (home / "serve.err").read_text()
    below = descendants(process.pid)
    try:
        yield Served(url=url, key=key.secret, house=house, process=process)
    finally:
        process.terminate()
        ended = process.wait(PATIENCE)
        left = [one for one in (*below, *descendants(process.pid)) if is_running(one)]
        house.engine.dispose()
    assert ended == 0, (home / "serve.err").read_text()
    assert left == []


def is_running(process: OwnProcess) -> bool:
    """A process that ended and that nobody has asked about is no longer running."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return process.is_alive and state != "Z"
    return False


def renderer_of(served: Served, job_id: str) -> int:
    """The process that made the first picture of a job."""
    worker = shots_of(served.house, job_id)[0].worker
    assert worker is not None
    return int(worker.rpartition(":")[2])


def test_openais_client_gets_a_four_step_picture_that_is_on_record(served: Served):
    answer = served.picture()
    assert answer.data
    picture = Image.open(BytesIO(base64.b64decode(answer.data[0].b64_json or "")))
    assert (picture.format, picture.size) == ("PNG", (64, 64))
    made = answer.to_dict()["rightstep"]
    assert isinstance(made, dict)
    assert (made["method"], made["steps"], made["load_seconds"]) == ("emoji-64-lcm", 4, 0.0)
    with unit_of_work(served.house.engine, read_only=True) as work:
        shipment = work.shipments.shipment(made["shipment_id"])
        (attested,) = work.ledger.attestations(made["job_id"])
    assert [item.recipient for item in shipment.items] == ["studio"]
    assert {path.partition("/")[0] for path, _ in attested.loaded} == {"rightstep"}
    assert renderer_of(served, made["job_id"]) in {one.pid for one in descendants(served.process.pid)}


def test_two_pictures_differ_and_their_urls_need_a_key(served: Served):
    answer = served.client.images.generate(model=BASE, prompt="a 3d fox", n=2, response_format="url")
    urls = [one.url or "" for one in answer.data or ()]
    bodies = [served.client.get(urlsplit(url).path.removeprefix("/v1"), cast_to=bytes) for url in urls]
    assert len(urls) == 2
    assert bodies[0] != bodies[1]
    stranger = openai.OpenAI(base_url=f"{served.url}/v1", api_key="rs_nobody", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.get(urlsplit(urls[0]).path.removeprefix("/v1"), cast_to=bytes)


def test_a_bad_size_and_a_wrong_key_are_told_as_openai_tells_them(served: Served):
    with pytest.raises(openai.UnprocessableEntityError) as bad:
        served.client.images.generate(model=BASE, prompt="a fox", size="65x64")  # type: ignore[call-overload]
    assert bad.value.param == "size"
    stranger = openai.OpenAI(base_url=f"{served.url}/v1", api_key="rs_nobody", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.images.generate(model=BASE, prompt="a fox")


def test_a_model_that_may_not_be_hosted_is_refused_with_its_clause(served: Served):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        served.picture(loras=[{"repo": SHAPES}])
    assert refused.value.code == "refused"
    assert isinstance(refused.value.body, dict)
    (reason,) = refused.value.body["rightstep"]["reasons"]
    assert (reason["component"], reason["licence"]) == (SHAPES, "cc-by-nc-4.0")
    assert reason["clause"].startswith("2(a)(1)")


def test_those_who_wait_together_are_rendered_together(served: Served):
    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda _: served.picture().to_dict()["rightstep"], range(6)))
    assert max(answer["batch_pictures"] for answer in answers) > 1
    assert len({answer["job_id"] for answer in answers}) == 6


def test_whoever_hangs_up_has_the_job_cancelled_and_the_next_one_is_served(served: Served):
    known = {job.job_id for job in list_jobs(served.house)}
    where = urlsplit(served.url)
    body = json.dumps({"model": BASE, "prompt": "a fox", "n": 4, "steps": 8, "size": "256x256"}).encode()
    with socket.create_connection((where.hostname, where.port)) as caller:
        caller.sendall(
            b"POST /v1/images/generations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + f"Authorization: Bearer {served.key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        wait_until("a job runs", lambda: _new(served, known) and _new(served, known)[0] is JobState.RUNNING)
    wait_until("it is cancelled", lambda: _new(served, known) == [JobState.CANCELLED])
    assert served.picture().data


def _new(served: Served, known: set[str]) -> list[JobState]:
    return [job.state for job in list_jobs(served.house) if job.job_id not in known]


def test_a_picture_streams_from_its_replica_as_it_comes(served: Served):
    events = list(
        served.client.images.generate(
            model=BASE, prompt="a flat fox", stream=True, partial_images=3, extra_body={"steps": 8, "seed": 5}
        )
    )
    assert [event.type.rpartition(".")[2] for event in events] == ["partial_image"] * 3 + ["completed"]
    pictures = [np.asarray(Image.open(BytesIO(base64.b64decode(event.b64_json)))) for event in events]
    distances = [float(np.abs(one.astype(float) - pictures[-1]).mean()) for one in pictures]
    assert distances == sorted(distances, reverse=True), "each preview is nearer to the picture"
    assert distances[2] < 0.5 * float(np.abs(128.0 - pictures[-1]).mean())


def test_a_replica_that_dies_under_load_loses_no_request_and_doubles_none(served: Served):
    killed = renderer_of(served, served.picture().to_dict()["rightstep"]["job_id"])
    known = {job.job_id for job in list_jobs(served.house, 1000)}
    with ThreadPoolExecutor(8) as callers:
        asked = [callers.submit(served.picture, steps=8, n=2) for _ in range(16)]
        wait_until("some are made", lambda: sum(one.done() for one in asked) >= 2)
        os.kill(killed, signal.SIGKILL)
        answers = [one.result(PATIENCE).to_dict()["rightstep"] for one in asked]
    jobs = {answer["job_id"] for answer in answers}
    assert jobs == {job.job_id for job in list_jobs(served.house, 1000)} - known
    assert len(jobs) == len(asked)
    takes = [take for job in jobs for take in takes_of(served, job) if take.state is TakeState.DONE]
    assert len(takes) == len({(take.job_id, take.shot) for take in takes}) == 2 * len(asked)
    assert len({take.worker for take in takes}) > 1, "another replica went on"


def takes_of(served: Served, job: str) -> tuple[TakeRecord, ...]:
    with unit_of_work(served.house.engine, read_only=True) as work:
        return work.ledger.takes(job)


def test_a_replica_that_is_killed_is_replaced(served: Served):
    before = renderer_of(served, served.picture().to_dict()["rightstep"]["job_id"])
    os.kill(before, signal.SIGKILL)
    after = renderer_of(served, served.picture().to_dict()["rightstep"]["job_id"])
    assert after != before
    assert after in {one.pid for one in descendants(served.process.pid)}


def test_a_live_session_is_drawn_by_the_student_and_is_on_record(served: Served):
    with watching(served.url, authorization=f"Bearer {served.key}") as client:
        begun = client.begin(prompt="a flat red heart", fps=10)
        first = client.frame()
        client.socket.send(png((255, 230, 0)))
        client.say("change", strength=0.5)
        sketched = picture_in(client.frame_with(2)).convert("RGB").resize((1, 1)).getpixel((0, 0))
        client.say("end")
        assert client.closed() == 1000
    assert (begun["method"], begun["steps"], begun["width"]) == ("emoji-64-lcm", 4, 64)
    assert picture_in(first).size == (64, 64)
    assert sketched[2] < 150 < sketched[0], "the paper was yellow"
    with unit_of_work(served.house.engine, read_only=True) as work:
        record = work.live.session(begun["session"])
        segments = work.live.segments_of(begun["session"])
    assert (record.recipient, record.ended_because, record.method) == ("studio", "asked", "emoji-64-lcm")
    assert [one for segment in segments for one in segment.frames] == [
        (frame.number, sha256(frame)) for frame in client.frames
    ]
    assert worker_of(record) in {one.pid for one in descendants(served.process.pid)}


def test_a_live_renderer_that_is_killed_ends_its_session_and_the_next_one_gets_another(served: Served):
    with watching(served.url, authorization=f"Bearer {served.key}") as client:
        begun = client.begin()
        client.frame()
        with unit_of_work(served.house.engine, read_only=True) as work:
            killed = worker_of(work.live.session(begun["session"]))
        os.kill(killed, signal.SIGKILL)
        assert client.closed() == 4503
    with unit_of_work(served.house.engine, read_only=True) as work:
        assert work.live.session(begun["session"]).ended_because == "renderer_lost"
    with watching(served.url, authorization=f"Bearer {served.key}") as client:
        again = client.begin()
        client.frame()
    with unit_of_work(served.house.engine, read_only=True) as work:
        assert worker_of(work.live.session(again["session"])) != killed


def worker_of(session: LiveSession) -> int:
    """The process that made the frames of a session."""
    return int(session.worker.rpartition(":")[2])
