"""``/v1/jobs/{id}/shots``: what was planned, where it stands, and the pictures themselves."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from flows.steps import artefact_of, shots_after
from policy.access import Scope as AccessScope
from rightstep.web.desk import Desk
from rightstep.web.documents import told
from rightstep.web.jobs import JobId
from rightstep.web.kinds import MALFORMED, RANGE, UNKNOWN_NAME
from rightstep.web.problems import Failed, Trouble
from rightstep.web.shapes import ShotPage, shot_shape

MOST = 1000  # shots a page
UNCHANGED = 304
RANGE_KINDS = {MALFORMED.status: MALFORMED, RANGE.status: RANGE}
BYTES = {"schema": {"type": "string", "format": "binary"}}
PICTURE = {"image/png": BYTES, "image/webp": BYTES}  # of a shot with several frames, an animated one
ShotName = Annotated[
    str,
    InPath(
        description="The name of a shot.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        examples=["fox-a"],
    ),
]


class PictureFile(FileResponse):
    """A file or a part of it; a part that is not there is told as every other failure is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_told(message: Message) -> None:
            kind = RANGE_KINDS.get(message.get("status", 200))
            if kind is not None:
                place = Headers(raw=message["headers"]).get("content-range")
                headers = {} if place is None else {"Content-Range": place}
                detail = "The header range names no part of this file."
                raise Failed(Trouble(kind=kind, detail=detail, headers=headers))
            await send(message)

        await super().__call__(scope, receive, send_told)


def make_router(desk: Desk) -> APIRouter:
    """The shots of a job."""
    reads = desk.doors.needs(AccessScope.READ)
    router = APIRouter(prefix="/v1/jobs/{job_id}/shots", tags=["shots"], dependencies=[reads])

    @router.get("", summary="List the shots of a job", responses=told(UNKNOWN_NAME))
    def shots(
        job_id: JobId,
        limit: Annotated[int, Query(ge=1, le=MOST, description="How many.")] = 200,
        after: Annotated[
            int, Query(ge=-1, lt=2**31, description="The place that the last page ended with.")
        ] = -1,
    ) -> ShotPage:
        """A page of shots in the order of the plan."""
        found = shots_after(desk.house, job_id, after, limit)
        is_last = len(found) < limit
        return ShotPage(
            shots=tuple(shot_shape(record) for record in found), after=None if is_last else found[-1].ordinal
        )

    @router.get(
        "/{name}/artefact",
        summary="Fetch a picture or clip",
        response_class=PictureFile,
        responses={
            200: {"description": "The bytes as the worker wrote them.", "content": PICTURE},
            206: {"description": "The part that was asked for by `Range`.", "content": PICTURE},
            UNCHANGED: {"description": "It is the one that `If-None-Match` names."},
            **told(UNKNOWN_NAME, MALFORMED, RANGE),
        },
    )
    def artefact(
        job_id: JobId,
        name: ShotName,
        if_none_match: Annotated[
            str | None, Header(description="The ETag of a picture that you have.", max_length=4096)
        ] = None,
    ) -> Response:
        """The picture or clip of a shot; its ETag is its sha256.

        Not a shipment: nothing is signed or vouched for.
        """
        kept, path = artefact_of(desk.house, job_id, name)
        etag = f'"{kept.sha256}"'
        headers = {"etag": etag, "cache-control": "private, no-cache"}
        if if_none_match is not None and _names(if_none_match, etag):
            return Response(status_code=UNCHANGED, headers=headers)
        return PictureFile(path, media_type=kept.media_type, headers=headers, filename=f"{name}{path.suffix}")

    return router


def _names(given: str, etag: str) -> bool:
    """Whether If-None-Match names an entity: any, or one of a list; a weak one counts (RFC 9110, 13.1.2)."""
    listed = [part.strip().removeprefix("W/") for part in given.split(",")]
    return "*" in listed or etag in listed
