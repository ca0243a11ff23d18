"""What was predicted beside what it really took: of the whole job, and of each way in which pictures ran."""

import math
from dataclasses import dataclass

from flows.reports.job_view import JobView
from policy.forecast import EARLY, Forecast, SettledBatch, foretell


@dataclass(frozen=True, kw_only=True, slots=True)
class CoursePrediction:
    """Pictures of one decision; seconds are device seconds a picture, loads apart."""

    decision: int  # index
    stack: str
    preset: str
    steps: int
    pictures: int  # that were rendered, batches of retried ones counted again
    predicted_p50: float
    predicted_p95: float
    real: float
    error: float  # of the median, relative to the real seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """A job as it was foretold and as it went."""

    device_p50: float  # device seconds of what was rendered, as planned
    device_real: float
    device_error: float  # relative to the real ones; 0 where nothing was rendered
    submitted: (
        Forecast | None
    )  # the end as told at submit; null while the job runs, and where pictures were reused
    early: (
        Forecast | None
    )  # the end as it could be told after a tenth of the pictures; null for a few batches
    courses: tuple[CoursePrediction, ...]


def make_prediction(view: JobView) -> Prediction:
    """Hold the plan, and what could be told after a tenth of the job, against what happened."""
    courses = tuple(
        _course(view, number, batches) for number, batches in sorted(_by_decision(view.batches).items())
    )
    predicted = math.fsum(course.predicted_p50 * course.pictures for course in courses)
    real = math.fsum(batch.seconds for batch in view.batches)
    return Prediction(
        device_p50=predicted,
        device_real=real,
        device_error=_error(predicted, real),
        submitted=_submitted(view),
        early=foretell(view.plan.decisions, view.batches, view.workers, EARLY)
        if view.job.state.is_finished
        else None,
        courses=courses,
    )


def _by_decision(batches: tuple[SettledBatch, ...]) -> dict[int, list[SettledBatch]]:
    found: dict[int, list[SettledBatch]] = {}
    for batch in batches:
        found.setdefault(batch.decision, []).append(batch)
    return found


def _course(view: JobView, number: int, batches: list[SettledBatch]) -> CoursePrediction:
    decision = view.plan.decisions[number]
    pictures = sum(batch.pictures for batch in batches)
    real = math.fsum(batch.seconds for batch in batches) / pictures
    return CoursePrediction(
        decision=number,
        stack=decision.offer.stack.name,
        preset=decision.offer.preset.name,
        steps=decision.steps,
        pictures=pictures,
        predicted_p50=decision.seconds_p50,
        predicted_p95=decision.seconds_p95,
        real=real,
        error=_error(decision.seconds_p50, real),
    )


def _submitted(view: JobView) -> Forecast | None:
    """What the plan said of the wall clock; a job that reused pictures had less to do than it says."""
    if not view.batches or not view.job.state.is_finished or view.job.counts.reused:
        return None
    totals = view.plan.totals
    return Forecast(
        share=0.0,
        at=0.0,
        p50=totals.wall_seconds_p50,
        p95=totals.wall_seconds_p95,
        real=view.batches[-1].at,
    )


def _error(told: float, real: float) -> float:
    return abs(told - real) / real if real > 0 else 0.0
