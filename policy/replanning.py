"""Another look at a night under way: late sheds steps, early gives them back, each with its reason.

Pure: what is queued, what is in flight and what settled batches really took go in; which
queued batches get other steps comes out, and whether the deadline is at risk. A batch
keeps its composition and its stack; only its steps change, within what the tier allows,
never above what was asked for and never where the order forbids it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from policy.allotment import Pile, Stage, Way, allot, floor, quality
from policy.canonical import digest
from policy.courses import may_shed
from policy.decisions import CUT, decision_digest
from policy.finish import DRIFT, Finish, Work, finish_of
from policy.ladder import Candidate, Ground, Need, candidate_at, speaks_against
from policy.layouts import Priced, price
from policy.manifest import Shot
from policy.night import worth
from policy.plan import Decision, Rejection
from policy.step_counts import step_options
from policy.wording import duration, plural, rounded

TOLD = 3  # settled batches of a stack before what they took is believed
SPARE = 0.1  # of the time left: given back only beyond it, so that rounds do not go to and fro


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where one decision of a job stands; batches that were tried before are in flight until they settle."""

    decision: int  # index
    shot: Shot  # any of its shots: what was asked for
    pictures: int  # in its largest batch
    queued: int  # batches that may still change
    in_flight: int  # batches that may not, and are not settled
    weight: float  # of the quality of one picture
    settled: int = 0  # batches
    settled_pictures: int = 0
    settled_seconds: float = 0.0  # what they really took, loads apart


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """So many queued batches of a decision, in the order of rendering, get other steps."""

    decision: int
    after: int  # batches that come before them
    batches: int
    candidate: Candidate
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """What one look came to."""

    before: Finish  # seconds from now, as things stand
    after: Finish  # with the changes
    left: float  # seconds to the deadline
    changes: tuple[Change, ...]

    @property
    def is_at_risk(self) -> bool:
        """More than one such night in twenty would end late."""
        return self.after.p95 > self.left

    @property
    def margin(self) -> float:
        """Seconds between the end (p95) and the deadline; negative where it is missed."""
        return self.left - self.after.p95


@dataclass(frozen=True, kw_only=True, slots=True)
class Crew:
    """Who renders, and until when."""

    workers: int
    load_seconds: float
    deadline: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class _Queue:
    """A decision with its ways, from the cheapest up, and how far its profile was off tonight."""

    standing: Standing
    ways: tuple[Priced, ...]
    now: int  # index of the way it runs
    pace: float  # measured seconds for each predicted one
    error: float

    def work(self, way: int, batches: int) -> Work:
        priced = self.ways[way]
        run = priced.run(self.standing.pictures, batches)
        paced = type(run)(batches=batches, p50=run.p50 * self.pace, p95=run.p95 * self.pace)
        return Work(stack_id=priced.stack_id, family=priced.family, error=self.error, runs=(paced,))

    def pile(self, low: int, high: int) -> Pile:
        """The ways between two of them as a pile of batches."""
        pictures = self.standing.pictures
        return Pile(
            units=self.standing.queued,
            weight=self.standing.weight * pictures,
            ways=tuple(
                Way(
                    steps=way.candidate.steps,
                    quality=worth(way.candidate),
                    seconds=way.run(pictures, 1).p50 * self.pace,
                )
                for way in self.ways[low : high + 1]
            ),
        )


def replan(
    decisions: Sequence[Decision], standings: Sequence[Standing], ground: Ground, crew: Crew
) -> Round | None:
    """One look; None where nothing is open or nothing is known of it any more."""
    queues = _queues(decisions, standings, ground)
    if not any(queue.standing.queued or queue.standing.in_flight for queue in queues):
        return None
    left = (crew.deadline - crew.now).total_seconds()
    before = _finish(queues, tuple(((queue.now, queue.standing.queued),) for queue in queues), crew)
    stage, why = None, ""
    if may_shed(ground) and before.p95 > left:
        stage = _shed(queues, left, crew)
        why = f"late: {duration(before.p95)} of work (p95) for {duration(max(left, 0.0))}"
    elif before.p95 < left * (1 - SPARE):
        stage = _given_back(queues, left * (1 - SPARE), crew)
        why = f"early: {duration(before.p95)} of work (p95) for {duration(left)}"
    if stage is None:
        return Round(before=before, after=before, left=left, changes=())
    return Round(
        before=before, after=_finish(queues, stage, crew), left=left, changes=_changes(queues, stage, why)
    )


def _shed(queues: Sequence[_Queue], left: float, crew: Crew) -> Stage:
    """Fewer steps, no more than it takes; everything that may be shed where that is not enough."""
    piles = [queue.pile(0, queue.now) for queue in queues]
    found = allot(
        piles, max(left, 0.0) * crew.workers, lambda stage: _finish(queues, stage, crew).p95 <= left
    )
    return floor(piles) if found is None else found


def _given_back(queues: Sequence[_Queue], within: float, crew: Crew) -> Stage | None:
    """More steps, where an earlier cut left some to give back and they fit with time to spare."""
    if all(queue.now == len(queue.ways) - 1 or not queue.standing.queued for queue in queues):
        return None
    piles = [queue.pile(queue.now, len(queue.ways) - 1) for queue in queues]

    def fits(stage: Stage) -> bool:
        return _finish(queues, _shifted(queues, stage), crew).p95 <= within

    found = allot(piles, within * crew.workers, fits)
    if found is None or quality(piles, found) <= quality(piles, floor(piles)):
        return None
    return _shifted(queues, found)


