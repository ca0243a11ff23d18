"""Failures as answers: problem details (RFC 9457), and OpenAI's shape where OpenAI's clients look."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from policy.codec import encode
from policy.errors import Refused, RightstepError
from policy.verdicts import Reason
from rightstep.web.kinds import BROKEN, INVALID_REQUEST, MALFORMED, OF_STATUS, Kind, told

PROBLEM_JSON = "application/problem+json"
OPENAI_PATHS = ("/v1/models", "/v1/images")
# An absolute path of at least two parts, not the tail of a repository, a URL or a fraction.
PATH = re.compile(r"(?<![\w:/.~-])(?:/[\w.+@~-]+)+/([\w.+@~-]+)")
OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
SERVER_ERROR = 500
UNAVAILABLE = 503
RETRY_SECONDS = "5"  # about the time in which what broke down is started again

log = structlog.get_logger("rightstep.web")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """One failure of one request."""

    kind: Kind
    detail: str
    next_step: str = ""
    reasons: tuple[Reason, ...] = ()
    remedies: tuple[str, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()  # where in the request, and what is wrong there
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Failed(Exception):
    """A request that ends here, with what is told of it."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.detail)
        self.trouble = trouble


class Fault(BaseModel):
    """A part of the request that is out of bounds."""

    where: str = Field(description="The place in the request, such as `query.limit`.")
    message: str = Field(description="What is wrong there.")


class Problem(BaseModel):
    """Problem details (RFC 9457), with the reasons and the next step as members of its own."""

    type: str = Field(description="A stable name of the kind of problem: `urn:rightstep:problem:CODE`.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened, for a person.")
    instance: str = Field(description="This occurrence: `urn:rightstep:request:ID`, as in the log.")
    next_step: str = Field(description="What would help; may be empty.")
    reasons: tuple[Reason, ...] = Field(description="Every reason of a refusal, with its clause.")
    remedies: tuple[str, ...] = Field(description="Sentences: what would make a refused order work.")
    errors: tuple[Fault, ...] = Field(description="What is out of bounds in the request, and where.")


class OpenAIErrorBody(BaseModel):
    """OpenAI's error, with our problem beside it."""

    message: str
    type: str
    param: str | None
    code: str
    rightstep: Problem = Field(description="The same as problem details, with reasons and next step.")


class OpenAIError(BaseModel):
    """What OpenAI's clients expect of a failure."""

    error: OpenAIErrorBody


def without_paths(text: str) -> str:
    """A sentence without the folders of this machine: of a path, only the name of the file stays."""
    return PATH.sub(r"\1", text)


def trouble_of(error: RightstepError) -> Trouble:
    """What may be told of an error of ours; whatever may not leave the house is in the log."""
    known = told(error)
    if not known.in_full:
        log.error("request.broken", error=type(error).__name__, told=str(error))
        return Trouble(
            kind=known.kind,
            detail=f"{known.kind.title}; the log of the house says more.",
            next_step="Try again later, or give the request id to whoever runs the house.",
            headers={"Retry-After": RETRY_SECONDS} if known.kind.status == UNAVAILABLE else {},
        )
    verdict = error.verdict if isinstance(error, Refused) else None
    return Trouble(
        kind=known.kind,
        detail=error.message,
        next_step=error.next_step,
        reasons=verdict.against() if verdict else (),
        remedies=(error.next_step,) if verdict and error.next_step else (),
    )


def problem_of(trouble: Trouble, request_id: str) -> dict[str, Any]:
    """The members of a problem; whoever wrote its sentences, no folder leaves with them."""
    reasons = (replace(reason, detail=without_paths(reason.detail)) for reason in trouble.reasons)
    return {
        "type": trouble.kind.urn,
        "title": trouble.kind.title,
        "status": trouble.kind.status,
        "detail": without_paths(trouble.detail),
        "instance": f"urn:rightstep:request:{request_id}",
        "next_step": without_paths(trouble.next_step),
        "reasons": [encode(reason) for reason in reasons],
        "remedies": [without_paths(remedy) for remedy in trouble.remedies],
        "errors": [{"where": where, "message": message} for where, message in trouble.errors],
    }


def answer(scope: Scope, trouble: Trouble) -> JSONResponse:
    """The answer to a request that failed, in the shape that its path speaks."""
    status, headers = trouble.kind.status, dict(trouble.headers)
    request_id = str(scope["state"]["request_id"])
    if speaks_openai(scope["path"]):
        return JSONResponse(openai_of(trouble, request_id), status, headers=headers)
    return JSONResponse(problem_of(trouble, request_id), status, headers=headers, media_type=PROBLEM_JSON)


def openai_of(trouble: Trouble, request_id: str) -> dict[str, Any]:
    """The members of an error as OpenAI's clients read them."""
    status = trouble.kind.status
    usual = "server_error" if status >= SERVER_ERROR else "invalid_request_error"
    problem = problem_of(trouble, request_id)
    body = {
        "message": f"{problem['detail']} {problem['next_step']}".strip(),
        "type": OPENAI_TYPES.get(status, usual),
        "param": trouble.errors[0][0].rpartition(".")[2] if trouble.errors else None,
        "code": trouble.kind.code,
        "rightstep": problem,
    }
    return {"error": body}


def speaks_openai(path: str) -> bool:
    """Whether OpenAI's clients ask there."""
    return any(path == known or path.startswith(f"{known}/") for known in OPENAI_PATHS)


def answer_failures(app: FastAPI) -> None:
    """Let every failure of an app end as an answer of ours."""

    def failed(request: Request, error: Exception) -> JSONResponse:
        return answer(request.scope, trouble_of_any(error))

    for known in (Failed, RightstepError, RequestValidationError, HTTPException):
        app.add_exception_handler(known, failed)


def trouble_of_any(error: Exception) -> Trouble:
    """What is told of whatever stopped a request; what nobody foresaw is a defect, and in the log."""
    if isinstance(error, Failed):
        return error.trouble
    if isinstance(error, RightstepError):
        return trouble_of(error)
    if isinstance(error, RequestValidationError):
        faults = tuple(
            (".".join(str(part) for part in fault["loc"]), str(fault["msg"])) for fault in error.errors()
        )
        detail = "; ".join(f"{where}: {message}" for where, message in faults)
        return Trouble(
            kind=INVALID_REQUEST, detail=detail, errors=faults, next_step="See /openapi.json for the bounds."
        )
    if isinstance(error, HTTPException):
        kind = OF_STATUS.get(error.status_code, MALFORMED)
        return Trouble(kind=kind, detail=f"{kind.title}.", headers=error.headers or {})
    log.error("request.crashed", exc_info=error)
    return Trouble(
        kind=BROKEN,
        detail="A defect of ours stopped this request; the log of the house has the whole story.",
        next_step="Give the request id to whoever runs the house.",
    )
