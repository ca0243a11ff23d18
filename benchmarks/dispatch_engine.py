"""A discrete-event simulation of one fleet under one scheduler: no clock, no worker, only arithmetic."""

import heapq
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.dispatch_workloads import SPREAD, WORKERS
from policy.dispatch import BATCH_CAP, Choice, fill_batch
from policy.queue_views import OpenOrder, Seat, Served, free_seats, rank_of
from policy.tiers import ServiceTier

LOOK_AGAIN = 10.0  # seconds after which a scheduler that left a worker idle is asked again

Scheduler = Callable[[Sequence[OpenOrder], Sequence[Seat], Served, float], Choice | None]


def first_by(key: Callable[[OpenOrder], object]) -> Scheduler:
    """Take the first order of a sequence, on a worker that holds its stack if one is free."""

    def choose(
        orders: Sequence[OpenOrder], seats: Sequence[Seat], _served: Served, now: float
    ) -> Choice | None:
        free = free_seats(seats, now)
        if not orders or not free:
            return None
        waiting = sorted(orders, key=key)  # type: ignore[arg-type]  # keys of one scheduler compare
        first = waiting[0]
        seat = min(free, key=lambda one: (one.stack_id != first.stack_id, one.used_at, one.number))
        loads = seat.stack_id != first.stack_id
        begins = now + first.load_seconds * loads
        members = fill_batch(first, waiting, begins, BATCH_CAP)
        return Choice(
            seat=seat.number,
            stack_id=first.stack_id,
            steps=first.asked,
            members=tuple((order.order_id, pictures) for order, pictures in members),
            loads=loads,
            is_late=begins + first.asked_pace.p95 > first.due,
            reasons=(),
        )

    return choose


OTHERS: dict[str, Scheduler] = {
    "first come": first_by(lambda order: order.arrived),
    "fixed priority": first_by(lambda order: (rank_of(order.tier), order.arrived)),
    "earliest deadline": first_by(lambda order: order.due),
}


@dataclass(kw_only=True)
class Outcome:
    """What one run came to; pictures count, not orders."""

    pictures: Counter[ServiceTier] = field(default_factory=Counter[ServiceTier])
    in_time: Counter[ServiceTier] = field(default_factory=Counter[ServiceTier])
    by_owner: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    quality: float = 0.0  # summed over every picture
    quality_in_time: float = 0.0
    quality_asked: float = 0.0
    swaps: int = 0  # loads onto a worker that held another stack
    loading: float = 0.0  # worker seconds
    longest_wait: dict[ServiceTier, float] = field(default_factory=dict[ServiceTier, float])
    ended: float = 0.0

    def attainment(self, tier: ServiceTier | None = None) -> float:
        """The part of the pictures that was there by its deadline."""
        if tier is not None:
            return self.in_time[tier] / self.pictures[tier]
        return self.in_time.total() / self.pictures.total()

    @property
    def worst_owner_gap(self) -> float:
        """How far the least and the best served owner of interactive orders are apart."""
        parts = [made / asked for owner, (made, asked) in self.by_owner.items() if owner.startswith("artist")]
        return max(parts) - min(parts) if parts else 0.0


