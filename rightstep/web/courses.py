"""What is noted of a request while it goes: for its line in the log, its metrics and its trace.

Nothing in it is a prompt, a key or anybody's words.
"""

import time
from collections.abc import Awaitable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.types import Scope

from flows.steps import Stage
from policy.tasks import RenderTask, ServedBatch

UNKNOWN = "unknown"  # the route of what no path of ours is
COURSE: ContextVar["Course | None"] = ContextVar("course", default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedBatch:
    """What one request had of a batch that it may have shared."""

    method: str
    steps: int
    stack_id: str
    made: int  # pictures
    asked: int  # of this request in the batch
    pictures: int  # in the batch, those of other callers included
    is_load: bool  # the stack was not resident
    device_seconds: float  # this request's share
    began: float  # seconds since the epoch, when it was handed over
    seconds: float
    stages: tuple[Stage, ...]  # wait, load, denoise, store: one after the other

    @property
    def share(self) -> float:
        """How much of the batch this request was; the shares of one batch add up to one."""
        return self.asked / max(1, self.pictures)


@dataclass(kw_only=True, slots=True)
class Course:
    """A request from its first byte to the last of its answer."""

    request_id: str
    method: str
    path: str
    traceparent: str = ""  # of the caller (W3C Trace Context)
    began: float = field(default_factory=time.time)
    seconds: float = 0.0
    route: str = UNKNOWN  # as a template: /v1/jobs/{job_id}
    status: int = 0  # 0 where the caller left before the answer
    key_id: str = ""
    job_id: str = ""
    problem: str = ""  # code of the kind of problem
    reasons: tuple[str, ...] = ()  # codes of a refusal
    trace_id: str = ""  # where it is traced
    stages: list[Stage] = field(default_factory=list[Stage])  # those of its batches are theirs
    batches: list[RenderedBatch] = field(default_factory=list[RenderedBatch])

    @property
    def stage_seconds(self) -> dict[str, float]:
        """Seconds by stage; where batches ran side by side, what they shared counts once."""
        found: dict[str, float] = {}
        until: dict[str, float] = {}
        rendered = (stage for batch in self.batches for stage in batch.stages)
        for one in sorted((*self.stages, *rendered), key=lambda stage: stage.began):
            ended = one.began + one.seconds
            new = ended - max(one.began, until.get(one.name, 0.0))
            found[one.name] = found.get(one.name, 0.0) + max(0.0, new)
            until[one.name] = max(ended, until.get(one.name, 0.0))
        return found


class Ear(Protocol):
    """Whoever is told of requests."""

    def streams(self, change: int) -> None:
        """A stream of events was opened (1) or closed (-1)."""
        ...

    def ended(self, course: Course) -> None:
        """A request is over."""
        ...


async def note_batch(task: RenderTask, rendering: Awaitable[ServedBatch]) -> ServedBatch:
    """Wait for a batch of this request, note where its seconds went, and hand it on."""
    course, began = COURSE.get(), time.time()
    served = await rendering
    if course is None:
        return served
    result, asked, ended = served.result, len(task.shots), time.time()
    whole = served.pictures / max(1, asked)  # what was waited for is the whole batch, not a share of it
    at, stages = began, list[Stage]()
    for name, seconds in (
        ("wait", served.queue_seconds),
        ("load", result.load_seconds * whole),
        ("denoise", result.denoise_seconds * whole),
        ("store", ended - began),  # the rest: text and pixels, checks, the write, the way there and back
    ):
        until = min(ended, at + seconds)
        stages.append(Stage(name=name, began=at, seconds=until - at))
        at = until
    course.batches.append(
        RenderedBatch(
            method=task.preset,
            steps=task.steps,
            stack_id=result.stack_id,
            made=sum(take.artefact is not None for take in result.takes),
            asked=asked,
            pictures=served.pictures,
            is_load=result.load_seconds > 0,
            device_seconds=result.total_seconds,
            began=began,
            seconds=ended - began,
            stages=tuple(stages),
        )
    )
    return served


def note_trouble(code: str, reasons: Iterable[str]) -> None:
    """Note how this request failed, or what it was refused for."""
    course = COURSE.get()
    if course is not None:
        course.problem, course.reasons = code, tuple(reasons)


def route_of(scope: Scope) -> str:
    """The path as a template, so that there are as many as there are routes; never what a caller wrote."""
    route: Any = scope.get("route")
    if route is not None:
        return str(route.path)
    return str(scope["path"]) if "endpoint" in scope and not scope.get("path_params") else UNKNOWN
