"""What is turned away before anybody reads it, how failures are told, and what never leaves the house."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from flows.bootstrap import House
from flows.rendering import list_jobs
from policy.errors import RightstepError, StorageFault
from registry.unit_of_work import unit_of_work
from rightstep.web.app import build_app
from rightstep.web.desk import Desk
from rightstep.web.limits import Limits
from tests.integration.web.desk import NearDriver, client_of, order

JSON = {"content-type": "application/json"}


def kind_of(answer: Any) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


@pytest.fixture
def strict(house: House, driver: NearDriver) -> TestClient:
    limits = Limits(body=100, bodies={"/v1/plan": 2000}, path=200, headers=1000)
    return client_of(build_app(house, driver=driver, limits=limits))


def test_a_body_that_says_it_is_too_large_is_not_read(strict: TestClient):
    answer = strict.post("/v1/plan", content=b"x" * 2001, headers=JSON)
    assert (answer.status_code, kind_of(answer)) == (413, "body-too-large")


def test_a_body_that_does_not_say_its_size_is_cut_where_it_becomes_too_large(strict: TestClient):
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(10_000):
            taken += 1
            yield b" " * 100

    answer = strict.post("/v1/plan", content=endless(), headers=JSON)
    assert (answer.status_code, kind_of(answer)) == (413, "body-too-large")


def test_a_body_of_the_largest_size_is_read(strict: TestClient):
    body = json.dumps(order("a")).encode().ljust(2000)
    assert strict.post("/v1/plan", content=body, headers=JSON).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers", "status", "kind"),
    [
        ("/v1/jobs?" + "x" * 200, {}, 414, "path-too-long"),
        ("/v1/jobs/%00", {}, 400, "malformed-request"),
        ("/v1/jobs/%0a", {}, 400, "malformed-request"),
        ("/v1/%2e%2e/jobs", {}, 400, "malformed-request"),
        ("/v1/jobs/..%2f..", {}, 400, "malformed-request"),
        ("/v1//jobs", {}, 400, "malformed-request"),
        ("/v1/jobs%5c", {}, 400, "malformed-request"),
        ("/v1/jobs", {"x-large": "x" * 1000}, 431, "headers-too-large"),
        ("/v1/jobs", {"content-encoding": "gzip"}, 415, "unsupported-media-type"),
        ("/v1/jobs", {"content-length": "-1"}, 400, "malformed-request"),
        ("/v1/jobs", {"content-length": "9" * 30}, 413, "body-too-large"),
    ],
)
def test_a_request_of_no_good_form_is_turned_away(
    strict: TestClient, path: str, headers: dict[str, str], status: int, kind: str
):
    answer = strict.get(path, headers=headers)
    assert (answer.status_code, kind_of(answer)) == (status, kind)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_header_that_must_stand_once_may_not_stand_twice(client: TestClient):
    twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
    answer = client.get("/v1/jobs", headers=twice)
    assert (answer.status_code, kind_of(answer)) == (400, "malformed-request")


def test_a_request_keeps_the_id_that_it_came_with(client: TestClient, house: House):
    answer = client.get("/v1/nothing", headers={"x-request-id": "night-7.a_b"})
    assert answer.headers["x-request-id"] == "night-7.a_b"
    assert answer.json()["instance"] == "urn:rightstep:request:night-7.a_b"
    logged = [json.loads(line) for line in (house.settings.logs / "rightstep.log").read_text().splitlines()]
    ended = [event for event in logged if event["event"] == "request.ended"]
    assert ended[-1]["request_id"] == "night-7.a_b"
    assert (ended[-1]["status"], ended[-1]["path"]) == (404, "/v1/nothing")


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, 'a"}{"event":"forged"'])
def test_an_id_that_could_forge_a_log_is_replaced(client: TestClient, given: str):
    answer = client.get("/healthz", headers={"x-request-id": given})
    assert len(answer.headers["x-request-id"]) == 32


def test_what_the_framework_answers_is_a_problem_too(client: TestClient):
    for method, path, status, kind in [
        ("GET", "/nothing", 404, "no-such-path"),
        ("DELETE", "/v1/jobs", 405, "wrong-method"),
        ("GET", "/v1/jobs?limit=x", 422, "invalid-request"),
        ("GET", "/v1/jobs/..x", 422, "invalid-request"),
    ]:
        answer = client.request(method, path)
        assert (answer.status_code, kind_of(answer)) == (status, kind)
    faults = client.get("/v1/jobs?limit=0&after=x").json()["errors"]
    assert [fault["where"] for fault in faults] == ["query.limit", "query.after"]


def test_clients_of_openai_find_their_own_shape(client: TestClient):
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    one = next(model for model in listed["data"] if model["id"] == "rightstep/emoji-64")
    assert (one["object"], one["rightstep"]["verdict"]["ruling"]) == ("model", "permit")
    assert client.get("/v1/models/rightstep/emoji-64").json() == one
    for path, status, usual, param in [
        ("/v1/models/no/model", 404, "invalid_request_error", None),
        ("/v1/models?use=x", 422, "invalid_request_error", "use"),
    ]:
        answer = client.get(path)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["param"]) == (status, usual, param)
        assert error["rightstep"]["status"] == status


class Broken:
    """Routes that fail as a disk, a ledger or a defect of ours would."""

    def __init__(self, house: House) -> None:
        self.house = house

    def router(self, desk: Desk) -> APIRouter:
        del desk
        router = APIRouter(prefix="/broken")
        home = self.house.settings.home

        @router.get("/disk")
        def disk() -> None:
            raise StorageFault(f"The disk is full: {home}/artefacts/ab.png.", f"Free space under {home}.")

        @router.get("/defect")
        def defect() -> None:
            raise KeyError(f"{home}/secret")

        @router.get("/other")
        def other() -> None:
            raise RightstepError(f"Nobody foresaw {home}.")

        return router


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [("disk", 503, "storage-fault"), ("defect", 500, "broken"), ("other", 500, "broken")],
)
def test_what_broke_is_in_the_log_and_not_in_the_answer(
    house: House, driver: NearDriver, path: str, status: int, kind: str
):
    client = client_of(build_app(house, driver=driver, images=Broken(house)))
    answer = client.get(f"/broken/{path}", headers={"x-request-id": "here"})
    assert (answer.status_code, kind_of(answer)) == (status, kind)
    assert answer.headers["x-request-id"] == "here"
    assert str(house.settings.home) not in answer.text
    logged = (house.settings.logs / "rightstep.log").read_text()
    events = [json.loads(line) for line in logged.splitlines()]
    assert any(
        str(house.settings.home) in json.dumps(event) for event in events if event["request_id"] == "here"
    )


def test_no_answer_names_a_folder_of_this_machine(client: TestClient, house: House, driver: NearDriver):
    driver.is_prompt = False
    job = client.post("/v1/jobs", json=order("a")).json()["job_id"]
    with unit_of_work(house.engine) as work:
        work.ledger.hold(job, reason=f"No room under {house.settings.artefacts}/tmp/x.part; make some.")
        work.commit()
    seen = [
        client.get(path).text
        for path in (
            "/readyz",
            "/v1/models",
            "/v1/jobs",
            f"/v1/jobs/{job}",
            f"/v1/jobs/{job}/shots",
            "/openapi.json",
        )
    ]
    seen += [client.post("/v1/plan", json=order("a")).text, client.get(f"/v1/jobs/{job}/events").text]
    assert [text for text in seen if str(house.settings.home.parent) in text] == []
    assert client.get(f"/v1/jobs/{job}").json()["detail"] == "No room under x.part; make some."


def test_readiness_follows_ledger_and_renderers(client: TestClient, house: House, driver: NearDriver):
    assert client.get("/readyz").json()["is_ready"]
    driver.is_up = False
    found = client.get("/readyz")
    assert found.status_code == 503
    assert {check["check"]: check["is_ready"] for check in found.json()["checks"]} == {
        "ledger": True,
        "renderers": False,
    }
    driver.is_up = True
    with house.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE alembic_version SET version_num = '0001_create_the_model_registry'"
        )
    assert client.get("/readyz").status_code == 503
    with house.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE requests")
        connection.exec_driver_sql("ALTER TABLE jobs RENAME TO gone")
    broken = client.get("/readyz")
    assert broken.status_code == 503
    assert "gone" not in broken.text
    assert client.get("/healthz").status_code == 200
    down = client.get("/v1/jobs")
    assert (down.status_code, kind_of(down)) == (503, "service-down")
    assert "no such table" not in down.text


def test_a_ledger_that_is_down_loses_no_order(app: FastAPI, client: TestClient, house: House):
    """The order that is answered with 503 can be sent again."""
    with house.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE requests RENAME TO away")
    key = {"idempotency-key": "1"}
    assert client.post("/v1/jobs", json=order("a"), headers=key).status_code == 503
    assert list_jobs(house) == ()
    with house.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO requests")
    assert client.post("/v1/jobs", json=order("a"), headers=key).status_code == 201
