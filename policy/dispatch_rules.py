"""The rules of dispatch: what speaks against a pair of order and worker, and which pair goes first.

A guard leaves a pair out; where guards leave nothing, the worker waits. The preferences are
asked in their order: each keeps the pairs that it likes best, until one is left.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policy.queue_views import TIER_ORDER, OpenOrder, Seat, Served, rank_of
from policy.tiers import ServiceTier

# Of the workers' seconds while it has work: what the tiers above it cannot take from a tier.
RESERVED: dict[ServiceTier, float] = {ServiceTier.INTERACTIVE: 0.2, ServiceTier.BATCH: 0.2}
RESERVED_OVERDUE = 0.05  # the same for work that has been late for as long as the window of ``Served``
OWNER_LOADS = 2.0  # an owner this many loads behind is worth one


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """An order on a free worker."""

    order: OpenOrder
    seat: Seat
    load: float  # seconds until the stack is there
    wait: float | None  # until a worker that holds the stack comes to the order; None where none does
    end: float  # p95 of its next picture, as quickly as it may be made
    is_late: bool  # it would miss its deadline here; without one it misses nothing
    is_pressing: bool  # waiting a load longer would lose the deadline


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What an order comes to, whoever takes it; reckoned once a choice."""

    order: OpenOrder
    rank: int
    due: float
    quickest: float  # p95 of its next picture, as quickly as it may be made
    left: float  # p50 of all that is left, as it was asked
    wait: float | None  # until a worker that holds the stack comes to it; None where none holds it


class Ground:
    """What the rules know beside the pair; built once a choice."""

    def __init__(
        self,
        orders: Sequence[OpenOrder],
        seats: Sequence[Seat],
        served: Served,
        now: float,
        loads_worth: float = 1.0,
    ) -> None:
        self.now = now
        self.served = dict(served.tiers)
        self.owners = dict(served.owners)
        self.late = served.late
        self.window = served.window
        self.capacity = served.window * len(seats)
        self.loads_worth = loads_worth
        self.total = served.seconds
        self.best_served = max((self.owners.get(order.owner, 0.0) for order in orders), default=0.0)
        self.holders: dict[str, list[Seat]] = defaultdict(list)
        for seat in seats:
            self.holders[seat.stack_id].append(seat)
        queued: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(TIER_ORDER))
        for order in orders:
            queued[order.stack_id][rank_of(order.tier)] += left_seconds(order)
        self.needs = [self._need(order, queued[order.stack_id]) for order in orders]

    def is_owed(self, pair: Pair) -> bool:
        """Whether the tier of a pair is behind its reserved share by more than the load would cost.

        However dear the load is: half of what the share of the whole window comes to will do.
        """
        share = RESERVED.get(pair.order.tier, 0.0)
        debt = share * self.total - self.served.get(pair.order.tier, 0.0)
        return debt > self._price(pair, share)

    def is_owed_overdue(self, pair: Pair) -> bool:
        """The same for what has been late for the whole window, whatever its tier."""
        is_overdue = pair.is_late and self.now - pair.order.due > self.window
        debt = RESERVED_OVERDUE * self.total - self.late
        return is_overdue and debt > self._price(pair, RESERVED_OVERDUE)

    def _price(self, pair: Pair, share: float) -> float:
        return min(pair.load * self.loads_worth, share * self.capacity / 2)

    def pair(self, need: Need, seat: Seat) -> Pair:
        order = need.order
        load = 0.0 if seat.stack_id == order.stack_id else order.load_seconds
        end = self.now + load + need.quickest
        return Pair(
            order=order,
            seat=seat,
            load=load,
            wait=need.wait,
            end=end,
            is_late=order.deadline is not None and end > order.deadline,
            is_pressing=end + need.left + order.load_seconds > need.due,
        )

    def _need(self, order: OpenOrder, queued: list[float]) -> Need:
        rank, left = rank_of(order.tier), left_seconds(order)
        wait = None
        if holders := self.holders.get(order.stack_id):
            first = min(max(seat.free_at - self.now, 0.0) for seat in holders)
            ahead = sum(queued[: rank + 1])
            wait = first + (ahead - left if order.pictures == 1 else ahead) / len(holders)
        return Need(
            order=order,
            rank=rank,
            due=order.due,
            quickest=order.open_paces[0].p95,
            left=left,
            wait=wait,
        )


