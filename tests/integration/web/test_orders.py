"""Orders over HTTP: the same plan, the same gate and the same job as on the command line."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from flows.bootstrap import House
from flows.handing_in import hand_in, order_of_file
from flows.planning import Overrides
from flows.rendering import list_jobs, shots_of
from policy.tasks import TakeState
from registry.records import JobRecord, JobState
from registry.unit_of_work import unit_of_work
from rightstep.web.sent_orders import EXAMPLE, EXAMPLE_TEXTS
from tests.integration.flows.jobs.night import run_command
from tests.integration.web.desk import SHAPES, NearDriver, order


def events_of(house: House) -> list[tuple[str, str]]:
    with unit_of_work(house.engine, read_only=True) as work:
        events = [chained.event for chained in work.audit.events(after=0)]
    return [(event.tag, event.actor) for event in events if event.tag.startswith("job:")]


def refused_order() -> dict[str, object]:
    return order("a", shots={"loras": [{"repo": SHAPES}], "method": None, "steps": None})


def test_a_plan_is_the_one_that_the_command_prints(client: TestClient, house: House, tmp_path: Path):
    sent = order("a", "b")
    (tmp_path / "manifest.json").write_text(json.dumps(sent))
    answer = client.post("/v1/plan", json=sent)
    assert answer.status_code == 200
    printed = run_command(
        house, "plan", str(tmp_path / "manifest.json"), "--json", renderer="synthetic", workers=2
    )
    assert printed.returncode == 0, printed.stderr
    theirs, ours = json.loads(printed.stdout), answer.json()
    assert ours.keys() == theirs.keys()
    assert ours["decisions"] == theirs["decisions"]
    assert ours["shots"] == theirs["shots"]
    assert ours["totals"] == theirs["totals"]


def test_a_plan_writes_nothing(client: TestClient, house: House):
    assert client.post("/v1/plan", json=order("a")).status_code == 200
    assert client.post("/v1/plan", json=refused_order()).status_code == 422
    assert list_jobs(house) == ()
    assert events_of(house) == []


@pytest.mark.parametrize("media_type", EXAMPLE_TEXTS)
def test_a_manifest_comes_in_the_format_that_its_content_type_says(client: TestClient, media_type: str):
    headers = {"content-type": f"{media_type}; charset=utf-8"}
    answer = client.post("/v1/plan", content=EXAMPLE_TEXTS[media_type], headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["manifest"]["shots"][0]["name"] == EXAMPLE["shots"][0]["name"]


def test_what_a_request_says_stands_over_the_manifest(client: TestClient):
    answer = client.post("/v1/plan?tier=interactive&use=research_noncommercial", json=refused_order())
    assert answer.status_code == 200, answer.text
    manifest = answer.json()["manifest"]
    assert (manifest["service"]["tier"], manifest["use"]["act"]) == ("interactive", "research_noncommercial")


def test_a_context_that_the_house_does_not_have_is_told_without_its_folder(client: TestClient, house: House):
    for answer in (
        client.post("/v1/plan?context=nowhere", json=order("a")),
        client.get("/v1/models?context=nowhere"),
    ):
        assert answer.status_code == 404
        assert "There is no context 'nowhere'." in answer.text
        assert str(house.settings.home) not in answer.text


def test_a_refusal_names_the_clause_and_what_would_work(client: TestClient):
    answer = client.post("/v1/plan", json=refused_order())
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:rightstep:problem:refused"
    assert any(reason["licence"] == "cc-by-nc-4.0" and reason["clause"] for reason in problem["reasons"])
    assert problem["remedies"]


def test_a_refused_order_is_audited_once_and_makes_no_job(client: TestClient, house: House):
    assert client.post("/v1/jobs", json=refused_order()).status_code == 422
    assert list_jobs(house) == ()
    assert events_of(house) == [("job:plan:refused", "tester")]


def test_an_order_for_a_model_that_is_not_here_is_wrong_and_not_refused(client: TestClient, house: House):
    problem = client.post("/v1/jobs", json=order("a", shots={"model": "no/model"})).json()
    assert problem["type"] == "urn:rightstep:problem:wrong-order"
    assert problem["reasons"][0]["code"] == "not_on_the_menu"
    assert events_of(house) == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "manifest.json, line 1: not JSON"),
        ('{"shots": []}', "manifest.json orders no shots"),
        ('{"shots": [{"name": "a", "promt": "x"}]}', "did you mean prompt"),
        ('{"shots": [{"name": "../a", "prompt": "x", "model": "o/n"}]}', "shots[0], name"),
        (b'{"shots": "\xff"}', "not UTF-8"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told_with_its_place(client: TestClient, body: str, told: str):
    answer = client.post("/v1/plan", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:rightstep:problem:manifest-rejected"
    assert told in answer.json()["detail"]


def test_an_order_cannot_name_a_file_of_this_machine(client: TestClient):
    """Whether a file is there, and what its digest is, would be told by the refusal."""
    for path in ("/etc/passwd", "/etc/no-such-file"):
        sent = order("a", shots={"inputs": [{"role": "init", "path": path, "sha256": "0" * 64}]})
        answer = client.post("/v1/plan", json=sent)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("manifest.json: shots[0]: an order that is sent as text")


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/form-data"])
def test_another_content_type_is_told_what_would_be_read(client: TestClient, content_type: str):
    answer = client.post("/v1/jobs", content=b"{}", headers={"content-type": content_type})
    assert answer.status_code == 415
    assert "application/toml" in answer.headers["accept-post"]


def test_an_order_becomes_a_job_whose_pictures_can_be_fetched(client: TestClient, house: House):
    answer = client.post("/v1/jobs", json=order("a", "b", labels={"show": "one"}))
    assert answer.status_code == 201
    job = client.get(answer.headers["location"]).json()
    assert (job["state"], job["counts"]["made"], job["labels"]) == ("finished", 2, {"show": "one"})
    for record in shots_of(house, job["job_id"]):
        assert record.artefact is not None
        fetched = client.get(f"/v1/jobs/{job['job_id']}/shots/{record.name}/artefact")
        assert fetched.headers["etag"] == f'"{record.artefact.sha256}"'
        assert fetched.headers["content-type"] == "image/png"
        assert fetched.content == house.store.path_of(record.artefact.sha256).read_bytes()


def test_a_picture_comes_in_parts_and_not_twice(client: TestClient):
    job = client.post("/v1/jobs", json=order("a")).json()["job_id"]
    path = f"/v1/jobs/{job}/shots/a/artefact"
    whole = client.get(path)
    part = client.get(path, headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    beyond = client.get(path, headers={"range": "bytes=99999999-"})
    assert (beyond.status_code, beyond.json()["type"]) == (416, "urn:rightstep:problem:range-not-satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"
    assert client.get(path, headers={"range": "bytes=x-"}).json()["status"] == 400
    again = client.get(path, headers={"if-none-match": f'"0", W/{whole.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={"if-none-match": '"0"'}).status_code == 200


def test_the_same_unfinished_order_is_one_job(client: TestClient, driver: NearDriver, house: House):
    driver.is_prompt = False
    first = client.post("/v1/jobs", json=order("a"))
    second = client.post("/v1/jobs", json=order("a"))
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["attached"]
    assert first.json()["job_id"] == second.json()["job_id"] == list_jobs(house)[0].job_id


def test_a_finished_order_sent_again_by_its_key_is_the_same_job(client: TestClient, house: House):
    """Without a key it is a new job of reused shots, as on the command line."""
    key = {"idempotency-key": '"8e03978e"'}
    first = client.post("/v1/jobs", json=order("a"), headers=key)
    again = client.post("/v1/jobs", json=order("a"), headers={"idempotency-key": "8e03978e"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["job_id"] == again.json()["job_id"]
    assert again.json()["state"] == "finished"
    other = client.post("/v1/jobs", json=order("a"))
    assert other.json()["job_id"] != first.json()["job_id"]
    assert other.json()["counts"]["reused"] == 1
    assert len(list_jobs(house)) == 2


def test_a_key_stands_for_one_body(client: TestClient, house: House):
    key = {"idempotency-key": '"one"'}
    first = client.post("/v1/jobs", json=order("a"), headers=key).json()["job_id"]
    for again in (
        client.post("/v1/jobs", json=order("b"), headers=key),
        client.post("/v1/jobs?tier=interactive", json=order("a"), headers=key),
    ):
        assert again.status_code == 422
        assert again.json()["type"] == "urn:rightstep:problem:idempotency-key-reused"
        assert first in again.json()["detail"]
    assert len(list_jobs(house)) == 1


def test_the_same_file_by_the_same_key_is_one_job_over_http_and_on_the_command_line(
    client: TestClient, house: House, tmp_path: Path
):
    path = tmp_path / "order.json"
    path.write_text(json.dumps(order("a")))
    sent = {"idempotency-key": '"one"', "content-type": "application/json"}
    job = client.post("/v1/jobs", content=path.read_bytes(), headers=sent).json()["job_id"]
    by_hand = hand_in(house, order_of_file(house, path, Overrides(), key="one"))
    assert isinstance(by_hand, JobRecord)
    assert (by_hand.job_id, by_hand.attached) == (job, True)


def test_a_key_of_a_refused_order_is_free_again(client: TestClient):
    key = {"idempotency-key": '"one"'}
    assert client.post("/v1/jobs", json=refused_order(), headers=key).status_code == 422
    assert client.post("/v1/jobs", json=order("a"), headers=key).status_code == 201


@pytest.mark.parametrize("key", ['""', '"a', "a b", "x" * 256])
def test_a_key_that_is_none_is_refused_before_anything_is_done(client: TestClient, house: House, key: str):
    answer = client.post("/v1/jobs", json=order("a"), headers={"idempotency-key": key})
    assert answer.status_code == 400
    assert list_jobs(house) == ()


def test_without_a_standing_house_nothing_is_submitted(client: TestClient, driver: NearDriver, house: House):
    driver.is_up = False
    answer = client.post("/v1/jobs", json=order("a"))
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:rightstep:problem:no-standing-house"
    assert "rightstep up" in answer.json()["next_step"]
    assert int(answer.headers["retry-after"]) > 0
    assert list_jobs(house) == ()
    assert client.get("/v1/jobs").status_code == 200


def test_a_house_that_goes_before_it_is_asked_keeps_the_job_and_the_same_request_starts_it(
    client: TestClient, driver: NearDriver, house: House
):
    key = {"idempotency-key": "1"}
    driver.is_prompt = False
    job = client.post("/v1/jobs", json=order("a"), headers=key).json()["job_id"]
    driver.is_up = False
    late = client.post("/v1/jobs", json=order("a"), headers=key)
    assert (late.status_code, late.json()["type"]) == (503, "urn:rightstep:problem:no-standing-house")
    assert job in late.json()["detail"]
    driver.is_up = driver.is_prompt = True
    assert client.post("/v1/jobs", json=order("a"), headers=key).json()["state"] == "finished"
    driver.is_up = False
    assert client.post("/v1/jobs", json=order("a"), headers=key).json()["job_id"] == job
    assert len(list_jobs(house)) == 1


def test_a_cancelled_job_stays_so_and_a_finished_one_cannot_be(client: TestClient, driver: NearDriver):
    done = client.post("/v1/jobs", json=order("a")).json()["job_id"]
    late = client.post(f"/v1/jobs/{done}/cancel")
    assert (late.status_code, late.json()["type"]) == (409, "urn:rightstep:problem:wrong-moment")
    driver.is_prompt = False
    job = client.post("/v1/jobs", json=order("b")).json()["job_id"]
    for _ in range(2):
        cancelled = client.post(f"/v1/jobs/{job}/cancel")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
        assert cancelled.json()["detail"] == "Cancelled by tester."
    assert client.post(f"/v1/jobs/{job}/retry").status_code == 409


def test_a_paused_job_says_so_and_goes_on_when_it_is_tried_again(client: TestClient, driver: NearDriver):
    driver.is_prompt = False
    job = client.post("/v1/jobs", json=order("a")).json()["job_id"]
    for _ in range(2):
        paused = client.post(f"/v1/jobs/{job}/pause")
        assert (paused.status_code, paused.json()["state"]) == (200, "paused")
        assert paused.json()["detail"] == "Paused by tester."
    driver.is_prompt = True
    assert client.post(f"/v1/jobs/{job}/retry").json()["state"] == "finished"
    assert client.post(f"/v1/jobs/{job}/pause").status_code == 409


def test_a_job_whose_shots_were_given_up_gets_another_try(
    client: TestClient, driver: NearDriver, house: House
):
    driver.is_prompt = False
    job = client.post("/v1/jobs", json=order("a", "b")).json()["job_id"]
    with unit_of_work(house.engine) as work:
        work.ledger.hold(job, reason="Too many shots failed.")
        work.commit()
    assert client.get(f"/v1/jobs/{job}").json()["detail"] == "Too many shots failed."
    driver.is_prompt = True
    answer = client.post(f"/v1/jobs/{job}/retry")
    assert (answer.status_code, answer.json()["state"]) == (200, "finished")
    assert driver.started == [(job, False), (job, True)]
    assert {shot.state for shot in shots_of(house, job)} == {TakeState.DONE}


def test_jobs_and_shots_come_in_pages(client: TestClient, driver: NearDriver, house: House):
    driver.is_prompt = False
    made = {client.post("/v1/jobs", json=order(f"s{n}")).json()["job_id"] for n in range(5)}
    assert pages(client, "/v1/jobs", "jobs", "job_id", 2) == [job.job_id for job in list_jobs(house)]
    assert len(made) == 5
    job = client.post("/v1/jobs", json=order("a", "b", "c", "d", "e")).json()["job_id"]
    assert pages(client, f"/v1/jobs/{job}/shots", "shots", "name", 2) == ["a", "b", "c", "d", "e"]


def pages(client: TestClient, path: str, what: str, name: str, limit: int) -> list[str]:
    found: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = client.get(path, params={"limit": limit, **after}).json()
        assert len(page[what]) <= limit
        found += [one[name] for one in page[what]]
        if page["after"] is None:
            return found
        after = {"after": page["after"]}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/20260131-00000000",
        "/v1/jobs/20260131-00000000/shots",
        "/v1/jobs/20260131-00000000/events",
        "/v1/jobs?after=20260131-00000000",
    ],
)
def test_a_job_that_is_not_here_is_404(client: TestClient, path: str):
    assert client.get(path).status_code == 404


def test_a_picture_that_is_not_made_or_lost_is_404_and_names_no_folder(
    client: TestClient, driver: NearDriver, house: House
):
    driver.is_prompt = False
    job = client.post("/v1/jobs", json=order("a")).json()["job_id"]
    waiting = client.get(f"/v1/jobs/{job}/shots/a/artefact")
    assert (waiting.status_code, waiting.json()["detail"]) == (
        404,
        "Nothing is made of shot a yet: it is queued.",
    )
    assert client.get(f"/v1/jobs/{job}/shots/b/artefact").status_code == 404
    driver.is_prompt = True
    driver.start(job)
    (record,) = shots_of(house, job)
    assert record.artefact is not None
    house.store.path_of(record.artefact.sha256).unlink()
    lost = client.get(f"/v1/jobs/{job}/shots/a/artefact")
    assert lost.status_code == 404
    assert str(house.settings.home) not in lost.text
    assert JobState(client.get(f"/v1/jobs/{job}").json()["state"]) is JobState.FINISHED
