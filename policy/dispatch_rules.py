"""The rules of dispatch: what speaks against a pair of order and worker, and which pair goes first.

A guard leaves a pair out; where guards leave nothing, the worker waits. The preferences are
asked in their order: each keeps the pairs that it likes best, until one is left.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

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
        self._orders = [(order, order.left_seconds) for order in orders]
        self._waits = self._queues()
        self._can_wait = self._comfortable(len(seats))

    def is_owed(self, pair: Pair) -> bool:
        """Whether the tier of a pair is behind its reserved share by more than the load would cost.

        However dear the load is: half of what the share of the whole window comes to will do. What
        will be in time on its share alone, begun now, is owed nothing yet.
        """
        if pair.order.order_id in self._can_wait:
            return False
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

    def _comfortable(self, seats: int) -> frozenset[str]:
        """Orders that would all be in time if their tier got its reserved share from now on, and no more."""
        found: set[str] = set()
        for tier, share in RESERVED.items():
            before = 0.0
            mine = [(order, left) for order, left in self._orders if order.tier is tier]
            for order, left in sorted(mine, key=lambda one: _sooner(one[0])):
                before += left
                if order.deadline is None or self.now + before / (share * seats) > order.deadline:
                    continue
                found.add(order.order_id)
        return frozenset(found)

    def pairs(self, free: Sequence[Seat]) -> list[Pair]:
        """Every order on every free worker; of late ones that are alike only the earliest due.

        The others of a kind could not be chosen before it, and after a burst there are many.
        """
        found: list[Pair] = []
        for order, left in self._contending():
            quickest, due = order.quickest.p95, order.due
            wait = self._wait(order, left)
            for seat in free:
                load = 0.0 if seat.stack_id == order.stack_id else order.load_seconds
                end = self.now + load + quickest
                found.append(
                    Pair(
                        order=order,
                        seat=seat,
                        load=load,
                        wait=wait,
                        end=end,
                        is_late=order.deadline is not None and end > due,
                        is_pressing=end + left + order.load_seconds > due,
                    )
                )
        return found

    def _contending(self) -> list[tuple[OpenOrder, float]]:
        found: list[tuple[OpenOrder, float]] = []
        late: dict[tuple[object, ...], tuple[OpenOrder, float]] = {}
        for one in self._orders:
            order, left = one
            quickest = order.quickest.p95
            if order.deadline is None or self.now + quickest <= order.deadline:
                found.append(one)
                continue
            kind = (
                order.stack_id,
                rank_of(order.tier),
                order.priority,
                order.owner,
                quickest,
                left,
                order.pictures,
            )
            if kind not in late or _sooner(order) < _sooner(late[kind][0]):
                late[kind] = one
        return [*found, *late.values()]

    def _queues(self) -> dict[str, list[float]]:
        """Seconds until the workers that hold a stack are through with a tier and those above it."""
        waits = {
            stack_id: [min(max(seat.free_at - self.now, 0.0) for seat in holders)] + [0.0] * len(TIER_ORDER)
            for stack_id, holders in self.holders.items()
        }
        for order, left in self._orders:
            if order.stack_id in waits:
                waits[order.stack_id][1 + rank_of(order.tier)] += left / len(self.holders[order.stack_id])
        return {stack_id: list(accumulate(parts))[1:] for stack_id, parts in waits.items()}

    def _wait(self, order: OpenOrder, left: float) -> float | None:
        """Until a worker that holds the stack comes to the order; a pile waits for itself too."""
        waits = self._waits.get(order.stack_id)
        if waits is None:
            return None
        own = left / len(self.holders[order.stack_id]) if order.pictures == 1 else 0.0
        return waits[rank_of(order.tier)] - own


def _sooner(order: OpenOrder) -> tuple[float, float, str]:
    return order.due, order.arrived, order.order_id


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
    if not pair.load or pair.wait is None or pair.wait > pair.load:
        return False
    warm_end = pair.end - pair.load + pair.wait
    return warm_end <= pair.order.due or pair.is_late


def would_cool_a_warm_worker(pair: Pair, ground: Ground) -> bool:
    """The worker holds what a more urgent tier used a moment ago.

    It stays so for as long as loading both ways would take: the most that waiting in vain
    costs is then what a swap in vain would have cost. A reserved share is paid all the same.
    """
    order, seat = pair.order, pair.seat
    if not pair.load or seat.tier is None or rank_of(seat.tier) >= rank_of(order.tier):
        return False
    if ground.is_owed(pair):
        return False
    kept = pair.load + seat.load_seconds
    return ground.now - seat.used_at < kept and not pair.is_late and pair.end + kept <= order.due


def _owed(pair: Pair, ground: Ground) -> float:
    return 0.0 if ground.is_owed(pair) else 1.0


def _late(pair: Pair, ground: Ground) -> float:
    if not pair.is_late or pair.order.priority > 0:  # somebody wants it all the same
        return 1.0
    return 0.0 if ground.is_owed_overdue(pair) else 2.0


def _tier(pair: Pair, _ground: Ground) -> float:
    return rank_of(pair.order.tier)


def _priority(pair: Pair, _ground: Ground) -> float:
    return -pair.order.priority


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
    Preference(name="priority", says="somebody put it before the others of its tier", key=_priority),
    Preference(name="pressing", says="it cannot wait for a load", key=_pressing),
    Preference(name="resident", says="its stack is resident, or its owner is loads behind", key=_load),
    Preference(name="deadline", says="of what cannot wait it is due first", key=_pressing_due),
    Preference(name="owner", says="its owner was served least", key=_owner),
    Preference(name="due", says="it is due first", key=lambda pair, _ground: pair.order.due),
)
