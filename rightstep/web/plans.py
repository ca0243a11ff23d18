"""``POST /v1/plan``: what would run, why, and what it would take; nothing is written."""

import json

from fastapi import APIRouter
from fastapi.responses import Response

from flows.steps import plan_manifest
from policy.access import Scope
from policy.codec import encode
from policy.explain import reason_line
from policy.plan import PlanRefusal
from policy.refusals import is_wrong_order
from rightstep.web.desk import Desk
from rightstep.web.documents import told
from rightstep.web.kinds import (
    MANIFEST_REJECTED,
    MEDIA_TYPE,
    REFUSED,
    TOO_LARGE,
    UNKNOWN_NAME,
    WRONG_ORDER,
    WRONG_USE,
)
from rightstep.web.problems import Failed, Trouble
from rightstep.web.sent_orders import Order, request_body

PLAN_KINDS = (MANIFEST_REJECTED, UNKNOWN_NAME, TOO_LARGE, MEDIA_TYPE, REFUSED, WRONG_ORDER, WRONG_USE)


def make_router(desk: Desk) -> APIRouter:
    """The dry run."""
    router = APIRouter(prefix="/v1/plan", tags=["plan"], dependencies=[desk.doors.needs(Scope.SUBMIT)])

    @router.post(
        "",
        summary="Plan an order without running it",
        response_class=Response,
        responses={
            200: {
                "description": "The whole plan, as `rightstep plan --json` prints it.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ExecutionPlan"}}},
            },
            **told(*PLAN_KINDS),
        },
        openapi_extra=request_body(),
    )
    def plan(order: Order) -> Response:
        """Method, steps, passes, seconds and licence verdict of every shot; a refusal says every reason."""
        outcome = plan_manifest(desk.house, order.read(desk.house), order.overrides)
        if isinstance(outcome, PlanRefusal):
            raise Failed(trouble_of_refusal(outcome))
        return Response(json.dumps(encode(outcome), ensure_ascii=False), media_type="application/json")

    return router


def trouble_of_refusal(refusal: PlanRefusal) -> Trouble:
    """Every reason with the clause it rests on, and what would work."""
    lines = [reason_line(reason) for reason in refusal.reasons]
    return Trouble(
        kind=WRONG_ORDER if is_wrong_order(refusal) else REFUSED,
        detail=lines[0] if len(lines) == 1 else f"{len(lines)} reasons speak against it.",
        next_step=refusal.remedies[0] if refusal.remedies else "",
        reasons=refusal.reasons,
        remedies=refusal.remedies,
    )
