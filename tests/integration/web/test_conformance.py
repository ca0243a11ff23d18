"""Requests that nobody would think of, drawn from the document: each is answered as the document says."""

from collections.abc import Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from flows.access import create_key
from flows.bootstrap import House, open_house
from flows.settings import Settings
from policy.waiting import WaitingRoom
from rightstep.web.app import build_app
from rightstep.web.pictures import PictureStudio
from tests.integration.web.desk import NearDriver, NearPort

EXAMPLES = 20  # an operation; several hundred in all
# A well-formed order may still be refused; whether a key is asked for is shown by test_doors.
ELSEWHERE = [positive_data_acceptance, ignored_auth]
OPERATIONS = [
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "POST /v1/plan",
    "POST /v1/jobs",
    "GET /v1/jobs",
    "GET /v1/jobs/{job_id}",
    "POST /v1/jobs/{job_id}/pause",
    "POST /v1/jobs/{job_id}/cancel",
    "POST /v1/jobs/{job_id}/retry",
    "GET /v1/jobs/{job_id}/shots",
    "GET /v1/jobs/{job_id}/shots/{name}/artefact",
    "GET /v1/jobs/{job_id}/events",
    "POST /v1/images/generations",
    "GET /v1/models",
    "GET /v1/models/{model}",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("conformance") / "home"
    opened = open_house(Settings(home=home, renderer="synthetic", workers=2, actor="tester"))
    yield opened
    opened.engine.dispose()


@pytest.fixture(scope="module")
def app(house: House) -> Iterator[FastAPI]:
    driver, port = NearDriver(house), NearPort(house)
    driver.is_prompt = False
    yield build_app(house, driver=driver, images=PictureStudio(port=port, room=WaitingRoom(places=8)))
    port.batcher.close()


@pytest.fixture(scope="module")
def key(house: House) -> dict[str, str]:
    made = create_key(house, owner="studio", scopes=["submit", "read"], per_minute=1_000_000, at_once=100)
    return {"authorization": f"Bearer {made.secret}"}


@pytest.mark.slow
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_one_that_the_document_describes(app: FastAPI, key: dict[str, str], label: str):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = {found.ok().label: found.ok() for found in schema.get_all_operations()}
    assert sorted(operations) == sorted(OPERATIONS)

    @given(operations[label].as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Case) -> None:
        case.headers.update(key)
        case.call_and_validate(excluded_checks=ELSEWHERE)

    check()