def _shifted(queues: Sequence[_Queue], stage: Stage) -> Stage:
    """A stage of piles that begin at the way of now, in terms of all ways."""
    return tuple(
        tuple((way + queue.now, units) for way, units in share)
        for queue, share in zip(queues, stage, strict=True)
    )


def _changes(queues: Sequence[_Queue], stage: Stage, why: str) -> tuple[Change, ...]:
    changes: list[Change] = []
    for queue, share in zip(queues, stage, strict=True):
        after = 0
        for way, batches in share:
            if way != queue.now and batches:
                changes.append(
                    Change(
                        decision=queue.standing.decision,
                        after=after,
                        batches=batches,
                        candidate=queue.ways[way].candidate,
                        reason=f"{plural(queue.ways[way].candidate.steps, 'step')} instead of "
                        f"{queue.ways[queue.now].candidate.steps}, since the night is {why}{_paced(queue)}.",
                    )
                )
            after += batches
    return tuple(changes)


def _paced(queue: _Queue) -> str:
    return "" if queue.pace == 1.0 else f"; batches took {rounded(queue.pace)} times what was predicted"


def _finish(queues: Sequence[_Queue], stage: Stage, crew: Crew) -> Finish:
    flying = [queue.work(queue.now, queue.standing.in_flight) for queue in queues if queue.standing.in_flight]
    queued = [
        queue.work(way, units)
        for queue, share in zip(queues, stage, strict=True)
        for way, units in share
        if units
    ]
    return finish_of([*flying, *queued], crew.workers, crew.load_seconds)


def decision_of(before: Decision, change: Change) -> Decision:
    """The decision that changed batches run from now on; what was asked for stays among the rejected."""
    run, size = change.candidate, before.batch_size
    p50, p95 = (seconds / size for seconds in run.seconds(size))
    asked = steps_asked(before)
    night = Rejection(
        preset=run.offer.preset.name,
        steps=asked,
        code=CUT,
        detail=f"{run.offer.preset.name} at {plural(asked, 'step')} would end after the deadline.",
    )
    others = tuple(no for no in before.rejected if (no.code, no.preset) != (night.code, night.preset))
    after = replace(
        before,
        steps=run.steps,
        guidance=run.guidance,
        rows_per_picture=run.rows_per_picture,
        seconds_p50=p50,
        seconds_p95=p95,
        quality=run.quality,
        reasons=(before.reasons[0], change.reason, *before.reasons[2:]),
        rejected=(night, *others) if run.steps < asked else others,
    )
    return replace(after, decision_id=decision_digest(after, digest("offer", after.offer)))


# --- what may run, and how fast it is tonight ------------------------------------------------


def _queues(decisions: Sequence[Decision], standings: Sequence[Standing], ground: Ground) -> list[_Queue]:
    priced = [(standing, _ways(decisions[standing.decision], standing, ground)) for standing in standings]
    found = [(standing, ways) for standing, ways in priced if ways]
    paces = _paces([(standing, ways, _now(decisions, standing, ways)) for standing, ways in found])
    return [
        _Queue(
            standing,
            ways,
            _now(decisions, standing, ways),
            *paces.get(ways[0].stack_id, (1.0, ways[0].error)),
        )
        for standing, ways in found
    ]


def _now(decisions: Sequence[Decision], standing: Standing, ways: Sequence[Priced]) -> int:
    steps = decisions[standing.decision].steps
    return next(place for place, way in enumerate(ways) if way.candidate.steps == steps)


def _ways(decision: Decision, standing: Standing, ground: Ground) -> tuple[Priced, ...]:
    """The way that a decision runs, and the step counts it may move to; nothing where it is not priced."""
    options = {decision.steps}
    if standing.shot.steps is None and may_shed(ground):
        most = steps_asked(decision)
        options |= {steps for steps in step_options(decision.offer.preset, ground.rule) if steps <= most}
    need = Need.of(standing.shot)
    ways = [candidate_at(decision.offer, need, ground, steps) for steps in sorted(options)]
    return tuple(
        price(way, ground.service.latency_target_s)
        for way in ways
        if isinstance(way, Candidate) and (way.steps == decision.steps or speaks_against(way, ground) is None)
    )


def steps_asked(decision: Decision) -> int:
    """The steps before any night cut them; its own where another method was asked for or nothing was cut."""
    return max(
        (
            no.steps
            for no in decision.rejected
            if no.code == CUT and no.preset == decision.offer.preset.name and no.steps
        ),
        default=decision.steps,
    )


def _paces(
    found: Sequence[tuple[Standing, tuple[Priced, ...], int]],
) -> dict[str, tuple[float, float]]:
    """(measured for predicted, what may still be wrong with that) by stack, from what settled tonight."""
    settled: dict[str, list[tuple[int, float, float, float]]] = {}
    for standing, ways, now in found:
        if standing.settled:
            way = ways[now]
            size = max(1, min(standing.pictures, round(standing.settled_pictures / standing.settled)))
            predicted = way.run(size, 1).p50 * standing.settled_pictures / size
            rows = settled.setdefault(way.stack_id, [])
            rows.append((standing.settled, predicted, standing.settled_seconds, way.error))
    paces: dict[str, tuple[float, float]] = {}
    for stack_id, rows in settled.items():
        batches = sum(row[0] for row in rows)
        predicted = math.fsum(row[1] for row in rows)
        if batches >= TOLD and predicted > 0:
            paces[stack_id] = (
                math.fsum(row[2] for row in rows) / predicted,
                math.hypot(DRIFT, rows[0][3] / math.sqrt(batches)),
            )
    return paces
