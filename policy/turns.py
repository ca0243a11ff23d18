"""Whose turn it is on a fleet that one job has to itself: the rules of dispatch over whole jobs. Pure.

The job that has the fleet holds a resident stack, so to speak: to hand the fleet over, workers
are ended and others begun, and that has to be worth it. A more urgent tier, lost slack or a
reserved share is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from policy.dispatch import Because, Rules, choose_next
from policy.queue_views import OpenOrder, Pace, Seat, Served
from policy.tiers import ServiceTier

# Between equals a handover has to be worth so many times what it costs: then the fleet spends
# at most about a tenth of its time on changing hands.
HANDOVERS_WORTH = 5.0
RULES = Rules(guards=(), batch_cap=1, fits_steps=False, loads_worth=HANDOVERS_WORTH)


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A job whose driver waits for the fleet, or has it; times in seconds on one clock."""

    turn_id: str
    tier: ServiceTier
    owner: str
    submitted: float
    deadline: float | None
    pictures: int  # that nobody has taken
    picture_p50: float  # seconds on the whole fleet
    picture_p95: float
    has_fleet: bool = False
    priority: int = 0  # said by a person, among jobs of its tier


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """Who is next, and the rules that said so."""

    turn_id: str
    reasons: tuple[Because, ...]


def next_turn(
    contenders: Sequence[Contender], served: Served, now: float, handover_seconds: float
) -> Turn | None:
    """Whose turn it is; None where nobody has anything to render.

    ``served`` counts seconds of the whole fleet, as the predictions do.
    """
    orders = [_order(contender, handover_seconds) for contender in contenders]
    holder = next((contender.turn_id for contender in contenders if contender.has_fleet), "")
    choice = choose_next(orders, (Seat(number=0, stack_id=holder),), served, now, RULES)
    if choice is None:
        return None
    return Turn(turn_id=choice.members[0][0], reasons=choice.reasons)


def _order(contender: Contender, handover_seconds: float) -> OpenOrder:
    """A job as the rules see it: its steps are chosen already, its stack is itself."""
    pace = Pace(steps=1, quality=1.0, p50=contender.picture_p50, p95=contender.picture_p95)
    return OpenOrder(
        order_id=contender.turn_id,
        tier=contender.tier,
        owner=contender.owner,
        arrived=contender.submitted,
        stack_id=contender.turn_id,
        load_seconds=handover_seconds,
        paces=(pace,),
        asked=1,
        pictures=contender.pictures,
        deadline=contender.deadline,
        priority=contender.priority,
    )
