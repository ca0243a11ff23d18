"""``/v1/models`` in OpenAI's shape: what may be asked for, with the licence verdict on it."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from flows.steps import LicensedModel, licensed_model, licensed_models
from policy.access import Scope
from policy.uses import Act
from rightstep.web.desk import Desk
from rightstep.web.documents import told_openai
from rightstep.web.kinds import UNKNOWN_NAME
from rightstep.web.sent_orders import Context
from rightstep.web.shapes import Model, ModelList, Standing

Use = Annotated[Act | None, Query(description="The intended use; to ship pictures commercially by default.")]
Repository = Annotated[
    str,
    Path(
        description="A repository, `org/name`.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=200,
        examples=["rightstep/emoji-64"],
    ),
]


def make_router(desk: Desk) -> APIRouter:
    """The models."""
    router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[desk.doors.needs(Scope.READ)])

    @router.get("", summary="List the models with their verdict", responses=told_openai(UNKNOWN_NAME))
    def list_models(use: Use = None, context: Context = None) -> ModelList:
        """Every pinned base model; `rightstep` says whether the use is permitted with it alone, and why."""
        found = licensed_models(desk.house, use, context or "")
        return ModelList(object="list", data=tuple(_shape(model) for model in found))

    @router.get("/{model:path}", summary="One model with its verdict", responses=told_openai(UNKNOWN_NAME))
    def show_model(model: Repository, use: Use = None, context: Context = None) -> Model:
        """One of the list."""
        return _shape(licensed_model(desk.house, model, use, context or ""))

    return router


def _shape(found: LicensedModel) -> Model:
    return Model(
        id=found.repo,
        object="model",
        created=int(found.pinned_at.timestamp()),
        owned_by=found.repo.partition("/")[0],
        rightstep=Standing(revision=found.revision, act=found.act, verdict=found.verdict),
    )
