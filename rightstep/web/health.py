"""``/healthz`` and ``/readyz``: for whoever starts, watches and replaces this process; no key is needed."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from flows.steps import FindingState, look_at_ledger
from policy.errors import ServiceFault
from rightstep.web.desk import Desk
from rightstep.web.shapes import Check, Health, Readiness

NOT_READY = 503


def make_router(desk: Desk) -> APIRouter:
    """Health and readiness."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Does the process answer?")
    def healthz() -> Health:
        """Answers while the process does, and looks at nothing."""
        return Health(status="ok")

    @router.get(
        "/readyz",
        summary="Would an order be taken now?",
        response_model=Readiness,
        responses={NOT_READY: {"model": Readiness, "description": "Something that orders need is missing."}},
    )
    def readyz() -> JSONResponse:
        """Asks the database, compares its schema, and asks whoever renders."""
        checks = (_ledger(desk), _driver(desk))
        found = Readiness(is_ready=all(check.is_ready for check in checks), checks=checks)
        return JSONResponse(found.model_dump(mode="json"), 200 if found.is_ready else NOT_READY)

    return router


def _ledger(desk: Desk) -> Check:
    finding = look_at_ledger(desk.house)
    is_ready = finding.state is FindingState.OK
    told = finding.detail if is_ready else "does not answer, or has another schema; the log says more"
    return Check(check="ledger", is_ready=is_ready, detail=told)


def _driver(desk: Desk) -> Check:
    try:
        desk.driver.check()
    except ServiceFault:
        return Check(check="renderers", is_ready=False, detail="no standing house takes orders")
    return Check(check="renderers", is_ready=True, detail="take orders")
