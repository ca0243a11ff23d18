"""Who comes in: keys by scope, how often, and whoever sits at this machine while there are no keys."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from flows.access import create_key, revoke_key
from flows.bootstrap import House
from flows.rendering import list_jobs
from policy.access import Scope
from registry.unit_of_work import unit_of_work
from rightstep.web.app import build_app
from rightstep.web.desk import Desk
from tests.integration.web.desk import NearDriver, client_of, order

UNKNOWN_JOB = "/v1/jobs/20260131-00000000"
# Every route that needs a key, and the scope that opens it.
ROUTES = [
    ("POST", "/v1/images/generations", Scope.SUBMIT),
    ("POST", "/v1/live/tickets", Scope.SUBMIT),
    ("POST", "/v1/plan", Scope.SUBMIT),
    ("POST", "/v1/jobs", Scope.SUBMIT),
    ("POST", f"{UNKNOWN_JOB}/pause", Scope.SUBMIT),
    ("POST", f"{UNKNOWN_JOB}/cancel", Scope.SUBMIT),
    ("POST", f"{UNKNOWN_JOB}/retry", Scope.SUBMIT),
    ("GET", "/v1/jobs", Scope.READ),
    ("GET", UNKNOWN_JOB, Scope.READ),
    ("GET", f"{UNKNOWN_JOB}/shots", Scope.READ),
    ("GET", f"{UNKNOWN_JOB}/shots/a/artefact", Scope.READ),
    ("GET", f"{UNKNOWN_JOB}/events", Scope.READ),
    ("GET", "/v1/models", Scope.READ),
    ("GET", "/v1/models/rightstep/emoji-64", Scope.READ),
]
OPEN = {("GET", "/healthz"), ("GET", "/readyz")}
OPEN_HERE = {("GET", "/metrics")}  # to this machine; test_metrics shows the rest


def secret_of(house: House, *scopes: str, **more: Any) -> str:
    return create_key(house, owner="studio", scopes=scopes, **more).secret


def bearing(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def kind_of(answer: Any) -> str:
    problem = answer.json()
    return str(problem.get("error", {}).get("rightstep", problem)["type"]).rpartition(":")[2]


def test_every_route_is_in_the_table_of_scopes(app: FastAPI):
    """A route that somebody adds is open to everybody until it stands here."""
    served = {(method.upper(), path) for path, found in app.openapi()["paths"].items() for method in found}
    shown = {
        (
            method,
            path.replace("20260131-00000000", "{job_id}")
            .replace("/a/", "/{name}/")
            .replace("rightstep/emoji-64", "{model}"),
        )
        for method, path, _ in ROUTES
    }
    assert served == shown | OPEN | OPEN_HERE


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_a_route_opens_to_its_scope_alone(
    client: TestClient, house: House, method: str, path: str, scope: Scope
):
    others = [one for one in Scope if one not in {scope, Scope.ADMIN}]
    closed, opened = secret_of(house, *others), secret_of(house, scope)
    assert kind_of(client.request(method, path)) == "key-missing"
    refused = client.request(method, path, headers=bearing(closed))
    assert (refused.status_code, kind_of(refused)) == (403, "scope-missing")
    assert f'scope="{scope.value}"' in refused.headers["www-authenticate"]
    admitted = client.request(method, path, headers=bearing(opened))
    assert admitted.status_code not in {401, 403}
    assert client.request(method, path, headers=bearing(secret_of(house, "admin"))).status_code not in {
        401,
        403,
    }


@pytest.mark.parametrize("path", [path for _, path in sorted(OPEN)])
def test_health_needs_no_key(client: TestClient, house: House, path: str):
    secret_of(house, "read")
    assert client.get(path).status_code == 200


def test_a_key_that_ended_or_never_was_is_told_apart(client: TestClient, house: House):
    made = create_key(house, owner="studio", scopes=["read"])
    assert client.get("/v1/jobs", headers=bearing(made.secret)).status_code == 200
    revoke_key(house, made.key.key_id, "lost")
    ended = client.get("/v1/jobs", headers=bearing(made.secret))
    assert (ended.status_code, kind_of(ended)) == (401, "key-revoked")
    assert 'error="invalid_token"' in ended.headers["www-authenticate"]
    for given in (made.secret[:-1], "x", "€", "a b"):
        answer = client.get("/v1/jobs", headers={"authorization": f"Bearer {given}".encode()})
        assert (answer.status_code, kind_of(answer)) == (401, "key-unknown")
    basic = client.get("/v1/jobs", headers={"authorization": "Basic dTpw"})
    assert (basic.status_code, kind_of(basic)) == (401, "key-missing")
    assert basic.headers["www-authenticate"] == 'Bearer realm="rightstep"'


def test_the_last_key_that_is_revoked_opens_nothing_to_those_without(client: TestClient, house: House):
    assert client.get("/v1/jobs").status_code == 200
    made = create_key(house, owner="studio", scopes=["read"])
    revoke_key(house, made.key.key_id, "lost")
    assert client.get("/v1/jobs").status_code == 401


def test_nobody_learns_of_a_job_before_the_key_is_judged(client: TestClient, house: House):
    """And no body is read either: a stranger cannot make this machine parse."""
    secret_of(house, "read")
    assert client.get(UNKNOWN_JOB).status_code == 401
    assert client.post("/v1/plan", content=b"{", headers={"content-type": "text/plain"}).status_code == 401
    assert client.post("/v1/jobs", content=b"{", headers={"content-type": "text/plain"}).status_code == 401


def test_a_key_that_asks_too_much_is_told_when_to_come_back(client: TestClient, house: House):
    secret = secret_of(house, "read", per_minute=2)
    other = secret_of(house, "read", per_minute=1)
    answers = [client.get("/v1/jobs", headers=bearing(secret)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["retry-after"] == "30"
    assert kind_of(answers[-1]) == "too-many-requests"
    assert client.get("/v1/jobs", headers=bearing(other)).status_code == 200


def test_a_slot_is_given_back_when_a_request_ends_whatever_its_end(client: TestClient, house: House):
    secret = secret_of(house, "read", "submit", at_once=1)
    for method, path in [
        ("GET", "/v1/jobs"),
        ("GET", UNKNOWN_JOB),
        ("GET", "/v1/jobs?limit=0"),
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs"),
    ]:
        assert client.request(method, path, headers=bearing(secret)).status_code != 429


def test_a_job_is_in_the_name_of_the_key_that_ordered_it(
    client: TestClient, driver: NearDriver, house: House
):
    driver.is_prompt = False
    secret = secret_of(house, "submit")
    job = client.post("/v1/jobs", json=order("a"), headers=bearing(secret)).json()
    assert (job["actor"], job["owner"]) == ("studio", "studio")
    cancelled = client.post(f"/v1/jobs/{job['job_id']}/cancel", headers=bearing(secret)).json()
    assert cancelled["detail"] == "Cancelled by studio."


def test_two_keys_may_choose_the_same_idempotency_key(client: TestClient, driver: NearDriver, house: House):
    driver.is_prompt = False
    name = {"idempotency-key": "1"}
    one, two = secret_of(house, "submit"), secret_of(house, "submit")
    first = client.post("/v1/jobs", json=order("a"), headers=bearing(one) | name)
    second = client.post("/v1/jobs", json=order("b"), headers=bearing(two) | name)
    assert (first.status_code, second.status_code) == (201, 201)
    assert len(list_jobs(house)) == 2


class Studio:
    """Whoever brings pictures on demand, with one route of each kind that this test is about."""

    def router(self, desk: Desk) -> APIRouter:
        router = APIRouter(prefix="/v1/images")

        @router.get("/made", dependencies=[desk.doors.needs(Scope.SHIP)])
        def made() -> str:
            return "a picture"

        return router


def test_pictures_on_demand_come_behind_the_same_door_and_each_use_is_recorded(
    house: House, driver: NearDriver
):
    client = client_of(build_app(house, driver=driver, images=Studio()))
    secret, weaker = secret_of(house, "ship"), secret_of(house, "read")
    assert client.get("/v1/images/made", headers=bearing(secret)).json() == "a picture"
    refused = client.get("/v1/images/made", headers=bearing(weaker)).json()["error"]
    assert (refused["type"], refused["code"]) == ("permission_error", "scope-missing")
    with unit_of_work(house.engine, read_only=True) as work:
        events = [chained.event for chained in work.audit.events(after=0)]
    uses = [event for event in events if event.tag == "access:key:used"]
    assert len(uses) == 1
    assert "GET /v1/images/made" in uses[0].payload


def test_without_a_studio_there_are_no_such_routes(client: TestClient):
    assert client.get("/v1/images/made").status_code == 404


@pytest.mark.parametrize(
    "where",
    [
        {"address": "192.0.2.7"},
        {"host": "studio.example"},
        {"x_forwarded_for": "192.0.2.7"},
        {"origin": "http://studio.example"},
        {"sec_fetch_site": "cross-site"},
    ],
)
def test_without_keys_only_this_machine_is_let_in(app: FastAPI, where: dict[str, str]):
    named = {
        name.replace("_", "-"): value for name, value in where.items() if name not in {"address", "host"}
    }
    place = {name: where[name] for name in ("address", "host") if name in where}
    answer = client_of(app, **place, **named).get("/v1/jobs")
    assert (answer.status_code, kind_of(answer)) == (401, "key-missing")


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"])
def test_a_browser_at_this_machine_may_ask_its_own_page(app: FastAPI, host: str):
    headers = {"origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    assert client_of(app, host=host, **headers).get("/v1/jobs").status_code == 200


def test_a_key_opens_from_anywhere(app: FastAPI, house: House):
    client = client_of(app, address="192.0.2.7", host="studio.example")
    assert client.get("/v1/jobs", headers=bearing(secret_of(house, "read"))).status_code == 200


def test_a_secret_is_in_no_log(client: TestClient, house: House, capsys: Callable[..., Any]):
    secret = secret_of(house, "read")
    client.get("/v1/jobs", headers=bearing(secret))
    client.get("/v1/jobs", headers=bearing(f"{secret}x"))
    logged = (house.settings.logs / "rightstep.log").read_text()
    assert "request.ended" in logged
    assert secret.rpartition("_")[2] not in logged
