"""What a picture is asked for with, and what comes back: OpenAI's images API, and fields of our own."""

import base64
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flows.manifest_fields import LoraFields
from flows.steps import OrderedPictures
from policy.canonical import digest
from policy.previews import MOST_PREVIEWS
from rightstep.web.picture_runs import MadePictures

SIZE = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})")
TOLD_BY = ("stream", "partial_images", "progress", "response_format")  # fields that change no picture
MODEL = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(:[A-Za-z0-9][A-Za-z0-9._-]*)?$"
EXAMPLES: dict[str, Any] = {
    "plain": {"summary": "One picture", "value": {"model": "rightstep/emoji-64", "prompt": "a flat fox"}},
    "ours": {
        "summary": "Two, by a method, with seeds, or a refusal at once",
        "value": {
            "model": "rightstep/emoji-64:emoji-64-lcm",
            "prompt": "a flat fox",
            "n": 2,
            "seed": 7,
            "response_format": "url",
            "deadline_seconds": 10,
        },
    },
}


class PictureWish(BaseModel):
    """A request for pictures; a field that is not known here is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(max_length=20_000, description="What to show.", examples=["a flat fox"])
    model: str = Field(
        pattern=MODEL,
        max_length=400,
        description="A repository, or a repository with the method to run it by: `org/name:method`.",
        examples=["rightstep/emoji-64"],
    )
    n: Annotated[int, Field(ge=1, le=10)] = Field(default=1, description="How many pictures.")
    size: str = Field(
        default="auto",
        max_length=16,
        description="`WIDTHxHEIGHT` in pixels, multiples of 8 from 16; `auto`: what it was trained at.",
    )
    response_format: Literal["b64_json", "url"] = Field(
        default="b64_json", description="The bytes, or where to fetch them with a key that may read."
    )
    user: str = Field(
        default="",
        max_length=150,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="For whom this is: kept as the recipient of the pictures.",
    )
    output_format: Literal["png"] = Field(default="png", description="PNG is what there is.")
    quality: Literal["auto"] = Field(
        default="auto", description="Ask for `steps` or `quality_floor` instead."
    )
    negative: str = Field(default="", max_length=20_000, description="What not to show, for guided methods.")
    seed: Annotated[int, Field(ge=0, lt=2**63 - 10)] | None = Field(
        default=None, description="Of the first picture, the next ones count on; a random one by default."
    )
    steps: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Denoising steps; 4 by default, and 4 to 8 may be asked for."
    )
    method: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="The method to run by; policy chooses by default."
    )
    loras: tuple[LoraFields, ...] = Field(default=(), max_length=8, description="Styles to apply.")
    stream: bool = Field(
        default=False, description="Answer with events: partial images as they come, then the pictures."
    )
    partial_images: Annotated[int, Field(ge=0, le=MOST_PREVIEWS)] = Field(
        default=0,
        description="With `stream`: how often to show each picture on its way; fewer where steps are few.",
    )
    progress: bool = Field(
        default=False, description="With `stream`: an event `rightstep.step` after every step too."
    )
    may_degrade: bool = Field(
        default=False,
        description="Under load, rather give fewer of the `steps` asked for than miss `deadline_seconds`.",
    )
    quality_floor: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="Refuse rather than go below this measured quality."
    )
    deadline_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = Field(
        default=None,
        description="Refuse at once what would take longer by the measured costs and those who wait, loading "
        "apart; what takes longer all the same is given up.",
    )

    @field_validator("size")
    @classmethod
    def _is_a_size(cls, given: str) -> str:
        if given == "auto":
            return given
        found = SIZE.fullmatch(given)
        if found is None or any(int(side) % 8 or int(side) < 16 for side in found.groups()):
            raise ValueError("a size is WIDTHxHEIGHT, each a multiple of 8 from 16 to 9992, or auto")
        return given

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if not self.stream and (self.partial_images or self.progress):
            raise ValueError("partial_images and progress come with stream")
        if self.stream and self.response_format == "url":
            raise ValueError("a stream carries the pictures themselves: leave response_format out")
        return self

    @property
    def fingerprint(self) -> str:
        """What makes two requests the same request; how the answer is told does not."""
        return digest("image-request", self.model_dump(mode="json", exclude=set(TOLD_BY)))

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """What the ledger keeps beside the order: pictures may leave before they are finished."""
        return (("partial_images", str(self.partial_images)),) if self.partial_images else ()

    @property
    def sides(self) -> tuple[int, int] | None:
        """Width and height; None where the model's own are meant."""
        width, _, height = self.size.partition("x")
        return None if self.size == "auto" else (int(width), int(height))

    @property
    def repository(self) -> str:
        return self.model.partition(":")[0]

    @property
    def asked_method(self) -> str | None:
        return self.method or self.model.partition(":")[2] or None


