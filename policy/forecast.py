"""How well an end was foretold, once a part of the job was made: what the rest was to take, and what it took.

The rest is priced as planned, times what the batches of its stack took for each predicted
second so far, the first batch of a worker left out, since it warms up; a stack of which
none is settled yet takes the pace of all. Batches under way are half done on the average.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from policy.finish import DRIFT, PRIOR_ERROR, Finish, Run, Work, finish_of
from policy.plan import Decision

EARLY = 0.1  # of the pictures: when a forecast is held against the end
Kind = tuple[str, int, int, int]  # base, width, height, frames: rows of one kind cost about the same


@dataclass(frozen=True, kw_only=True, slots=True)
class SettledBatch:
    """A batch as it was rendered."""

    decision: int  # index
    pictures: int
    seconds: float  # of its worker, the load of its stack apart
    load_seconds: float
    at: float  # seconds from the start of the job until it was settled


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """An end as it was foretold, beside the real one; seconds from the start of the job."""

    share: float  # of the pictures that were made by then, 0..1
    at: float  # when it was told
    p50: float
    p95: float
    real: float

    @property
    def error(self) -> float:
        """How far off it was, relative to what was still to come."""
        left = self.real - self.at
        return abs(self.p50 - self.real) / left if left > 0 else 0.0


def foretell(
    decisions: Sequence[Decision], settled: Sequence[SettledBatch], workers: int, share: float = EARLY
) -> Forecast | None:
    """The end as it could be told when a share of the pictures was made; None where nothing came after.

    ``settled`` are all batches of an ended job, in the order in which they were settled.
    """
    made = math.fsum(batch.pictures for batch in settled) * share
    done, rest = _parted(settled, made)
    if not done or not rest:
        return None
    loads = [batch.load_seconds for batch in done if batch.load_seconds > 0]
    load = math.fsum(loads) / len(loads) if loads else 0.0
    works = _works(decisions, done, rest)
    finish = finish_of(works, workers, load)
    known = {_stack(decisions, batch) for batch in done}
    under_way = math.fsum(run.batches * run.p50 for work in works for run in work.runs) / len(rest) / 2
    early = under_way + (load if works[0].stack_id in known else 0.0)
    at = done[-1].at
    left = Finish(p50=max(0.0, finish.p50 - early), p95=max(0.0, finish.p95 - early))
    return Forecast(
        share=math.fsum(batch.pictures for batch in done) / math.fsum(batch.pictures for batch in settled),
        at=at,
        p50=at + left.p50,
        p95=at + left.p95,
        real=settled[-1].at,
    )


def _parted(
    settled: Sequence[SettledBatch], pictures: float
) -> tuple[Sequence[SettledBatch], Sequence[SettledBatch]]:
    """The batches that make up so many pictures, and those that came after."""
    made = 0
    for number, batch in enumerate(settled, 1):
        made += batch.pictures
        if made >= pictures:
            return settled[:number], settled[number:]
    return settled, ()


def _works(
    decisions: Sequence[Decision], done: Sequence[SettledBatch], rest: Sequence[SettledBatch]
) -> tuple[Work, ...]:
    warm = [batch for batch in done if not batch.load_seconds]
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    seen: dict[Kind, list[tuple[float, float]]] = defaultdict(list)
    for batch in warm or done:
        decision = decisions[batch.decision]
        taken[_stack(decisions, batch)].append((batch.seconds, _predicted(decisions, batch)))
        seen[_kind(decision)].append((batch.seconds, _rows(decision) * batch.pictures))
    left: dict[str, list[SettledBatch]] = defaultdict(list)
    for batch in rest:  # workers with different stacks settle in turn; that is no change of stack
        left[_stack(decisions, batch)].append(batch)
    everything = [pair for pairs in taken.values() for pair in pairs]
    return tuple(
        Work(
            stack_id=stack_id,
            family=(stack_id,),
            error=math.hypot(DRIFT, PRIOR_ERROR / math.sqrt(len(taken.get(stack_id, ())) or 1)),
            runs=_runs(
                decisions,
                batches,
                _pace(taken.get(stack_id) or _elsewhere(decisions, batches, seen) or everything),
            ),
        )
        for stack_id, batches in left.items()
    )


def _kind(decision: Decision) -> Kind:
    return (decision.offer.stack.base.pin_id, decision.width, decision.height, decision.frames)


def _rows(decision: Decision) -> int:
    """Rows that a picture sends through the model."""
    return decision.rows_per_picture * decision.steps


def _elsewhere(
    decisions: Sequence[Decision],
    batches: Sequence[SettledBatch],
    seen: Mapping[Kind, Sequence[tuple[float, float]]],
) -> Sequence[tuple[float, float]]:
    """What these batches would take at what a row cost other stacks on their base; nothing if none ran."""
    found: list[tuple[float, float]] = []
    for batch in batches:
        decision = decisions[batch.decision]
        rows = seen.get(_kind(decision))
        if not rows:
            return ()
        found.append((_pace(rows) * _rows(decision) * batch.pictures, _predicted(decisions, batch)))
    return found


def _runs(decisions: Sequence[Decision], batches: Sequence[SettledBatch], pace: float) -> tuple[Run, ...]:
    kinds = groupby(batches, key=lambda batch: (batch.decision, batch.pictures))
    return tuple(
        Run(
            batches=sum(1 for _ in alike),
            p50=decisions[number].seconds_p50 * pictures * pace,
            p95=decisions[number].seconds_p95 * pictures * pace,
        )
        for (number, pictures), alike in kinds
    )


def _pace(taken: Sequence[tuple[float, float]]) -> float:
    predicted = math.fsum(pair[1] for pair in taken)
    return math.fsum(pair[0] for pair in taken) / predicted if predicted > 0 else 1.0


def _predicted(decisions: Sequence[Decision], batch: SettledBatch) -> float:
    return decisions[batch.decision].seconds_p50 * batch.pictures


def _stack(decisions: Sequence[Decision], batch: SettledBatch) -> str:
    return decisions[batch.decision].offer.stack.stack_id
