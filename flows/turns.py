"""Turns on the standing fleet: one driver at a time has the workers, and gives them up when another is next.

A worker holds a device and a resident stack, so two drivers with workers of their own would
share a device that is meant for one. A driver that waits therefore has no worker: it is a
process that looks at the queue twice a second. Without a standing house every command
brings its own Ray, and nothing is shared.
"""

import platform
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from flows.bootstrap import House
from flows.holders import is_dead_holder, own_holder
from policy.errors import RightstepError
from policy.queue_views import Served
from policy.tiers import ServiceTier
from policy.turns import Contender, Turn, next_turn
from registry.records import ServedSeconds, TurnKey, TurnRecord
from registry.unit_of_work import UnitOfWork, unit_of_work
from workers.cluster import standing_address

LOOK_SECONDS = 0.5  # between two looks of a driver that waits
REVIEW_SECONDS = 1.0  # between two looks of the driver that has the fleet, while others wait
START_SECONDS = 6.0  # stated, not measured: to end workers and begin others; their stack comes on top
Tell = Callable[[str], None]


class FleetTurn:
    """A driver's turn: waited for, kept by a heartbeat, given up at the end of the block."""

    def __init__(self, house: House, job_id: str) -> None:
        self._house = house
        self._fleet = _fleet_of(house)
        self._key = TurnKey(fleet=self._fleet, job_id=job_id, holder=own_holder())
        with unit_of_work(house.engine, read_only=True) as work:
            totals = work.ledger.header(job_id).totals
        self._pace = (totals.wall_seconds_p50 / totals.shots, totals.wall_seconds_p95 / totals.shots)
        self._reviewed = 0.0
        self.is_over = False  # the job ended, or was held, before its turn came

    def wait(self, tell: Tell) -> None:
        """Stand in the queue until the fleet is ours, or the job needs it no more."""
        self._ask()
        while not self.is_over and not self._may_begin(tell):
            time.sleep(LOOK_SECONDS)

    def goes_on(self, work: UnitOfWork) -> bool:
        """Whether the next chunk is still ours, asked in the transaction that leases it."""
        now = self._house.clock()
        is_time = time.monotonic() - self._reviewed >= REVIEW_SECONDS
        if not is_time or not work.ledger.others_ask(self._key, now):
            return True
        self._reviewed = time.monotonic()
        found = self._queue(work, now)
        if not any(one.key == self._key and one.has_fleet for one in found):
            return False  # it ran out, and may be another's by now
        return _is_for(self._key, self._next(work, found, now))

    def renew(self) -> None:
        """Keep the place; a ledger that does not answer is asked again at the next beat."""
        with suppress(RightstepError), unit_of_work(self._house.engine) as work:
            work.ledger.renew_turn(self._key, expires_at=self._expiry())
            work.commit()

    def leave(self) -> None:
        """Give the fleet up, or the place in its queue."""
        with unit_of_work(self._house.engine) as work:
            work.ledger.leave_turn(self._key)
            work.commit()

    def _ask(self) -> None:
        with unit_of_work(self._house.engine) as work:
            work.ledger.ask_turn(self._key, picture_seconds=self._pace, expires_at=self._expiry())
            work.commit()

    def _may_begin(self, tell: Tell) -> bool:
        """Look without disturbing anybody; where it is our turn, take the fleet if it is free."""
        now = self._house.clock()
        with unit_of_work(self._house.engine, read_only=True) as work:
            job = work.ledger.job(self._key.job_id)
            self.is_over = job.state.is_at_rest or not job.counts.open
            found = self._queue(work, now)
            turn = self._next(work, found, now)
        if self.is_over:
            return False
        if not any(one.key == self._key for one in found):
            self._ask()
        if not _is_for(self._key, turn):
            tell(f"waiting for the workers: {_told(turn)}")
            return False
        tell("waiting for the workers to be given up")
        return self._begin()

    def _begin(self) -> bool:
        """Decide again, alone: the queue is locked until this is written."""
        now = self._house.clock()
        with unit_of_work(self._house.engine) as work:
            work.ledger.drop_turns(self._fleet, now, is_dead_holder)
            turn = self._next(work, work.ledger.turns(self._fleet, now, lock=True), now)
            begun = _is_for(self._key, turn) and work.ledger.begin_turn(self._key, now)
            work.commit()
        self._reviewed = time.monotonic()
        return begun

    def _queue(self, work: UnitOfWork, now: datetime) -> tuple[TurnRecord, ...]:
        """The drivers that stand there and live."""
        found = work.ledger.turns(self._fleet, now)
        return tuple(one for one in found if not is_dead_holder(one.key.holder))

    def _next(self, work: UnitOfWork, found: tuple[TurnRecord, ...], now: datetime) -> Turn | None:
        since = now - timedelta(seconds=Served().window)
        served = work.ledger.served(platform.node(), since)
        return next_turn(
            [_contender(one) for one in found],
            served_on(served, self._house.settings.workers),
            now.timestamp(),
            START_SECONDS + max(group.load_seconds for group in self._house.settings.fleet.groups),
        )

    def _expiry(self) -> datetime:
        return self._house.clock() + timedelta(seconds=self._house.settings.lease_seconds)


