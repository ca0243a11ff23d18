"""Where a job stops by itself: after its probes, or at its budget; what is asked first; all pure.

A probe is a batch that is rendered out of turn, so that a night can be judged early: the first,
the last and the middle one, then the middles between those, again and again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from policy.wording import duration, plural

PROBES = 3  # first, middle and last: what a person is asked about


class BudgetEnd(StrEnum):
    """What becomes of a job when its budget is spent."""

    HOLD = "hold"  # what is in flight ends, and a person is asked
    FINISH = "finish"  # what is in flight ends, and the rest is cancelled
    STOP = "stop"  # everything is cancelled, workers stop at the next step


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What an order says of its own end."""

    probes: bool = False  # render in the order of probes
    hold_after_probes: bool = False  # and ask a person after the first three
    budget_seconds: float | None = None  # of workers, loads included
    budget_end: BudgetEnd = BudgetEnd.HOLD


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """Where a job stands against its limits."""

    probes_open: int | None  # probes that are not made; None where nobody has to be asked, or was
    seconds: float  # of workers, settled
    budget_seconds: float | None
    budget_end: BudgetEnd


@dataclass(frozen=True, kw_only=True, slots=True)
class Halt:
    """How a job has to stop, and why."""

    how: BudgetEnd
    code: str  # budget_spent | probes_made
    detail: str


def halt(spent: Spent) -> Halt | None:
    """Whether a job has to stop now; its budget goes before its probes."""
    budget = spent.budget_seconds
    if budget is not None and spent.seconds >= budget:
        told = f"The budget of {duration(budget)} of workers is spent: {duration(spent.seconds)}."
        return Halt(how=spent.budget_end, code="budget_spent", detail=told)
    if spent.probes_open == 0:
        told = "Its first, middle and last batch are made: look at them, then resume the job."
        return Halt(how=BudgetEnd.HOLD, code="probes_made", detail=told)
    return None


def rendering_order(urgency: Sequence[int], *, probes: bool) -> list[int]:
    """Indexes of batches in the order of rendering: the most urgent first, then the plan's order or probes.

    Probes are taken among batches of one urgency.
    """
    by_urgency = sorted(range(len(urgency)), key=lambda number: (-urgency[number], number))
    if not probes:
        return by_urgency
    bands = [list(band) for _, band in groupby(by_urgency, key=lambda number: urgency[number])]
    return [band[place] for band in bands for place in probe_order(len(band))]


def probe_order(count: int) -> list[int]:
    """0 to ``count`` - 1: first, middle, last, then the middle of every gap, the widest generation first."""
    if count <= 2:
        return list(range(count))
    last, middle = count - 1, (count - 1) // 2
    order = [0, middle, last]
    gaps = [(0, middle), (middle, last)]
    while gaps:
        following: list[tuple[int, int]] = []
        for low, high in gaps:
            if high - low > 1:
                between = (low + high) // 2
                order.append(between)
                following += [(low, between), (between, high)]
        gaps = following
    return list(dict.fromkeys(order))


def gate_of(limits: Limits, batches: int) -> int | None:
    """How many batches are handed out before a person is asked; None where nobody is."""
    if not limits.hold_after_probes or batches <= PROBES:
        return None
    return PROBES


def told(limits: Limits) -> list[str]:
    """What a plan says of its limits, in sentences."""
    found: list[str] = []
    if limits.probes:
        found.append("Rendered as probes: first, middle, last, then the middles between them.")
    if limits.hold_after_probes:
        found.append(f"Held after {plural(PROBES, 'batch')} until somebody has looked at them.")
    if limits.budget_seconds is not None:
        ends = {
            BudgetEnd.HOLD: "then held for a word",
            BudgetEnd.FINISH: "then nothing more is begun",
            BudgetEnd.STOP: "then stopped at the next step",
        }
        found.append(f"At most {duration(limits.budget_seconds)} of workers, {ends[limits.budget_end]}.")
    return found
