"""What the API answers with: the ledger's records, without what is nobody's business outside."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from policy.tasks import TakeState
from policy.uses import Act
from policy.verdicts import Verdict
from registry.records import JobRecord, JobState, ShotRecord
from rightstep.web.problems import without_paths

Told = Annotated[str, AfterValidator(without_paths)]


class OfRecord(BaseModel):
    """Read from a record of the ledger by the names of its fields."""

    model_config = ConfigDict(from_attributes=True)


class Counts(OfRecord):
    """How many shots stand where; the first seven add up to ``shots``."""

    queued: int
    leased: int = Field(description="With a worker right now.")
    done: int
    reused: int = Field(description="Made before, by the same pixels' key.")
    dead: int = Field(description="Given up.")
    cancelled: int
    eaten: int = Field(description="Closed unmade by a person.")
    failed_takes: int = Field(description="Attempts that failed; their shots are counted above.")
    shots: int
    made: int = Field(description="Done and reused.")


class JobAnswer(OfRecord):
    """A submitted order."""

    job_id: str
    name: str
    state: JobState
    detail: Told = Field(description="Why it is held, paused, failed or cancelled.")
    tier: str
    deadline: datetime | None
    owner: str
    actor: str = Field(description="Who submitted it.")
    act: str = Field(description="The intended use.")
    labels: Annotated[dict[str, str], BeforeValidator(dict)]
    recipients: tuple[str, ...]
    plan_hash: str
    policy_version: str
    max_failed_shots: int | None
    priority: int = Field(description="Its place among jobs of its tier, as somebody said; 0 at first.")
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    counts: Counts
    attached: bool = Field(description="Nothing was added: this order was here already.")


class JobPage(BaseModel):
    """Jobs, newest first."""

    jobs: tuple[JobAnswer, ...]
    after: str | None = Field(description="Send it as `after` for the next page; null on the last.")


class ArtefactAnswer(OfRecord):
    """What was made of a shot."""

    sha256: str
    size: int = Field(description="Bytes.")
    media_type: str
    made_at: datetime


class ShotAnswer(OfRecord):
    """A planned shot and where it stands."""

    ordinal: int = Field(description="Place in the plan, from 0.")
    name: str
    shot_key: str = Field(description="Digest of everything that determines its pixels.")
    prompt: str
    negative: str
    seed: int
    width: int
    height: int
    frames: int
    priority: int
    state: TakeState
    attempts: int
    seconds: float | None
    detail: Told = Field(description="Why the last attempt failed, or who ate the shot and why.")
    artefact: ArtefactAnswer | None


class ShotPage(BaseModel):
    """Shots in the order of the plan."""

    shots: tuple[ShotAnswer, ...]
    after: int | None = Field(description="Send it as `after` for the next page; null on the last.")


class Standing(BaseModel):
    """The verdict on a model for a use, and which bytes it is about."""

    revision: str = Field(description="The pinned commit.")
    act: Act
    verdict: Verdict


class Model(BaseModel):
    """A model in OpenAI's shape, with our verdict beside it."""

    id: str
    object: Literal["model"]
    created: int = Field(description="When it was pinned, in seconds since 1970.")
    owned_by: str
    rightstep: Standing


class ModelList(BaseModel):
    """Models in OpenAI's shape."""

    object: Literal["list"]
    data: tuple[Model, ...]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Check(BaseModel):
    """One thing that orders need."""

    check: str
    is_ready: bool
    detail: str


class Readiness(BaseModel):
    """Whether orders would be taken now."""

    is_ready: bool
    checks: tuple[Check, ...]


def job_shape(record: JobRecord) -> JobAnswer:
    """A job as it is told outside."""
    return JobAnswer.model_validate(record)


def shot_shape(record: ShotRecord) -> ShotAnswer:
    """A shot as it is told outside: without its inputs' places and its worker's name."""
    return ShotAnswer.model_validate(record)
