"""Which worker takes a chunk: the one that holds its stack, unless another stands idle. Pure.

Where devices differ, a slow worker leaves a chunk alone that the others would be done with
sooner, together with everything that waits behind it: near the end it stands idle, as the
plan counts on.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

IN_FLIGHT = 2  # chunks per worker: one renders, the next is already there
SHORTEST_SECONDS = 1e-4  # that a chunk is taken to last
INCIDENTS = 3  # batches or deaths on one stack, with no success between, that block a worker for it


@dataclass(frozen=True, kw_only=True, slots=True)
class SeatView:
    """What routing sees of one worker."""

    number: int
    stack_id: str  # what it will hold when its queue is empty; "" for nothing yet
    in_flight: int
    blocked: frozenset[str] = frozenset()  # stacks that keep failing here
    is_closed: bool = False  # its process cannot be started
    is_awaited: bool = False  # its process was added, and does not stand yet
    device: str = ""  # class, as a forecast names it
    busy_seconds: float = 0.0  # until its queue is empty, as predicted


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What a chunk is predicted to take, where devices differ."""

    seconds: tuple[tuple[str, float], ...] = ()  # by device class; one that is not named may not take it
    behind: int = 0  # chunks like it that are still to come


UNTOLD = Forecast()  # all devices alike


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A chunk that waits for a worker."""

    stack_id: str
    wanted_elsewhere: frozenset[str] = frozenset()  # stacks of other waiting chunks
    is_impatient: bool = False  # has waited longer than a swap costs
    failed_at: frozenset[int] = frozenset()  # workers that failed batches of it: its next try is elsewhere
    forecast: Forecast = UNTOLD


Preference = Callable[[Request, SeatView], bool]


def is_idle_with_the_stack(request: Request, seat: SeatView) -> bool:
    """Nothing to load, nothing to wait for."""
    return seat.in_flight == 0 and seat.stack_id == request.stack_id


def is_empty(_request: Request, seat: SeatView) -> bool:
    """A worker that holds nothing yet has to load something anyway."""
    return seat.in_flight == 0 and not seat.stack_id


def is_idle_and_unwanted(request: Request, seat: SeatView) -> bool:
    """An idle worker whose stack no waiting chunk asks for: loading is cheaper than idling."""
    return seat.in_flight == 0 and seat.stack_id not in request.wanted_elsewhere


def is_busy_with_the_stack(request: Request, seat: SeatView) -> bool:
    """The next chunk of a worker that holds the stack: queued, so that it never waits for the driver."""
    return seat.stack_id == request.stack_id


def has_room_for_the_impatient(request: Request, _seat: SeatView) -> bool:
    """Affinity is bounded: a chunk that has waited long takes any place."""
    return request.is_impatient


PREFERENCES: tuple[Preference, ...] = (
    is_idle_with_the_stack,
    is_empty,
    is_idle_and_unwanted,
    is_busy_with_the_stack,
    has_room_for_the_impatient,
)


def choose_seat(request: Request, seats: Iterable[SeatView]) -> int | None:
    """The number of the worker that takes the chunk now; None to wait."""
    standing = [seat for seat in seats if may_take(request, seat) and not seat.is_awaited]
    able = _elsewhere(request, standing)
    open_seats = [
        seat for seat in able if seat.in_flight < IN_FLIGHT and not is_sooner_elsewhere(request, seat, able)
    ]
    for preference in PREFERENCES:
        fitting = [seat for seat in open_seats if preference(request, seat)]
        if fitting:
            return min(fitting, key=lambda seat: (seat.in_flight, seat.number)).number
    return None


def _elsewhere(request: Request, able: list[SeatView]) -> list[SeatView]:
    """Without those that failed it, where others are: the next failure says whose fault it is."""
    return [seat for seat in able if seat.number not in request.failed_at] or able


def may_take(request: Request, seat: SeatView) -> bool:
    """Whether a worker may ever take the chunk, busy or not."""
    devices = {device for device, _ in request.forecast.seconds}
    is_able = not devices or seat.device in devices
    return is_able and not seat.is_closed and request.stack_id not in seat.blocked


def is_sooner_elsewhere(request: Request, seat: SeatView, able: Sequence[SeatView]) -> bool:
    """Whether the others would be done with this chunk, and with all behind it, before this worker with it.

    Never for the worker that would end it first, so somebody always takes it. A chunk that
    has waited long no longer trusts predictions. Loads are not counted.
    """
    seconds = dict(request.forecast.seconds)
    if len(seconds) < 2 or request.is_impatient:
        return False
    end = seat.busy_seconds + seconds[seat.device]
    others = [other for other in able if other.number != seat.number]
    done = sum(_done_before(end - other.busy_seconds, seconds[other.device]) for other in others)
    return done > request.forecast.behind


def _done_before(available: float, seconds: float) -> int:
    """How many chunks end strictly before the time is over."""
    return max(0, math.ceil(available / max(seconds, SHORTEST_SECONDS) - 1e-9) - 1)
