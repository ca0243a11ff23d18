"""Pictures as they come, as server-sent events in the shape of OpenAI's images API."""

import base64
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from fastapi.concurrency import run_in_threadpool

from policy.manifest import Shot
from rightstep.web.picture_runs import MadePictures, PictureRun, ShotReport
from rightstep.web.picture_shapes import PictureWish, how_made
from rightstep.web.problems import noted, openai_of, trouble_of_any

PARTIAL = "image_generation.partial_image"
COMPLETED = "image_generation.completed"
STEP = "rightstep.step"
NO_TOKENS = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}  # clients expect the field; nothing here is counted in tokens
EXAMPLE = """event: image_generation.partial_image
data: {"type": "image_generation.partial_image", "b64_json": "iVBORw0K...", "partial_image_index": 0}

event: image_generation.completed
data: {"type": "image_generation.completed", "b64_json": "iVBORw0K...", "size": "64x64"}

"""


async def events_of(
    run: PictureRun,
    wish: PictureWish,
    request_id: str,
    require_access: Callable[[], object],
    leave: Callable[[], None],
) -> AsyncGenerator[str]:
    """The events of a run until its pictures or its failure; ``leave`` is called when nobody reads any more.

    Whoever may no longer ask is told so instead of the next picture, and sees nothing more.
    """
    ordered = await run.accepted()
    common = _common(ordered.manifest.shots[0], int(ordered.job.submitted_at.timestamp()))
    shown: Counter[int] = Counter()
    try:
        async with aclosing(run.reports()) as reports:
            async for report in reports:
                if wish.progress:
                    yield _event(STEP, _step(report))
                if report.preview is not None:
                    await run_in_threadpool(require_access)
                    yield _event(PARTIAL, {**common, **_partial(report, report.preview, shown[report.shot])})
                    shown[report.shot] += 1
        made = await run.made()
        for number in range(len(made.delivered.pictures)):
            yield _event(COMPLETED, {**common, **_completed(made, number)})
    except Exception as error:  # noqa: BLE001 - the answer has begun: whatever happens is told as its last event
        yield _event("error", {"type": "error", **openai_of(noted(trouble_of_any(error)), request_id)})
    finally:
        leave()


def _common(shot: Shot, created_at: int) -> dict[str, Any]:
    return {
        "created_at": created_at,
        "size": f"{shot.width}x{shot.height}",
        "quality": "auto",
        "background": "opaque",
        "output_format": "png",
    }


def _step(report: ShotReport) -> dict[str, Any]:
    return {"picture": report.shot, "step": report.done, "steps": report.steps}


def _partial(report: ShotReport, preview: bytes, before: int) -> dict[str, Any]:
    return {
        "b64_json": base64.b64encode(preview).decode(),
        "partial_image_index": before,
        "rightstep": _step(report),
    }


def _completed(made: MadePictures, number: int) -> dict[str, Any]:
    return {
        "b64_json": base64.b64encode(made.delivered.pictures[number]).decode(),
        "usage": NO_TOKENS,
        "rightstep": {"picture": number, **how_made(made).model_dump(mode="json")},
    }


def _event(name: str, facts: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps({'type': name, **facts})}\n\n"
