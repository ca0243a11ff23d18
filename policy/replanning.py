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
from policy.costs import Fleet
from policy.courses import may_shed
from policy.decisions import CUT, decision_digest
from policy.finish import DRIFT, Finish, Run, Work
from policy.ladder import Candidate, Ground, Need, candidate_at, speaks_against
from policy.layouts import Priced, device_costs, price
from policy.manifest import Shot
from policy.night import worth
from policy.plan import Decision, DeviceCost, Rejection
from policy.spans import Team, ending_of, ends_within
from policy.step_counts import step_options
from policy.wording import duration, plural, rounded

TOLD = 3  # settled batches of a stack before what they took is believed
SPARE = 0.1  # of the time left: given back only beyond it, so that rounds do not go to and fro


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What batches of a decision really took on one device class."""

    device: str
    batches: int
    pictures: int
    seconds: float  # loads apart


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where one decision of a job stands; batches that were tried before are in flight until they settle."""

    decision: int  # index
    shot: Shot  # any of its shots: what was asked for
    pictures: int  # in its largest batch
    queued: int  # batches that may still change
    in_flight: int  # batches that may not, and are not settled
    weight: float  # of the quality of one picture
    settled: tuple[Settled, ...] = ()


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

    fleet: Fleet
    deadline: datetime
    now: datetime


Pace = tuple[float, float]  # measured seconds for each predicted one, and what may be wrong with that


@dataclass(frozen=True, slots=True)
class _Queue:
    """A decision with its ways, from the cheapest up, and how far its profiles were off tonight."""

    standing: Standing
    ways: tuple[Priced, ...]
    now: int  # index of the way it runs
    paces: dict[str, Pace]  # by device
    devices: frozenset[str]  # that may take its batches; empty for any

    def work(self, way: int, batches: int, device: str) -> Work:
        """So many batches as one device has them; infinitely long where it may not take them."""
        there = self.there(way, device)
        pace, error = self.paces.get(device, (1.0, there.error))
        run = there.run(self.standing.pictures, batches)
        p50, p95 = run.p50 * pace, run.p95 * pace
        if self.devices and device not in self.devices:
            p50 = p95 = math.inf
        paced = Run(batches=batches, p50=p50, p95=p95)
        return Work(stack_id=there.stack_id, family=there.family, error=error, runs=(paced,))

    def there(self, way: int, device: str) -> Priced:
        """A way on some device; on the one that it was judged on, where it is not known there."""
        return self.ways[way].on(device) or self.ways[way]

    def seconds(self, way: int, device: str) -> float:
        """p50 seconds of a batch on a device, at tonight's pace."""
        return self.work(way, 1, device).runs[0].p50

    def judged(self, way: int) -> float:
        """p50 seconds of a batch on the device that the night is judged on."""
        here = self.ways[way]
        pace, _ = self.paces.get(here.device, (1.0, 0.0))
        return here.run(self.standing.pictures, 1).p50 * pace

    def pile(self, low: int, high: int) -> Pile:
        """The ways between two of them as a pile of batches."""
        pictures = self.standing.pictures
        return Pile(
            units=self.standing.queued,
            weight=self.standing.weight * pictures,
            ways=tuple(
                Way(
                    steps=self.ways[way].candidate.steps,
                    quality=worth(self.ways[way].candidate),
                    seconds=self.judged(way),
                )
                for way in range(low, high + 1)
            ),
        )


def replan(
    decisions: Sequence[Decision], standings: Sequence[Standing], ground: Ground, crew: Crew
) -> Round | None:
    """One look; None where nothing is open or nothing is known of it any more."""
    queues = _queues(decisions, standings, ground, crew.fleet)
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
    capacity = _capacity(queues, crew.fleet, max(left, 0.0))
    found = allot(piles, capacity, lambda stage: ends_within(_teams(queues, stage, crew.fleet), left))
    return floor(piles) if found is None else found


def _given_back(queues: Sequence[_Queue], within: float, crew: Crew) -> Stage | None:
    """More steps, where an earlier cut left some to give back and they fit with time to spare."""
    if all(queue.now == len(queue.ways) - 1 or not queue.standing.queued for queue in queues):
        return None
    piles = [queue.pile(queue.now, len(queue.ways) - 1) for queue in queues]

    def fits(stage: Stage) -> bool:
        return ends_within(_teams(queues, _shifted(queues, stage), crew.fleet), within)

    found = allot(piles, _capacity(queues, crew.fleet, within), fits)
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
    told = [(device, pace) for device, (pace, _) in sorted(queue.paces.items()) if pace != 1.0]
    if not told:
        return ""
    where = bool(queue.ways[queue.now].others)
    times = " and ".join(f"{rounded(pace)} times{f' on {device}' if where else ''}" for device, pace in told)
    return f"; batches took {times} what was predicted"


