"""Pictures while somebody waits, with the bench and the queue of a replica in this process."""

import base64
from typing import Any

from fastapi.testclient import TestClient

from flows.access import create_key
from flows.bootstrap import House
from flows.rendering import job_of, list_jobs, shots_of
from policy.tasks import TakeState
from policy.waiting import WaitingRoom
from registry.records import JobState
from registry.unit_of_work import unit_of_work
from tests.integration.web.desk import BASE, SHAPES, NearPort

PATH = "/v1/images/generations"
PNG = b"\x89PNG\r\n\x1a\n"


def wish(**fields: Any) -> dict[str, Any]:
    return {"prompt": "a flat fox", "model": BASE, **fields}


def test_a_picture_comes_back_in_the_shape_of_openai_with_how_it_was_made(client: TestClient, house: House):
    answer = client.post(PATH, json=wish(n=2, seed=7))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    pictures = [base64.b64decode(one["b64_json"]) for one in told["data"]]
    assert [picture[:8] for picture in pictures] == [PNG, PNG]
    assert pictures[0] != pictures[1]
    made = told["rightstep"]
    assert (made["method"], made["steps"], made["seeds"]) == ("emoji-64-lcm", 4, [7, 8])
    assert answer.headers["x-rightstep-method"] == "emoji-64-lcm"
    assert answer.headers["x-rightstep-job"] == made["job_id"]
    assert job_of(house, made["job_id"]).state is JobState.FINISHED
    assert job_of(house, made["job_id"]).tier == "interactive"


def test_an_answer_is_a_shipment_of_one_to_whoever_asked(client: TestClient, house: House):
    key = create_key(house, owner="studio", scopes=["submit"])
    asked = {"authorization": f"Bearer {key.secret}"}
    answer = client.post(PATH, json=wish(user="ines"), headers=asked)
    made = answer.json()["rightstep"]
    with unit_of_work(house.engine, read_only=True) as work:
        shipment = work.shipments.shipment(made["shipment_id"])
    assert [(item.recipient, item.artefact_sha256) for item in shipment.items] == [
        ("studio/ines", made["sha256"][0])
    ]
    assert shipment.actor == "studio"
    assert shipment.use.act == "host_service_commercial"


def test_a_url_leads_to_the_very_bytes(client: TestClient):
    told = client.post(PATH, json=wish(response_format="url")).json()
    fetched = client.get(told["data"][0]["url"])
    assert fetched.content.startswith(PNG)
    assert fetched.headers["etag"].strip('"') == told["rightstep"]["sha256"][0]


def test_the_same_seed_again_is_not_rendered_again(client: TestClient):
    first = client.post(PATH, json=wish(seed=3)).json()
    again = client.post(PATH, json=wish(seed=3)).json()
    assert again["data"] == first["data"]
    assert (first["rightstep"]["reused"], again["rightstep"]["reused"]) == (0, 1)
    assert again["rightstep"]["shipment_id"] != first["rightstep"]["shipment_id"]


def test_a_model_is_refused_with_the_clause_and_no_job(client: TestClient, house: House):
    answer = client.post(PATH, json=wish(loras=[{"repo": SHAPES}]))
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "refused"
    assert [(one["component"], one["licence"]) for one in error["rightstep"]["reasons"]] == [
        (SHAPES, "cc-by-nc-4.0")
    ]
    assert list_jobs(house) == ()


def test_what_is_not_known_here_is_refused_rather_than_ignored(client: TestClient):
    for field, value in {"style": "vivid", "size": "65x64", "n": 11, "output_format": "webp"}.items():
        answer = client.post(PATH, json=wish(**{field: value}))
        assert answer.status_code == 422, field
        assert answer.json()["error"]["param"] == field


def test_steps_outside_the_tier_and_a_quality_out_of_reach_are_refused(client: TestClient):
    for field in ({"steps": 40}, {"quality_floor": 1.0}):
        assert client.post(PATH, json=wish(**field)).json()["error"]["code"] == "refused", field


def test_what_would_take_longer_than_its_deadline_is_refused_at_once(client: TestClient, house: House):
    refused = client.post(PATH, json=wish(deadline_seconds=0.001)).json()
    reasons = refused["error"]["rightstep"]["reasons"]
    assert "over_latency_target" in {one["code"] for one in reasons}
    assert list_jobs(house) == ()
    assert client.post(PATH, json=wish(deadline_seconds=1000)).status_code == 200


def test_a_method_may_stand_behind_the_model(client: TestClient):
    assert client.post(PATH, json=wish(model=f"{BASE}:emoji-64-lcm")).status_code == 200
    answer = client.post(PATH, json=wish(model=f"{BASE}:emoji-64-full"))
    assert answer.json()["error"]["code"] == "refused"


def test_one_too_many_is_refused_at_once_with_seconds(client: TestClient, room: WaitingRoom, house: House):
    while room.enter(0.0) is None:
        pass
    answer = client.post(PATH, json=wish())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) >= 1
    assert list_jobs(house) == ()
    room.leave(1.0)
    assert client.post(PATH, json=wish()).status_code == 200
    assert room.taken == room.places - 1


def test_a_batch_that_was_lost_with_its_renderer_is_sent_again(
    client: TestClient, port: NearPort, house: House
):
    port.losses = 2
    made = client.post(PATH, json=wish()).json()["rightstep"]
    (shot,) = shots_of(house, made["job_id"])
    assert (shot.state, shot.attempts) == (TakeState.DONE, 3)


def test_a_renderer_that_is_lost_every_time_ends_the_request(
    client: TestClient, port: NearPort, house: House
):
    port.losses = 100
    answer = client.post(PATH, json=wish())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service-down")
    assert int(answer.headers["retry-after"]) >= 1
    (job,) = list_jobs(house)
    assert job.state is JobState.FAILED
