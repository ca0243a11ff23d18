"""What the dispatcher sees: open orders, workers, what was served of late. Seconds on any clock.

An order here is work of one kind: so many pictures of one stack and one size that run alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from policy.tiers import ServiceTier

# Who goes first where the tiers alone decide.
TIER_ORDER: tuple[ServiceTier, ...] = (ServiceTier.LIVE, ServiceTier.INTERACTIVE, ServiceTier.BATCH)

# Aging: an order without a deadline is due so many seconds after it came, and so grows more urgent.
PATIENCE: dict[ServiceTier, float] = {
    ServiceTier.LIVE: 1.0,
    ServiceTier.INTERACTIVE: 60.0,
    ServiceTier.BATCH: 12 * 3600.0,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """A number of steps, and what one picture takes with it, alone on a worker that holds the stack."""

    steps: int
    quality: float  # 0..1
    p50: float  # seconds
    p95: float


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenOrder:
    """Pictures that wait, with what was promised for them."""

    order_id: str
    tier: ServiceTier
    owner: str
    arrived: float
    stack_id: str
    load_seconds: float  # to make the stack resident
    paces: tuple[Pace, ...]  # the preset's set, fewest steps first
    asked: int  # steps; one of the paces
    pictures: int = 1  # that nobody has taken
    deadline: float | None = None
    may_degrade: bool = False
    batch_key: str = ""  # pictures of one key and one stack may share a batch
    share: float = 1.0  # of its own seconds that one more picture adds to a batch
    priority: int = 0  # said by a person: before or after the others of its tier, late or not

    @property
    def due(self) -> float:
        """The deadline, or the time at which patience is over."""
        return self.arrived + PATIENCE[self.tier] if self.deadline is None else self.deadline

    @property
    def asked_pace(self) -> Pace:
        """The pace that was asked for."""
        for pace in self.paces:
            if pace.steps == self.asked:
                return pace
        raise ValueError(f"{self.asked} steps are not in the set of {self.order_id}.")

    @property
    def quickest(self) -> Pace:
        """The fewest steps that it may run at."""
        return self.paces[0] if self.may_degrade else self.asked_pace

    @property
    def left_seconds(self) -> float:
        """Worker seconds of what is left as it was asked, batched (p50)."""
        return self.batch_seconds(self.asked_pace.p50, self.pictures)

    @property
    def open_paces(self) -> tuple[Pace, ...]:
        """What it may run at: as asked, and below it where it may degrade; never outside its set."""
        least = 0 if self.may_degrade else self.asked
        return tuple([pace for pace in self.paces if least <= pace.steps <= self.asked])

    def batch_seconds(self, seconds: float, pictures: int) -> float:
        """Seconds of a batch where one picture alone takes ``seconds``."""
        return seconds * (1.0 + (pictures - 1) * self.share)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seat:
    """A worker."""

    number: int
    stack_id: str = ""  # resident, or being loaded; "" for none
    load_seconds: float = 0.0  # what loading it again would take
    tier: ServiceTier | None = None  # of what it made last
    free_at: float = 0.0  # no later than now: it is free
    used_at: float = 0.0  # when it last had work


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """Worker seconds of the last while, by tier and by owner."""

    tiers: tuple[tuple[ServiceTier, float], ...] = ()
    owners: tuple[tuple[str, float], ...] = ()
    late: float = 0.0  # seconds of what was late already when it began
    window: float = 600.0  # how long the while is

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds in self.tiers)


_RANKS = {tier: rank for rank, tier in enumerate(TIER_ORDER)}


def rank_of(tier: ServiceTier) -> int:
    """The place of a tier, most urgent first."""
    return _RANKS[tier]


def free_seats(seats: Sequence[Seat], now: float) -> tuple[Seat, ...]:
    """Workers that could begin at once, in order of their numbers."""
    return tuple(sorted((seat for seat in seats if seat.free_at <= now), key=lambda seat: seat.number))
