"""What /metrics tells, read by Prometheus' own parser, of requests that were really answered."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from flows.access import create_key
from flows.bootstrap import House, open_house
from flows.settings import Settings
from policy.waiting import WaitingRoom
from rightstep.web.app import build_app
from rightstep.web.pictures import PictureStudio
from tests.integration.flows.jobs.night import wait_until
from tests.integration.web.desk import SHAPES, NearDriver, NearPort, client_of, order
from tests.integration.web.listening import following, served

PATH = "/v1/images/generations"
STAGES = {"plan", "wait", "load", "denoise", "store", "deliver"}
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def wish(**fields: object) -> dict[str, object]:
    return {"prompt": "a flat fox", "model": "rightstep/emoji-64", **fields}


def figures_of(client: TestClient, **headers: str) -> Figures:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def figure(figures: Figures, name: str, **labels: str) -> float:
    return figures.get((name, frozenset(labels.items())), 0.0)


def test_a_picture_is_counted_with_its_method_its_stages_and_its_device_time(client: TestClient):
    before = figures_of(client)
    assert figure(before, "rightstep_batches_total") == 0
    client.post(PATH, json=wish(n=2, seed=1))
    client.post(PATH, json=wish(n=1, seed=9))
    now = figures_of(client)
    assert figure(now, "rightstep_pictures_total", method="emoji-64-lcm") == 3
    assert figure(now, "rightstep_batches_total") == 2
    assert figure(now, "rightstep_batch_pictures_sum") == 2 + 2 + 1, "each picture by the batch it was in"
    assert figure(now, "rightstep_stack_loads_total") == 1, "the second found it resident"
    assert figure(now, "rightstep_picture_device_seconds_total") > 0
    answered = {"method": "POST", "route": PATH}
    assert figure(now, "rightstep_http_requests_total", **answered, status="200") == 2
    assert figure(now, "rightstep_http_request_duration_seconds_count", **answered) == 2
    told = {dict(labels)["stage"] for name, labels in now if name == "rightstep_request_stage_seconds_count"}
    assert told == STAGES


def test_the_stages_of_a_request_are_no_longer_than_the_request(client: TestClient, house: House):
    client.post(PATH, json=wish(n=3, seed=1), headers={"x-request-id": "timed"})
    (line,) = lines_of(house, "timed")
    assert set(line["stages"]) == STAGES
    assert sum(line["stages"].values()) <= line["seconds"]


def test_a_picture_that_is_shown_on_its_way_is_counted_like_any_other(client: TestClient, house: House):
    asked = wish(seed=1, stream=True, partial_images=1)
    answer = client.post(PATH, json=asked, headers={"x-request-id": "streamed"})
    assert "image_generation.completed" in answer.text
    now = figures_of(client)
    assert figure(now, "rightstep_pictures_total", method="emoji-64-lcm") == 1
    assert figure(now, "rightstep_event_streams_open") == 0
    (line,) = lines_of(house, "streamed")
    assert line["job"] == answer.headers["x-rightstep-job"]
    assert set(line["stages"]) == STAGES  # type: ignore[arg-type]  # JSON


def test_a_batch_that_callers_share_is_counted_once(client: TestClient, port: NearPort):
    """Two requests that wait together: whichever way they are batched, the shares add up to batches."""
    with ThreadPoolExecutor(3) as callers:
        list(callers.map(lambda seed: client.post(PATH, json=wish(seed=seed)), (1, 2, 3)))
    now = figures_of(client)
    assert figure(now, "rightstep_pictures_total", method="emoji-64-lcm") == 3
    batches = figure(now, "rightstep_batches_total")
    assert batches == pytest.approx(round(batches))
    assert 1 <= round(batches) <= 3


def test_refusals_are_counted_by_their_reason_and_what_was_turned_away_by_its_code(
    client: TestClient, room: WaitingRoom
):
    client.post(PATH, json=wish(loras=[{"repo": SHAPES}]))
    room.taken = room.places
    assert client.post(PATH, json=wish()).status_code == 503
    now = figures_of(client)
    assert figure(now, "rightstep_refusals_total", reason="noncommercial_licence") == 1
    assert figure(now, "rightstep_http_problems_total", code="refused", status="422") == 1
    assert figure(now, "rightstep_http_problems_total", code="busy", status="503") == 1
    assert figure(now, "rightstep_waiting_room_places_taken") == room.places == 3


def test_labels_are_templates_and_never_what_a_caller_wrote(client: TestClient):
    job = client.post("/v1/jobs", json=order("secret-shot")).json()["job_id"]
    client.get(f"/v1/jobs/{job}")
    client.get(f"/v1/jobs/{job}/shots/secret-shot/artefact")
    client.get("/v1/nowhere/secret-path")
    client.request("BREW", "/secret-path")
    client.get("/healthz")
    text = client.get("/metrics").text
    assert job not in text
    assert "secret" not in text
    assert "BREW" not in text
    now = figures_of(client)
    routes = {dict(labels)["route"] for name, labels in now if name == "rightstep_http_requests_total"}
    assert {"/v1/jobs", "/v1/jobs/{job_id}", "/healthz", "unknown"} <= routes
    assert figure(now, "rightstep_http_requests_total", method="GET", route="unknown", status="404") == 1


def test_the_ledger_is_counted_by_state_and_asked_once_for_many_scrapes(
    client: TestClient, driver: NearDriver
):
    driver.is_prompt = False
    client.post("/v1/jobs", json=order("a", "b"))
    first = figures_of(client)
    assert figure(first, "rightstep_jobs", state="queued") == 1
    assert figure(first, "rightstep_jobs", state="failed") == 0
    assert figure(first, "rightstep_shots_open") == 2
    client.post("/v1/jobs", json=order("c", name="another"))
    assert figure(figures_of(client), "rightstep_jobs", state="queued") == 1, "counted a moment ago"


def test_a_ledger_that_does_not_answer_leaves_the_other_figures(tmp_path: Path):
    house = open_house(Settings(home=tmp_path / "lost", renderer="synthetic", workers=1, actor="tester"))
    client = client_of(build_app(house, driver=NearDriver(house)))
    house.engine.dispose()
    for file in (tmp_path / "lost").glob("ledger.sqlite3*"):
        file.unlink()
    (tmp_path / "lost" / "ledger.sqlite3").mkdir()
    assert client.get("/v1/jobs").status_code == 503
    found = figures_of(client)
    assert figure(found, "rightstep_ledger_up") == 0
    assert not any(name == "rightstep_jobs" for name, _ in found)
    assert figure(found, "rightstep_http_problems_total", code="service-down", status="503") == 1


def test_prices_make_money_of_device_time(tmp_path: Path):
    settings = Settings(
        home=tmp_path / "home", renderer="synthetic", workers=1, price_per_device_hour=36.0, currency="EUR"
    )
    house = open_house(settings)
    port = NearPort(house)
    room = WaitingRoom(places=2)
    studio = PictureStudio(port=port, room=room)
    client = client_of(build_app(house, driver=NearDriver(house), images=studio, room=room))
    try:
        client.post(PATH, json=wish())
        now = figures_of(client)
    finally:
        port.batcher.close()
        house.engine.dispose()
    spent = figure(now, "rightstep_picture_device_seconds_total")
    assert figure(now, "rightstep_picture_cost_total", currency="EUR") == pytest.approx(spent / 100)


def test_streams_are_counted_while_they_are_open(app: FastAPI, client: TestClient, driver: NearDriver):
    driver.is_prompt = False
    job = client.post("/v1/jobs", json=order("a")).json()["job_id"]
    with served(app) as address:
        with following(address, job) as events:
            next(events)
            assert figure(figures_of(client), "rightstep_event_streams_open") == 1
        wait_until(
            "the stream is closed",
            lambda: figure(figures_of(client), "rightstep_event_streams_open") == 0,
        )


def test_this_machine_reads_figures_without_a_key_and_every_other_with_one_that_may_read(
    app: FastAPI, house: House
):
    reads = create_key(house, owner="prometheus", scopes=["read"])
    submits = create_key(house, owner="shop", scopes=["submit"])
    near, far = client_of(app), client_of(app, address="192.0.2.7", host="studio.example")
    assert figures_of(near)
    assert near.get("/metrics", headers={"x-forwarded-for": "192.0.2.7"}).status_code == 401
    assert far.get("/metrics").status_code == 401
    assert far.get("/metrics", headers={"authorization": f"Bearer {submits.secret}"}).status_code == 403
    assert figures_of(far, authorization=f"Bearer {reads.secret}")


def lines_of(house: House, request_id: str) -> list[dict[str, object]]:
    """The lines that the log has of a request's end."""
    text = (house.settings.logs / "rightstep.log").read_text()
    logged = [json.loads(line) for line in text.splitlines()]
    return [one for one in logged if one["event"] == "request.ended" and one["request_id"] == request_id]


def test_the_log_has_one_line_a_request_with_its_key_its_job_and_its_stages_and_no_prompt(
    client: TestClient, house: House
):
    key = create_key(house, owner="studio", scopes=["submit"])
    headers = {"authorization": f"Bearer {key.secret}", "x-request-id": "one"}
    answer = client.post(PATH, json=wish(prompt="a very private fox"), headers=headers)
    (line,) = lines_of(house, "one")
    assert (line["route"], line["status"], line["key"]) == (PATH, 200, key.key.key_id)
    assert line["job"] == answer.json()["rightstep"]["job_id"]
    assert {"timestamp", "seconds"} <= set(line)
    assert set(line["stages"]) == STAGES  # type: ignore[arg-type]  # JSON
    text = (house.settings.logs / "rightstep.log").read_text()
    assert "private" not in text
    assert key.secret not in text
