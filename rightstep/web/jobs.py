"""``/v1/jobs``: orders handed in, looked at, paused, cancelled and tried again."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath

from flows.steps import GivenOrder, cancel_job, hand_in, job_of, list_jobs, pause_job, reopen_job
from policy.access import Scope
from policy.manifest import RenderManifest
from policy.plan import PlanRefusal
from registry.records import JobRecord
from rightstep.web.desk import Desk
from rightstep.web.documents import told
from rightstep.web.doors import Visitor
from rightstep.web.kinds import KEY_REUSED, MALFORMED, NO_HOUSE, UNKNOWN_NAME, WRONG_MOMENT
from rightstep.web.plans import PLAN_KINDS, trouble_of_refusal
from rightstep.web.problems import Failed
from rightstep.web.request_keys import IdempotencyKey, request_key
from rightstep.web.sent_orders import Order, request_body
from rightstep.web.shapes import JobAnswer, JobPage, job_shape

ID = r"^[0-9]{8}-[0-9a-f]{8}$"
JobId = Annotated[str, InPath(description="The id of a job.", pattern=ID, examples=["20260131-0123abcd"])]
MOST = 200  # jobs a page


def make_router(desk: Desk) -> APIRouter:
    """The jobs."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
    reads = desk.doors.needs(Scope.READ)
    submits = desk.doors.needs(Scope.SUBMIT)

    @router.post(
        "",
        summary="Hand in an order",
        status_code=201,
        responses={
            200: {"model": JobAnswer, "description": "The job that this order or request has already."},
            **told(MALFORMED, *PLAN_KINDS, KEY_REUSED, NO_HOUSE),
        },
        openapi_extra=request_body(),
    )
    def submit(
        visitor: Annotated[Visitor, submits],
        order: Order,
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> JobAnswer:
        """Plans the order, asks the licences, and has the standing house render it.

        The same unfinished order is one job, whoever sends it twice; an `Idempotency-Key` makes it one for
        finished ones too, for as long as the job is kept.
        """
        request = None
        if idempotency_key is not None:
            request = request_key(visitor.client, idempotency_key, order.fingerprint)

        def read() -> RenderManifest:
            desk.require_driver()  # a job that is known already needs nobody
            return order.read(visitor.house)

        given = GivenOrder(read=read, overrides=order.overrides, request=request)
        record = hand_in(visitor.house, given)
        if isinstance(record, PlanRefusal):
            raise Failed(trouble_of_refusal(record))
        desk.start(record.job_id)
        response.headers["location"] = f"/v1/jobs/{record.job_id}"
        response.status_code = 200 if record.attached else 201
        return _shape_now(visitor, record)

    @router.get("", summary="List jobs, newest first", dependencies=[reads], responses=told(UNKNOWN_NAME))
    def jobs(
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 50,
        after: Annotated[
            str | None, Query(pattern=ID, description="The job that the last page ended with.")
        ] = None,
    ) -> JobPage:
        """A page of jobs with their counts."""
        found = list_jobs(desk.house, limit, after)
        is_last = len(found) < limit
        return JobPage(
            jobs=tuple(job_shape(record) for record in found), after=None if is_last else found[-1].job_id
        )

    @router.get("/{job_id}", summary="Show a job", dependencies=[reads], responses=told(UNKNOWN_NAME))
    def job(job_id: JobId) -> JobAnswer:
        """Where it stands."""
        return job_shape(job_of(desk.house, job_id))

    @router.post("/{job_id}/cancel", summary="Cancel a job", responses=told(UNKNOWN_NAME, WRONG_MOMENT))
    def cancel(job_id: JobId, visitor: Annotated[Visitor, submits]) -> JobAnswer:
        """Workers stop at the next step; finished pictures are kept. Twice is as good as once."""
        return job_shape(cancel_job(visitor.house, job_id))

    @router.post("/{job_id}/pause", summary="Pause a job", responses=told(UNKNOWN_NAME, WRONG_MOMENT))
    def pause(job_id: JobId, visitor: Annotated[Visitor, submits]) -> JobAnswer:
        """Nothing more of it is begun, what is in flight ends; `retry` goes on. Twice is as good as once."""
        return job_shape(pause_job(visitor.house, job_id))

    @router.post(
        "/{job_id}/retry",
        summary="Go on with a job that was stopped, held, paused or failed",
        responses=told(UNKNOWN_NAME, WRONG_MOMENT, NO_HOUSE),
    )
    def retry(job_id: JobId, visitor: Annotated[Visitor, submits]) -> JobAnswer:
        """Finished shots are never rendered again; shots that were given up get another try."""
        desk.require_driver()
        record = reopen_job(visitor.house, job_id)
        desk.start(record.job_id, again=True)
        return _shape_now(visitor, record)

    return router


def _shape_now(visitor: Visitor, record: JobRecord) -> JobAnswer:
    """The job as it stands after somebody was asked to render it."""
    now = job_shape(job_of(visitor.house, record.job_id))
    return now.model_copy(update={"attached": record.attached})
