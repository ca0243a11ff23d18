"""The OpenAPI document says all that the API does: every answer, every failure, an example of each."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from rightstep.web.kinds import KINDS
from rightstep.web.problems import speaks_openai
from tests.integration.web.desk import NearDriver, order

VERBS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        for verb in found.keys() & VERBS:
            yield f"{verb.upper()} {path}", found[verb]


def contents(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body that is described: where, its media type, what is said of it."""
    for name, operation in operations(document):
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            yield name, media_type, content
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                yield f"{name} {status}", media_type, content


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def test_every_operation_says_what_it_is_and_what_it_answers(document: dict[str, Any]):
    found = dict(operations(document))
    assert len(found) == 17
    for name, operation in found.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        for status, response in operation["responses"].items():
            assert response["description"], f"{name} {status}"
            assert "X-Request-ID" in response["headers"], f"{name} {status}"
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), f"{name} {parameter['name']}"


def test_every_operation_behind_a_key_says_how_a_key_fails(document: dict[str, Any]):
    for name, operation in operations(document):
        statuses = operation["responses"].keys()
        if "/v1/" in name:
            assert operation["security"] == [{"key": []}], name
            assert {"401", "403", "429"} <= statuses, name
        assert {"400", "414", "422", "431", "500", "503"} <= statuses, name


def test_every_failure_has_its_shape_and_an_example_of_each_kind(document: dict[str, Any]):
    told = set()
    for name, operation in operations(document):
        is_openai = speaks_openai(name.partition(" ")[2])
        for status, response in operation["responses"].items():
            if int(status) < 400 or (name.endswith("/readyz") and status == "503"):
                continue
            media_type = "application/json" if is_openai else "application/problem+json"
            content = response["content"][media_type]
            assert content["schema"]["$ref"].endswith("/OpenAIError" if is_openai else "/Problem")
            assert content["examples"], f"{name} {status}"
            told |= content["examples"].keys()
    never = {"wrong-method", "no-such-path", "foreign-page", "session-unknown"}  # they are of no operation
    assert told == {kind.code for kind in KINDS} - never


def test_what_is_not_ready_is_described_as_it_is_answered(
    document: dict[str, Any], client: TestClient, driver: NearDriver
):
    driver.is_up = False
    content = document["paths"]["/readyz"]["get"]["responses"]["503"]["content"]["application/json"]
    validator(document, content["schema"]).validate(client.get("/readyz").json())
    assert content["schema"]["$ref"].endswith("/Readiness")


def test_every_body_has_a_schema_and_every_example_fits_it(document: dict[str, Any]):
    without = set()
    for name, media_type, content in contents(document):
        check = validator(document, content["schema"])
        examples = [one["value"] for one in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        for example in examples:
            check.validate(example)
        if not examples:
            without.add((name, media_type))
    assert without == {
        ("POST /v1/plan 200", "application/json"),
    } | {
        (f"GET /v1/jobs/{{job_id}}/shots/{{name}}/artefact {status}", kind)
        for status in (200, 206)
        for kind in ("image/png", "image/webp")
    }


def test_real_answers_fit_their_schemas(document: dict[str, Any], client: TestClient, driver: NearDriver):
    driver.is_prompt = False
    job = client.post("/v1/jobs", json=order("a")).json()["job_id"]
    answers = {
        "/v1/plan": client.post("/v1/plan", json=order("a", tier="interactive")),
        "/v1/jobs": client.get("/v1/jobs"),
        "/v1/jobs/{job_id}": client.get(f"/v1/jobs/{job}"),
        "/v1/jobs/{job_id}/shots": client.get(f"/v1/jobs/{job}/shots"),
        "/v1/models": client.get("/v1/models"),
        "/readyz": client.get("/readyz"),
    }
    for path, answer in answers.items():
        assert answer.status_code == 200, answer.text
        described = document["paths"][path]["post" if path == "/v1/plan" else "get"]["responses"]["200"]
        schema = described["content"]["application/json"]["schema"]
        validator(document, schema).validate(answer.json())


def test_every_reference_leads_somewhere(document: dict[str, Any]):
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (found for key, found in value.items() if key == "$ref")
            for held in value.values():
                yield from references(held)
        if isinstance(value, list):
            for held in value:
                yield from references(held)

    found = set(references(document))
    assert len(found) > 20
    for reference in found:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_the_document_is_there_for_everybody(client: TestClient, document: dict[str, Any]):
    assert client.get("/openapi.json").json() == document
    assert client.get("/docs").status_code == 404
