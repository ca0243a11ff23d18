"""Provenance only: a picture that is handed out and not kept is on record all the same."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from flows.bootstrap import House, open_house
from flows.exporting import export_job
from flows.keeping import declare_share
from flows.recalling import affected
from flows.rendering import shots_of
from flows.settings import Settings
from flows.shipment import ship_job
from policy.errors import Refused
from policy.waiting import WaitingRoom
from registry.unit_of_work import unit_of_work
from rightstep.web.app import build_app
from rightstep.web.pictures import PictureStudio
from tests.integration.web.desk import BASE, NearDriver, NearPort, client_of

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)
PATH = "/v1/images/generations"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house that keeps nothing of what it serves."""
    settings = Settings(home=tmp_path / "home", renderer="synthetic", actor="tester", serve_kept=0.0)
    opened = open_house(settings, clock=lambda: NOW)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    port = NearPort(house)
    studio = PictureStudio(port=port, room=WaitingRoom(places=3))
    yield client_of(build_app(house, driver=NearDriver(house), images=studio))
    port.batcher.close()


def asked(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={"prompt": "a flat fox", "model": BASE, "seed": 7, **fields})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_the_bytes_leave_and_the_record_stays(client: TestClient, house: House):
    told = asked(client)
    made = told["rightstep"]
    (sha256,) = made["sha256"]
    assert base64.b64decode(told["data"][0]["b64_json"]).startswith(b"\x89PNG")
    assert made["kept"] is False
    assert not house.store.has(sha256)
    (shot,) = shots_of(house, made["job_id"])
    assert shot.artefact is not None
    assert (shot.artefact.sha256, shot.artefact.figures is None) == (sha256, False)
    assert affected(house, sha256).shipments == (made["shipment_id"],)


def test_whoever_asks_for_the_bytes_is_told_that_they_were_not_kept(
    client: TestClient, house: House, tmp_path: Path
):
    made = asked(client)["rightstep"]
    answer = client.get(f"/v1/jobs/{made['job_id']}/shots/picture-1/artefact")
    assert answer.status_code == 404
    assert "Not kept: provenance only" in answer.text
    exported = export_job(house, made["job_id"], tmp_path / "out")
    assert exported.pictures == 0
    assert "Not kept: provenance only" in exported.contact_sheet.read_text(encoding="utf-8")
    with pytest.raises(Refused) as refused:
        ship_job(house, made["job_id"])
    assert refused.value.verdict is not None
    assert {reason.code for reason in refused.value.verdict.against()} == {"artefact_not_kept"}


def test_what_was_not_kept_is_made_again_and_not_offered_again(client: TestClient):
    first, again = asked(client), asked(client)
    assert again["data"] == first["data"]
    assert again["rightstep"]["reused"] == 0
    assert again["rightstep"]["kept"] is False


def test_a_url_keeps_the_picture_behind_it_whatever_comes_after(client: TestClient, house: House):
    asked(client)
    kept = asked(client, response_format="url")
    assert kept["rightstep"]["kept"] is True
    shared = asked(client)["rightstep"]
    assert (shared["reused"], shared["kept"]) == (1, False)
    assert house.store.has(shared["sha256"][0])
    assert client.get(kept["data"][0]["url"]).content.startswith(b"\x89PNG")


def test_a_request_that_may_be_sent_again_is_kept_for_then(client: TestClient):
    key = {"idempotency-key": "once"}
    wish = {"prompt": "a flat fox", "model": BASE, "seed": 8}
    first, again = (client.post(PATH, json=wish, headers=key).json() for _ in range(2))
    assert again["data"] == first["data"]
    assert (first["rightstep"]["kept"], again["rightstep"]["kept"]) == (True, True)


def test_serving_without_keeping_everything_is_said_in_the_log(house: House, tmp_path: Path):
    declare_share(house)
    with unit_of_work(house.engine, read_only=True) as work:
        event = work.audit.latest(1)[0].event
    assert (event.tag, event.actor) == ("serve:pictures:unkept", "tester")
    assert '"kept_share":"0"' in event.payload
    everything = open_house(Settings(home=tmp_path / "other", renderer="synthetic", actor="tester"))
    with unit_of_work(everything.engine, read_only=True) as work:
        before = work.audit.latest(1)
    declare_share(everything)
    with unit_of_work(everything.engine, read_only=True) as work:
        assert work.audit.latest(1) == before
    everything.engine.dispose()
