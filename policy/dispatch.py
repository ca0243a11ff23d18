"""Which work comes next: what a free worker takes, in which batch, with how many steps, and why.

Pure and deterministic: open orders, workers, what was served of late and the time go in, one
choice comes out, or None where nothing is to be done now. The rules stand in
``policy.dispatch_rules``. Choosing steps by the slack that is left is the idea of SlackFit
(SuperServe, arXiv 2312.16733); late work after the rest keeps earliest-deadline-first from
collapsing under overload.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from policy.dispatch_rules import GUARDS, PREFERENCES, Ground, Guard, Pair, Preference
from policy.queue_views import OpenOrder, Pace, Seat, Served, free_seats, rank_of

BATCH_CAP = 4  # pictures, where nothing else is said


@dataclass(frozen=True, kw_only=True, slots=True)
class Because:
    """A rule that narrowed the choice: its name, what it says, how many pairs it left."""

    rule: str
    says: str
    left: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What a worker takes now."""

    seat: int
    stack_id: str
    steps: int
    members: tuple[tuple[str, int], ...]  # order and pictures; the first order is why the batch runs
    loads: bool  # the stack has to be loaded first
    is_late: bool  # the first order has lost its deadline
    reasons: tuple[Because, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Everything a choice is made by; a part can be left out to see what it buys."""

    guards: tuple[Guard, ...] = GUARDS
    preferences: tuple[Preference, ...] = PREFERENCES
    batch_cap: int = BATCH_CAP
    fits_steps: bool = True  # False: always as asked
    loads_worth: float = 1.0  # how many times its cost a load has to be worth


def choose_next(
    orders: Sequence[OpenOrder], seats: Sequence[Seat], served: Served, now: float, rules: Rules | None = None
) -> Choice | None:
    """The best pair of a waiting order and a free worker, with its batch; None where there is none."""
    rules = rules or Rules()
    waiting = [order for order in orders if order.pictures > 0]
    free = free_seats(seats, now)
    if not waiting or not free:
        return None
    ground = Ground(waiting, seats, served, now, rules.loads_worth)
    pairs = [
        pair for pair in ground.pairs(free) if not any(guard.forbids(pair, ground) for guard in rules.guards)
    ]
    if not pairs:
        return None
    best, reasons = _narrowed(pairs, ground, rules)
    members = fill_batch(best.order, waiting, now + best.load, rules.batch_cap)
    pace = _pace(best, members, waiting, ground) if rules.fits_steps else best.order.asked_pace
    return Choice(
        seat=best.seat.number,
        stack_id=best.order.stack_id,
        steps=pace.steps,
        members=tuple((order.order_id, pictures) for order, pictures in members),
        loads=best.load > 0,
        is_late=best.is_late,
        reasons=reasons,
    )


def _narrowed(pairs: list[Pair], ground: Ground, rules: Rules) -> tuple[Pair, tuple[Because, ...]]:
    """Ask the preferences until one pair is left; what they leave open: no load, first come, first number."""
    reasons: list[Because] = []
    for preference in rules.preferences:
        if len(pairs) == 1:
            break
        keys = [preference.key(pair, ground) for pair in pairs]
        best = min(keys)
        kept = [pair for pair, key in zip(pairs, keys, strict=True) if key == best]
        if len(kept) < len(pairs):
            reasons.append(Because(rule=preference.name, says=preference.says, left=len(kept)))
        pairs = kept
    first = min(
        pairs, key=lambda pair: (pair.load, pair.order.arrived, pair.order.order_id, pair.seat.number)
    )
    return first, tuple(reasons)


def fill_batch(
    first: OpenOrder, waiting: Sequence[OpenOrder], begins: float, cap: int
) -> tuple[tuple[OpenOrder, int], ...]:
    """The first order's pictures, then those of others that may share its batch, in their order.

    Nobody joins whose steps differ from what the first one asked for, and nobody joins so that
    a member which would be in time alone becomes late.
    """
    asked = first.asked_pace
    members: list[tuple[OpenOrder, int]] = []
    filled, due = 0, first.due
    for order in (first, *(other for other in waiting if other is not first)):
        if (
            order.stack_id != first.stack_id
            or order.batch_key != first.batch_key
            or order.asked != first.asked
        ):
            continue
        sooner = due if order.due < begins + asked.p95 else min(due, order.due)
        room = min(cap - filled, order.pictures)
        while room and filled + room > 1 and not _fits(first, filled + room, begins, sooner):
            room -= 1
        if room:
            members.append((order, room))
            filled, due = filled + room, sooner
        if filled == cap:
            break
    return tuple(members)


def _fits(first: OpenOrder, pictures: int, begins: float, due: float) -> bool:
    """Whether a batch so large still ends in time; where even one picture would not, size is no matter."""
    alone = first.asked_pace.p95
    return begins + alone > due or begins + first.batch_seconds(alone, pictures) <= due


def _pace(
    best: Pair, members: tuple[tuple[OpenOrder, int], ...], waiting: Sequence[OpenOrder], ground: Ground
) -> Pace:
    """The most steps with which the batch, and what presses behind it, is still in time."""
    common = set.intersection(*({pace.steps for pace in order.open_paces} for order, _ in members))
    paces = [pace for pace in best.order.open_paces if pace.steps in common]
    pictures = sum(count for _, count in members)
    budget = _budget(best, members, waiting, ground)
    fitting = [pace for pace in paces if best.order.batch_seconds(pace.p95, pictures) <= budget]
    return fitting[-1] if fitting else paces[0]


def _budget(
    best: Pair, members: tuple[tuple[OpenOrder, int], ...], waiting: Sequence[OpenOrder], ground: Ground
) -> float:
    """Seconds that the batch may take: its own slack, and that of those which queue for the stack."""
    begins = ground.now + best.load
    crew = max(1, len(ground.holders.get(best.order.stack_id, ())))
    taken = {order.order_id: count for order, count in members}
    budget = min((order.due - begins for order, _ in members if order.due > best.end - 1e-9), default=0.0)
    behind = 0.0
    rank = rank_of(best.order.tier)
    rivals = [one for one in waiting if one.stack_id == best.order.stack_id and rank_of(one.tier) <= rank]
    for order in sorted(rivals, key=lambda one: one.due):
        left = order.pictures - taken.get(order.order_id, 0)
        quickest = order.quickest
        if not left or begins + quickest.p95 > order.due:
            continue  # late whatever is done: it takes nobody's steps
        alone = quickest.p95 if left == 1 else quickest.p50 * left * order.share
        behind += alone / crew
        budget = min(budget, order.due - begins - behind)
    return budget