def left_seconds(order: OpenOrder) -> float:
    """Worker seconds of what is left as it was asked, in batches (p50)."""
    asked = next(pace for pace in order.paces if pace.steps == order.asked)
    return asked.p50 * (1.0 + (order.pictures - 1) * order.share)


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """Why a free worker leaves an order alone for now."""

    name: str
    says: str
    forbids: Callable[[Pair, Ground], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """What goes first: the pairs with the smallest key stay."""

    name: str
    says: str
    key: Callable[[Pair, Ground], float]


def is_not_worth_a_load(pair: Pair, _ground: Ground) -> bool:
    """A worker that holds the stack comes to it sooner than this one could load it, and in time."""
    if not pair.load:
        return False
    if pair.wait is None or pair.wait > pair.load:
        return False
    warm_end = pair.end - pair.load + pair.wait
    return warm_end <= pair.order.due or pair.is_late


def would_cool_a_warm_worker(pair: Pair, ground: Ground) -> bool:
    """The worker holds what a more urgent tier used a moment ago.

    It stays so for as long as loading both ways would take: the most that waiting in vain
    costs is then what a swap in vain would have cost. A reserved share is paid all the same.
    """
    seat = pair.seat
    if not pair.load or seat.tier is None or rank_of(seat.tier) >= rank_of(pair.order.tier):
        return False
    if ground.is_owed(pair):
        return False
    kept = pair.load + seat.load_seconds
    return ground.now - seat.used_at < kept and not pair.is_late and pair.end + kept <= pair.order.due


def _owed(pair: Pair, ground: Ground) -> float:
    return 0.0 if ground.is_owed(pair) else 1.0


def _late(pair: Pair, ground: Ground) -> float:
    if not pair.is_late:
        return 1.0
    return 0.0 if ground.is_owed_overdue(pair) else 2.0


def _tier(pair: Pair, _ground: Ground) -> float:
    return rank_of(pair.order.tier)


def _pressing(pair: Pair, _ground: Ground) -> float:
    return 0.0 if pair.is_pressing else 1.0


def _load(pair: Pair, ground: Ground) -> float:
    behind = ground.best_served - ground.owners.get(pair.order.owner, 0.0)
    return 0.0 if not pair.load or behind > OWNER_LOADS * ground.loads_worth * pair.load else 1.0


def _pressing_due(pair: Pair, _ground: Ground) -> float:
    return pair.order.due if pair.is_pressing else math.inf


def _owner(pair: Pair, ground: Ground) -> float:
    return ground.owners.get(pair.order.owner, 0.0)


GUARDS: tuple[Guard, ...] = (
    Guard(
        name="worth a load",
        says="a worker that holds its stack will come to it sooner",
        forbids=is_not_worth_a_load,
    ),
    Guard(
        name="keep warm",
        says="the worker holds what a more urgent tier has just used",
        forbids=would_cool_a_warm_worker,
    ),
)

PREFERENCES: tuple[Preference, ...] = (
    Preference(name="reserved share", says="its tier is owed a part of its share", key=_owed),
    Preference(name="in time", says="it can be in time, or is long overdue and owed a share", key=_late),
    Preference(name="tier", says="its tier goes first", key=_tier),
    Preference(name="pressing", says="it cannot wait for a load", key=_pressing),
    Preference(name="resident", says="its stack is resident, or its owner is loads behind", key=_load),
    Preference(name="deadline", says="of what cannot wait it is due first", key=_pressing_due),
    Preference(name="owner", says="its owner was served least", key=_owner),
    Preference(name="due", says="it is due first", key=lambda pair, _ground: pair.order.due),
    Preference(name="loaded", says="nothing has to be loaded", key=lambda pair, _ground: pair.load),
    Preference(name="arrival", says="it came first", key=lambda pair, _ground: pair.order.arrived),
)
