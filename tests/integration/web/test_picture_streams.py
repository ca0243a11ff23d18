"""Pictures as events, on a real socket, to OpenAI's client; and keys that end while somebody waits."""

import base64
import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
import pytest
from fastapi import FastAPI
from PIL import Image

from flows.access import create_key, revoke_key
from flows.bootstrap import House
from flows.rendering import job_of, list_jobs
from policy.waiting import WaitingRoom
from registry.records import JobState
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import PATIENCE, wait_until
from tests.integration.web.desk import BASE, HERE, SHAPES, NearDriver, NearPort, order
from tests.integration.web.listening import served

WISH = {"model": BASE, "prompt": "a flat fox"}


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    with served(app) as at:
        yield at


def client_at(address: str, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=PATIENCE)


@pytest.fixture
def key(house: House) -> Any:
    return create_key(house, owner="studio", scopes=["submit", "read"])


def test_openais_client_is_shown_a_picture_on_its_way_and_then_the_picture(
    address: str, key: Any, house: House
):
    client = client_at(address, key.secret)
    events = list(
        client.images.generate(**WISH, stream=True, partial_images=2, extra_body={"seed": 7})  # type: ignore[call-overload]
    )
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]
    assert {(event.size, event.output_format) for event in events} == {("64x64", "png")}
    shown = [Image.open(io.BytesIO(base64.b64decode(event.b64_json))) for event in events]
    assert [one.info.get("rightstep:preview") for one in shown] == ["2/4", "3/4", None]
    made = events[-1].to_dict()["rightstep"]
    job = job_of(house, made["job_id"])
    assert (job.state, dict(job.labels)["partial_images"]) == (JobState.FINISHED, "2")
    again = client.images.generate(**WISH, extra_body={"seed": 7})
    assert again.data[0].b64_json == events[-1].b64_json


def test_several_pictures_come_each_with_its_place_and_steps_are_told_to_whoever_asks(address: str, key: Any):
    asked = {**WISH, "n": 2, "stream": True, "progress": True}
    with httpx2.Client(base_url=address, timeout=PATIENCE, headers=headers_of(key.secret)) as client:
        answer = client.post("/v1/images/generations", json=asked)
    assert answer.headers["x-rightstep-steps"] == "4"
    events = [
        json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line[:5] == "data:"
    ]
    steps = [(event["picture"], event["step"]) for event in events if event["type"] == "rightstep.step"]
    assert sorted(steps) == [(picture, step) for picture in (0, 1) for step in (1, 2, 3, 4)]
    done = [
        event["rightstep"]["picture"] for event in events if event["type"] == "image_generation.completed"
    ]
    assert done == [0, 1]


def headers_of(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def test_a_refusal_comes_before_the_stream_and_a_failure_as_its_last_event(
    address: str, key: Any, port: NearPort
):
    client = client_at(address, key.secret)
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.images.generate(**WISH, stream=True, extra_body={"loras": [{"repo": SHAPES}]})
    assert refused.value.code == "refused"
    port.losses = 100
    with pytest.raises(openai.APIError) as broken:
        list(client.images.generate(**WISH, stream=True))
    assert broken.value.code == "service-down"


def test_a_key_that_is_revoked_while_a_stream_runs_sees_nothing_more(
    address: str, key: Any, house: House, port: NearPort, room: WaitingRoom
):
    port.may_answer.clear()
    stream = client_at(address, key.secret).images.generate(**WISH, stream=True, partial_images=1)
    assert next(iter(stream)).type == "image_generation.partial_image"
    revoke_key(house, key.key.key_id, "lost")
    port.may_answer.set()
    with pytest.raises(openai.APIError) as ended:
        list(stream)
    assert ended.value.code == "key-revoked"
    wait_until("the place is free", lambda: room.taken == 0)
    assert [job.state for job in list_jobs(house)] == [JobState.CANCELLED]
    assert shipments_of(house) == 0


def test_a_key_that_is_revoked_while_a_picture_is_made_gets_no_picture(
    address: str, key: Any, house: House, port: NearPort
):
    port.may_answer.clear()
    with httpx2.Client(base_url=address, timeout=PATIENCE, headers=headers_of(key.secret)) as client:
        request = client.build_request("POST", "/v1/images/generations", json=WISH)
        answers: list[httpx2.Response] = []
        thread = threading.Thread(target=lambda: answers.append(client.send(request)))
        thread.start()
        wait_until("the order is accepted", lambda: list_jobs(house))
        revoke_key(house, key.key.key_id, "lost")
        port.may_answer.set()
        thread.join(PATIENCE)
    assert answers[0].status_code == 401
    assert answers[0].json()["error"]["code"] == "key-revoked"
    wait_until("the job is cancelled", lambda: list_jobs(house)[0].state is JobState.CANCELLED)
    assert shipments_of(house) == 0


def test_a_key_that_is_revoked_while_it_follows_a_job_is_told_so(
    address: str, key: Any, house: House, driver: NearDriver
):
    driver.is_prompt = False
    with httpx2.Client(base_url=address, headers=headers_of(key.secret), timeout=PATIENCE) as client:
        job = client.post("/v1/jobs", json=order("fox")).json()["job_id"]
    url = f"{address}/v1/jobs/{job}/events"
    with httpx2.stream("GET", url, headers=headers_of(key.secret), timeout=PATIENCE) as response:
        lines = response.iter_lines()
        assert next(line for line in lines if line.startswith("event:")) == "event: progress"
        revoke_key(house, key.key.key_id, "lost")
        rest = list(lines)
    assert rest[-3] == "event: error"
    assert json.loads(rest[-2].removeprefix("data: "))["type"] == "urn:rightstep:problem:key-revoked"


def test_whoever_leaves_a_stream_has_the_job_cancelled(address: str, key: Any, house: House, port: NearPort):
    port.may_answer.clear()
    stream = client_at(address, key.secret).images.generate(**WISH, stream=True, partial_images=1)
    assert next(iter(stream)).type == "image_generation.partial_image"
    stream.close()
    wait_until("the job is cancelled", lambda: list_jobs(house)[0].state is JobState.CANCELLED)
    port.may_answer.set()
    assert shipments_of(house) == 0


def test_a_slow_reader_holds_up_nobody_and_misses_nothing(
    address: str, key: Any, house: House, room: WaitingRoom
):
    body = json.dumps({**WISH, "n": 10, "stream": True, "partial_images": 3}).encode()
    head = (
        f"POST /v1/images/generations HTTP/1.1\r\nhost: {HERE}\r\nauthorization: Bearer {key.secret}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((HERE, urlsplit(address).port))
        slow.sendall(head.encode() + body)
        wait_until("its pictures are made", lambda: shipments_of(house) == 1)
        assert room.taken == 0
        assert client_at(address, key.secret).images.generate(**WISH).data
        received = b""
        while part := slow.recv(4096):
            received += part
    text = received.decode()
    assert text.count("event: image_generation.completed") == 10
    assert text.count("event: image_generation.partial_image") == 30


def shipments_of(house: House) -> int:
    with unit_of_work(house.engine, read_only=True) as work:
        return len(work.shipments.all())