class Picture(BaseModel):
    """One picture."""

    b64_json: str | None = None
    url: str | None = None


class HowMade(BaseModel):
    """What the request got, and where it is on record."""

    job_id: str
    shipment_id: str = Field(description="The pictures count as shipped; a recall finds them by this.")
    plan_hash: str
    stack_id: str
    method: str
    steps: int
    is_degraded: bool = Field(description="Whether load made them fewer than the request asked for.")
    seeds: tuple[int, ...]
    seconds: float = Field(description="Of the denoising loop; this request's share where it was shared.")
    queue_seconds: float = Field(description="Waited for other callers' batches.")
    load_seconds: float = Field(description="Spent making the model resident; 0 where it was.")
    batch_pictures: int = Field(description="Pictures in the largest batch, those of other callers included.")
    reused: int = Field(description="Pictures that were on file already and were not rendered again.")
    quality: float = Field(description="What the steps are worth on the method's measured curve, 0 to 1.")
    sha256: tuple[str, ...]
    kept: bool = Field(description="Whether the bytes stay here too; the record of them always does.")


class Pictures(BaseModel):
    """OpenAI's answer, and ours."""

    created: int
    data: tuple[Picture, ...]
    output_format: Literal["png"] = "png"
    size: str
    rightstep: HowMade

    def to_json(self) -> dict[str, Any]:
        """Without the fields of a picture that were not asked for."""
        return self.model_dump(mode="json", exclude_none=True)


def how_made(made: MadePictures) -> HowMade:
    """What a request got."""
    ordered, served = made.ordered, made.served
    job, first, shots = ordered.job, ordered.decisions[0], ordered.manifest.shots
    results = [one.result for one in served]
    rendered = sum(take.artefact is not None for result in results for take in result.takes)
    return HowMade(
        job_id=job.job_id,
        shipment_id=made.delivered.shipment.shipment_id,
        plan_hash=job.plan_hash,
        stack_id=first.offer.stack.stack_id,
        method=first.offer.preset.name,
        steps=first.steps,
        is_degraded=first.steps < (shots[0].steps or 0),
        seeds=tuple(one.seed for one in shots),
        seconds=round(sum(result.denoise_seconds for result in results), 4),
        queue_seconds=round(max((one.queue_seconds for one in served), default=0.0), 4),
        load_seconds=round(sum(result.load_seconds for result in results), 4),
        batch_pictures=max((one.pictures for one in served), default=0),
        reused=len(shots) - rendered,
        quality=first.quality,
        sha256=tuple(item.artefact_sha256 for item in made.delivered.shipment.items),
        kept=ordered.is_kept,
    )


def answer_shape(made: MadePictures, base: str) -> Pictures:
    """The answer to a request; ``base`` is what URLs begin with, "" where the bytes are sent."""
    job, shots = made.ordered.job, made.ordered.manifest.shots
    return Pictures(
        created=int(job.submitted_at.timestamp()),
        data=tuple(
            Picture(url=f"{base}v1/jobs/{job.job_id}/shots/{one.name}/artefact")
            if base
            else Picture(b64_json=base64.b64encode(body).decode())
            for one, body in zip(shots, made.delivered.pictures, strict=True)
        ),
        size=f"{shots[0].width}x{shots[0].height}",
        rightstep=how_made(made),
    )


def headers_of_order(ordered: OrderedPictures) -> dict[str, str]:
    """What is known of a request before it is rendered."""
    first = ordered.decisions[0]
    return {
        "X-Rightstep-Job": ordered.job.job_id,
        "X-Rightstep-Method": first.offer.preset.name,
        "X-Rightstep-Steps": str(first.steps),
    }


def headers_of(made: HowMade) -> dict[str, str]:
    """The same for those who only look at headers."""
    return {
        "X-Rightstep-Job": made.job_id,
        "X-Rightstep-Shipment": made.shipment_id,
        "X-Rightstep-Method": made.method,
        "X-Rightstep-Steps": str(made.steps),
        "X-Rightstep-Degraded": str(made.is_degraded).lower(),
        "X-Rightstep-Seconds": f"{made.seconds:.4f}",
        "X-Rightstep-Queue-Seconds": f"{made.queue_seconds:.4f}",
        "X-Rightstep-Batch-Pictures": str(made.batch_pictures),
    }
