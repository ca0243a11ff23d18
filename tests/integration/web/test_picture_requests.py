"""Requests that come twice, that have little time, and that may get less than they asked for."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from flows.access import create_key
from flows.bootstrap import House
from flows.rendering import job_of, list_jobs
from flows.steering import cancel_job
from policy.waiting import WaitingRoom
from registry.records import JobState
from registry.unit_of_work import unit_of_work
from tests.integration.flows.jobs.night import PATIENCE, wait_until
from tests.integration.web.desk import BASE, NearPort
from tests.integration.web.listening import served

PATH = "/v1/images/generations"
WISH = {"prompt": "a flat fox", "model": BASE}
AGAIN = {"idempotency-key": '"fox-1"'}


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    with served(app) as at:
        yield at


@pytest.fixture
def client(address: str) -> Iterator[httpx2.Client]:
    """On a real socket: what comes twice has to meet in one event loop."""
    with httpx2.Client(base_url=address, timeout=PATIENCE) as opened:
        yield opened


def made(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["rightstep"]
    return told


def asked_aside(
    client: httpx2.Client, headers: dict[str, str], **fields: Any
) -> tuple[threading.Thread, list[Any]]:
    """A request in a thread of its own, and the list that its answer comes into."""
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(client.post(PATH, json={**WISH, **fields}, headers=headers))
    )
    thread.start()
    return thread, answers


def test_the_same_key_is_the_same_job_rendered_once_and_delivered_again(client: httpx2.Client, house: House):
    first, again = (client.post(PATH, json=WISH, headers=AGAIN) for _ in range(2))
    assert first.json()["data"] == again.json()["data"], "although no seed was given"
    assert made(again)["job_id"] == made(first)["job_id"]
    assert (made(first)["reused"], made(again)["reused"]) == (0, 1)
    with unit_of_work(house.engine, read_only=True) as work:
        shipments = work.shipments.shipments_of(made(first)["job_id"])
    assert {one.shipment_id for one in shipments} == {made(first)["shipment_id"], made(again)["shipment_id"]}


def test_how_an_answer_is_told_is_no_part_of_the_request(client: httpx2.Client, house: House):
    first = made(client.post(PATH, json=WISH, headers=AGAIN))
    streamed = client.post(PATH, json={**WISH, "stream": True, "partial_images": 1}, headers=AGAIN)
    assert first["job_id"] in streamed.text
    assert len(list_jobs(house)) == 1


def test_a_key_for_another_request_is_refused_and_one_of_another_client_is_its_own(
    client: httpx2.Client, house: House
):
    keys = [create_key(house, owner=name, scopes=["submit"]).secret for name in ("ann", "bob")]
    ann, bob = ({**AGAIN, "authorization": f"Bearer {key}"} for key in keys)
    first = made(client.post(PATH, json=WISH, headers=ann))
    refused = client.post(PATH, json={**WISH, "prompt": "a 3d fox"}, headers=ann)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "idempotency-key-reused")
    assert made(client.post(PATH, json=WISH, headers=bob))["job_id"] != first["job_id"]


def test_two_at_once_with_one_key_share_one_run_and_another_body_is_refused_meanwhile(
    client: httpx2.Client, house: House, port: NearPort, room: WaitingRoom
):
    port.may_answer.clear()
    asked = [asked_aside(client, AGAIN) for _ in range(2)]
    wait_until("the order is accepted", lambda: list_jobs(house))
    other = client.post(PATH, json={**WISH, "n": 2}, headers=AGAIN)
    assert other.json()["error"]["code"] == "idempotency-key-reused"
    assert room.taken == 1
    port.may_answer.set()
    for thread, _ in asked:
        thread.join(PATIENCE)
    (one,), (two,) = (answers for _, answers in asked)
    assert made(one) == made(two)
    assert len(list_jobs(house)) == 1


@pytest.mark.parametrize("end", ["cancelled", "lost"])
def test_a_key_whose_job_came_to_nothing_is_made_anew(
    client: httpx2.Client, house: House, port: NearPort, end: str
):
    if end == "lost":
        port.losses = 100
        assert client.post(PATH, json=WISH, headers=AGAIN).status_code == 503
        port.losses = 0
    else:
        port.may_answer.clear()
        thread, answers = asked_aside(client, AGAIN)
        wait_until("the order is accepted", lambda: list_jobs(house))
        cancel_job(house, list_jobs(house)[0].job_id)
        port.may_answer.set()
        thread.join(PATIENCE)
        assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (409, "wrong-moment")
    job = made(client.post(PATH, json=WISH, headers=AGAIN))["job_id"]
    assert sorted(one.state for one in list_jobs(house)) == sorted(
        [JobState.FINISHED, JobState.FAILED if end == "lost" else JobState.CANCELLED]
    )
    assert job_of(house, job).state is JobState.FINISHED


def test_what_is_not_made_in_the_time_it_has_is_given_up(
    client: httpx2.Client, house: House, port: NearPort, room: WaitingRoom
):
    port.may_answer.clear()
    answer = client.post(PATH, json={**WISH, "deadline_seconds": 2})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "too-late")
    (job,) = list_jobs(house)
    assert job.state is JobState.CANCELLED
    assert room.taken == 0
    port.may_answer.set()
    assert client.post(PATH, json=WISH).status_code == 200


def busy(room: WaitingRoom, *, wait: float) -> None:
    """Let somebody be inside who takes so many seconds, by what the room has seen."""
    now = time.monotonic()
    room.enter(now - wait)
    room.leave(now)
    room.enter(now)
    assert room.wait == pytest.approx(wait)


def test_whoever_has_less_time_than_those_before_take_is_turned_away_at_once(
    client: httpx2.Client, house: House, room: WaitingRoom
):
    busy(room, wait=20.0)
    answer = client.post(PATH, json={**WISH, "deadline_seconds": 5})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) >= 15
    assert list_jobs(house) == ()
    assert client.post(PATH, json=WISH).status_code == 200, "who has all the time in the world may wait"


def predicted(client: httpx2.Client, steps: int) -> float:
    """Seconds, p95, that a picture of so many steps is predicted to take."""
    order = {"name": "one", "tier": "interactive", "shots": [{"name": "fox", **WISH, "steps": steps}]}
    (decision,) = client.post("/v1/plan", json=order).json()["decisions"]
    seconds: float = decision["seconds_p95"]
    return seconds


def test_load_makes_steps_fewer_only_where_the_request_allows_it_and_the_answer_says_so(
    client: httpx2.Client, room: WaitingRoom
):
    between = (predicted(client, 4) + predicted(client, 8)) / 2
    busy(room, wait=20.0)
    hurried = {**WISH, "steps": 8, "deadline_seconds": 20.0 + between}
    assert client.post(PATH, json=hurried).json()["error"]["code"] == "refused"
    answer = client.post(PATH, json={**hurried, "may_degrade": True})
    assert (made(answer)["steps"] < 8, made(answer)["is_degraded"]) == (True, True)
    assert answer.headers["x-rightstep-degraded"] == "true"
    calm = client.post(PATH, json={**hurried, "may_degrade": True, "deadline_seconds": 1000})
    assert (made(calm)["steps"], made(calm)["is_degraded"]) == (8, False)