class Fleet:
    """Workers and a queue, moved from event to event."""

    def __init__(self, scheduler: Scheduler, seed: int, workers: int = WORKERS) -> None:
        self._scheduler = scheduler
        self._seats = [Seat(number=number) for number in range(workers)]
        self._queue: dict[str, OpenOrder] = {}
        self._seed = seed
        self._lately: deque[tuple[float, ServiceTier, str, float, bool]] = deque()
        self._by_tier: dict[ServiceTier, float] = defaultdict(float)
        self._by_owner: dict[str, float] = defaultdict(float)
        self._late = 0.0
        self._window = Served().window
        self.outcome = Outcome()

    def run(self, orders: Sequence[OpenOrder]) -> Outcome:
        """Serve every order to its end."""
        times = [order.arrived for order in orders]
        heapq.heapify(times)
        coming = deque(sorted(orders, key=lambda order: order.arrived))
        for order in orders:
            self.outcome.quality_asked += order.asked_pace.quality * order.pictures
        while times:
            now = heapq.heappop(times)
            while times and times[0] <= now:
                heapq.heappop(times)
            while coming and coming[0].arrived <= now:
                self._queue[coming[0].order_id] = coming[0]
                coming.popleft()
            for end in self._dispatch(now):
                heapq.heappush(times, end)
            is_idle = self._queue and any(seat.free_at <= now for seat in self._seats)
            if is_idle and (not times or times[0] > now + LOOK_AGAIN):
                heapq.heappush(times, now + LOOK_AGAIN)
        if self._queue:
            raise RuntimeError("The scheduler left orders behind.")
        return self.outcome

    def _dispatch(self, now: float) -> list[float]:
        """Fill the free workers; when they end."""
        ends: list[float] = []
        while self._queue and any(seat.free_at <= now for seat in self._seats):
            choice = self._scheduler(list(self._queue.values()), self._seats, self._served(now), now)
            if choice is None:
                break
            ends.append(self._apply(choice, now))
        return ends

    def _apply(self, choice: Choice, now: float) -> float:
        seat = self._seats[choice.seat]
        members = [(self._queue[order_id], pictures) for order_id, pictures in choice.members]
        first, pictures = members[0][0], sum(count for _, count in members)
        pace = next(pace for pace in first.paces if pace.steps == choice.steps)
        load = first.load_seconds if choice.loads else 0.0
        took = first.batch_seconds(pace.p50, pictures) * self._luck(first)
        end = now + load + took
        self.outcome.swaps += bool(choice.loads and seat.stack_id)
        self.outcome.loading += load
        for order, count in members:
            self._settle(order, count, pace.quality, now, end)
            part = (load + took) * count / pictures
            self._note(now, order, part, was_late=choice.is_late)
        self._seats[choice.seat] = replace(
            seat,
            stack_id=first.stack_id,
            load_seconds=first.load_seconds,
            tier=first.tier,
            free_at=end,
            used_at=end,
        )
        return end

    def _settle(self, order: OpenOrder, count: int, quality: float, now: float, end: float) -> None:
        outcome, tier = self.outcome, order.tier
        is_in_time = end <= order.due
        outcome.pictures[tier] += count
        outcome.in_time[tier] += count * is_in_time
        outcome.by_owner[order.owner][0] += count * is_in_time
        outcome.by_owner[order.owner][1] += count
        outcome.quality += quality * count
        outcome.quality_in_time += quality * count * is_in_time
        outcome.longest_wait[tier] = max(outcome.longest_wait.get(tier, 0.0), now - order.arrived)
        outcome.ended = max(outcome.ended, end)
        left = order.pictures - count
        if left:
            self._queue[order.order_id] = replace(order, pictures=left)
        else:
            del self._queue[order.order_id]

    def _luck(self, order: OpenOrder) -> float:
        """How much longer than usual a batch takes: the same for one order and place in every scheduler."""
        return random.Random(f"{self._seed} {order.order_id} {order.pictures}").lognormvariate(0.0, SPREAD)

    def _note(self, now: float, order: OpenOrder, seconds: float, *, was_late: bool) -> None:
        self._lately.append((now, order.tier, order.owner, seconds, was_late))
        self._by_tier[order.tier] += seconds
        self._by_owner[order.owner] += seconds
        self._late += seconds * was_late

    def _served(self, now: float) -> Served:
        while self._lately and self._lately[0][0] < now - self._window:
            _, tier, owner, seconds, was_late = self._lately.popleft()
            self._by_tier[tier] -= seconds
            self._by_owner[owner] -= seconds
            self._late -= seconds * was_late
        return Served(
            tiers=tuple(self._by_tier.items()), owners=tuple(self._by_owner.items()), late=self._late
        )