@contextmanager
def fleet_turn(house: House, job_id: str, tell: Tell) -> Generator[FleetTurn | None]:
    """A turn on the standing fleet, given up with the block; None where the job's Ray will be its own."""
    settings = house.settings
    if settings.ray_address is None and standing_address(settings.home / "ray") is None:
        yield None
        return
    turn = FleetTurn(house, job_id)
    over = threading.Event()

    def beat() -> None:
        while not over.wait(min(1.0, house.settings.lease_seconds / 3)):
            turn.renew()

    thread = threading.Thread(target=beat, name="turn", daemon=True)
    thread.start()
    try:
        turn.wait(tell)
        yield turn
    finally:
        over.set()
        thread.join()
        turn.leave()


def is_driven(house: House, job_id: str) -> bool:
    """Whether a living driver has the standing fleet for a job, or waits for it."""
    with unit_of_work(house.engine, read_only=True) as work:
        found = work.ledger.turns(_fleet_of(house), house.clock())
    return any(one.key.job_id == job_id and not is_dead_holder(one.key.holder) for one in found)


def _fleet_of(house: House) -> str:
    if house.settings.ray_address is not None:
        return f"ray:{house.settings.ray_address}"
    return f"{platform.node()}:{(house.settings.home / 'ray').resolve()}"


def served_on(found: tuple[ServedSeconds, ...], workers: int) -> Served:
    """Seconds of the whole fleet, from those of its workers."""
    tiers: dict[ServiceTier, float] = defaultdict(float)
    owners: dict[str, float] = defaultdict(float)
    for one in found:
        tiers[ServiceTier(one.tier)] += one.seconds / workers
        owners[one.owner] += one.seconds / workers
    late = sum(one.late for one in found) / workers
    return Served(tiers=tuple(tiers.items()), owners=tuple(owners.items()), late=late)


def _contender(one: TurnRecord) -> Contender:
    return Contender(
        turn_id=_id(one.key),
        tier=ServiceTier(one.tier),
        owner=one.owner,
        submitted=one.submitted_at.timestamp(),
        deadline=one.deadline.timestamp() if one.deadline is not None else None,
        pictures=max(1, one.queued),  # its last chunks may come back
        picture_p50=one.picture_p50,
        picture_p95=one.picture_p95,
        has_fleet=one.has_fleet,
        priority=one.priority,
    )


def _id(key: TurnKey) -> str:
    return f"{key.job_id} {key.holder}"


def _is_for(key: TurnKey, turn: Turn | None) -> bool:
    return turn is not None and turn.turn_id == _id(key)


def _told(turn: Turn | None) -> str:
    if turn is None:
        return "nobody is next"
    why = f" ({turn.reasons[0].says})" if turn.reasons else ""
    return f"job {turn.turn_id.partition(' ')[0]} goes first{why}"
