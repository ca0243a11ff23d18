"""The OpenAPI document: every answer, every failure, with an example of each."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from policy.plan import ExecutionPlan
from rightstep.web.kinds import (
    BROKEN,
    HEADERS_TOO_LARGE,
    INVALID_REQUEST,
    KEY_EXPIRED,
    KEY_MISSING,
    KEY_REVOKED,
    KEY_UNKNOWN,
    KINDS,
    MALFORMED,
    NO_ROOM,
    NOT_ANSWERING,
    PATH_TOO_LONG,
    SCOPE_MISSING,
    TOO_MANY,
    Kind,
)
from rightstep.web.problems import (
    PROBLEM_JSON,
    OpenAIError,
    Problem,
    Trouble,
    openai_of,
    problem_of,
    speaks_openai,
)
from rightstep.web.samples import SAMPLES
from rightstep.web.sent_orders import manifest_schemas

TEMPLATE = "#/components/schemas/{model}"
VALIDATION_ERROR = "HTTPValidationError"
SAMPLE_ID = "5b0e6f6d8a3f4c1f9d2e7a4b6c8d0e1f"
EVERYWHERE = (MALFORMED, PATH_TOO_LONG, HEADERS_TOO_LARGE, INVALID_REQUEST, NOT_ANSWERING, NO_ROOM, BROKEN)
WITH_A_KEY = (KEY_MISSING, KEY_UNKNOWN, KEY_REVOKED, KEY_EXPIRED, SCOPE_MISSING, TOO_MANY)
DESCRIPTION = """Orders of pictures, planned, licensed and rendered by a standing house.

Failures are problem details (RFC 9457) with the reasons and the next step as further members; under
`/v1/models` they have OpenAI's shape, with the same problem inside. Every answer carries `X-Request-ID`.
"""

TAGS = [
    {"name": "plan", "description": "What an order would take; nothing is written."},
    {"name": "jobs", "description": "Orders handed in, followed, paused, cancelled and tried again."},
    {"name": "shots", "description": "What was planned of a job, and the pictures."},
    {"name": "models", "description": "What may be asked for, in OpenAI's shape."},
    {"name": "live", "description": "Pictures that change while somebody watches: tickets for the socket."},
    {"name": "health", "description": "For whoever runs this process."},
]
HEADERS = {
    "RequestId": {
        "description": "The id under which this request is logged: yours, where you sent a plain one.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {"description": "Seconds until it is worth another try.", "schema": {"type": "integer"}},
}

Responses = dict[int | str, dict[str, Any]]


def told(*kinds: Kind) -> Responses:
    """The failures of a route, for the document: problem details by status."""
    return _by_status(kinds, PROBLEM_JSON, "Problem", _problem_example)


def told_openai(*kinds: Kind) -> Responses:
    """The same in OpenAI's shape."""
    return _by_status(kinds, "application/json", "OpenAIError", _openai_example)


def _by_status(
    kinds: Iterable[Kind], media_type: str, schema: str, example: Callable[[Kind], dict[str, Any]]
) -> Responses:
    found: Responses = {}
    for kind in kinds:
        content = {"schema": {"$ref": TEMPLATE.format(model=schema)}, "examples": {}}
        response = found.setdefault(kind.status, {"description": "", "content": {media_type: content}})
        known = response["content"][media_type]["examples"]
        known[kind.code] = {"summary": kind.title, "value": example(kind)}
        response["description"] = ". ".join(one["summary"] for one in known.values()) + "."
    return found


def _problem_example(kind: Kind) -> dict[str, Any]:
    return problem_of(Trouble(kind=kind, detail=f"{kind.title}."), SAMPLE_ID)


def _openai_example(kind: Kind) -> dict[str, Any]:
    return openai_of(Trouble(kind=kind, detail=f"{kind.title}."), SAMPLE_ID)


def describe(app: FastAPI) -> None:
    """Let an app hand out the whole document, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=TAGS
    )
    components = made["components"]
    schemas: dict[str, Any] = components["schemas"]
    for name in (VALIDATION_ERROR, "ValidationError"):
        schemas.pop(name, None)
    for name, schema in _further_schemas().items():
        schemas.setdefault(name, schema)
    components["headers"] = HEADERS
    for path, operations in made["paths"].items():
        tell = told_openai if speaks_openai(path) else told
        for operation in operations.values():
            kinds = [*_named(operation), *EVERYWHERE, *(WITH_A_KEY if "security" in operation else ())]
            _complete(operation["responses"], tell(*kinds))
    return made


def _named(operation: dict[str, Any]) -> Iterator[Kind]:
    """The kinds that a route names itself; FastAPI has dropped what is null from their examples."""
    codes = {
        code
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
        for code in content.get("examples", {})
    }
    return (kind for kind in KINDS if kind.code in codes)


def _further_schemas() -> dict[str, Any]:
    """Schemas of what no route names as its model."""
    answers: tuple[Any, ...] = (Problem, OpenAIError, ExecutionPlan)
    inputs = [(answer.__name__, "serialization", TypeAdapter(answer)) for answer in answers]
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=TEMPLATE)  # type: ignore[arg-type]  # a literal
    schemas: dict[str, Any] = dict(shared["$defs"])
    for (name, _mode), schema in found.items():
        schemas.setdefault(str(name), schema)
    manifest, parts = manifest_schemas(TEMPLATE)
    return {**schemas, **parts, "Manifest": manifest}


def _complete(responses: dict[str, Any], everywhere: Responses) -> None:
    """Add what may happen to every request, and the headers that every answer carries."""
    if VALIDATION_ERROR in str(responses.get("422")):  # FastAPI's own shape, which is never answered here
        del responses["422"]
    for status, response in everywhere.items():
        known = responses.setdefault(str(status), {"content": {}})
        if not known["content"].keys() - response["content"].keys():
            known["description"] = response["description"]
        known["content"].update(response["content"])
    for key, response in responses.items():
        headers = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
        if key in {"429", "503"}:
            headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
        response["headers"] = {**response.get("headers", {}), **headers}
        for content in response.get("content", {}).values():
            reference = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            if reference in SAMPLES and "examples" not in content:
                content["example"] = SAMPLES[reference]