def _finish(queues: Sequence[_Queue], stage: Stage, crew: Crew) -> Finish:
    return ending_of(_teams(queues, stage, crew.fleet)).finish


def _teams(queues: Sequence[_Queue], stage: Stage, fleet: Fleet) -> tuple[Team, ...]:
    """What is in flight and what is queued, as each device of the fleet has it."""
    batches = [(queue, queue.now, queue.standing.in_flight) for queue in queues]
    batches += [
        (queue, way, units) for queue, share in zip(queues, stage, strict=True) for way, units in share
    ]
    return tuple(
        Team(
            device=group.device,
            workers=group.workers,
            load_seconds=group.load_seconds,
            works=tuple(queue.work(way, units, group.device) for queue, way, units in batches if units),
        )
        for group in fleet.groups
    )


def _capacity(queues: Sequence[_Queue], fleet: Fleet, within: float) -> float:
    """Seconds of the judging device that nothing which ends within these exceeds."""
    if len(fleet.groups) == 1:
        return within * fleet.workers
    speeds = [
        max(
            (
                queue.judged(way) / max(queue.seconds(way, group.device), 1e-9)
                for queue in queues
                for way in range(len(queue.ways))
            ),
            default=0.0,
        )
        for group in fleet.groups
    ]
    return within * math.fsum(
        group.workers * speed for group, speed in zip(fleet.groups, speeds, strict=True)
    )


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
        devices=_costs_of(before, run),
        reasons=(before.reasons[0], change.reason, *before.reasons[2:]),
        rejected=(night, *others) if run.steps < asked else others,
    )
    return replace(after, decision_id=decision_digest(after, digest("offer", after.offer)))


def _costs_of(before: Decision, run: Candidate) -> tuple[DeviceCost, ...]:
    """What changed batches cost on the devices that could take them before."""
    known = {cost.device for cost in before.devices}
    costs = device_costs(price(run, None), before.batch_size)
    return tuple(cost for cost in costs if cost.device in known)


# --- what may run, and how fast it is tonight ------------------------------------------------


def _queues(
    decisions: Sequence[Decision], standings: Sequence[Standing], ground: Ground, fleet: Fleet
) -> list[_Queue]:
    priced = [(standing, _ways(decisions[standing.decision], standing, ground)) for standing in standings]
    found = [(standing, ways) for standing, ways in priced if ways]
    rows = [(standing, ways, _now(decisions, standing, ways)) for standing, ways in found]
    was_for_several = any(len(decisions[standing.decision].devices) > 1 for standing, _, _ in rows)
    only = fleet.devices[0] if len(fleet.groups) == 1 and not was_for_several else None
    paces = _paces(rows, only)
    here = set(fleet.devices)
    return [
        _Queue(
            standing,
            ways,
            now,
            {device: paces[stack, device] for stack, device in paces if stack == ways[0].stack_id},
            frozenset(cost.device for cost in decisions[standing.decision].devices) & here
            if only is None
            else frozenset(),
        )
        for standing, ways, now in rows
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
    found: Sequence[tuple[Standing, tuple[Priced, ...], int]], only: str | None
) -> dict[tuple[str, str], Pace]:
    """Paces by stack and device, from what settled tonight; all of it counts for the ``only`` device."""
    settled: dict[tuple[str, str], list[tuple[int, float, float, float]]] = {}
    for standing, ways, now in found:
        for one in standing.settled:
            device = only or one.device
            way = ways[now].on(device) or ways[now]
            size = max(1, min(standing.pictures, round(one.pictures / one.batches)))
            predicted = way.run(size, 1).p50 * one.pictures / size
            rows = settled.setdefault((way.stack_id, device), [])
            rows.append((one.batches, predicted, one.seconds, way.error))
    paces: dict[tuple[str, str], Pace] = {}
    for place, rows in settled.items():
        batches = sum(row[0] for row in rows)
        predicted = math.fsum(row[1] for row in rows)
        if batches >= TOLD and predicted > 0:
            paces[place] = (
                math.fsum(row[2] for row in rows) / predicted,
                math.hypot(DRIFT, rows[0][3] / math.sqrt(batches)),
            )
    return paces
