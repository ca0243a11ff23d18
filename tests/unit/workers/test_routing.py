import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.routing import IN_FLIGHT, Forecast, Request, SeatView, choose_seat, is_sooner_elsewhere


def make_seat(number: int = 0, **changes) -> SeatView:
    return SeatView(**({"number": number, "stack_id": "", "in_flight": 0} | changes))


def test_a_chunk_goes_where_its_stack_is():
    seats = [make_seat(0, stack_id="b"), make_seat(1, stack_id="a")]
    assert choose_seat(Request(stack_id="a"), seats) == 1


def test_an_empty_worker_is_filled_before_a_chunk_queues():
    seats = [make_seat(0, stack_id="a", in_flight=1), make_seat(1)]
    assert choose_seat(Request(stack_id="a"), seats) == 1


def test_an_idle_worker_swaps_only_a_stack_that_nobody_waits_for():
    seats = [make_seat(0, stack_id="a", in_flight=1), make_seat(1, stack_id="b")]
    assert choose_seat(Request(stack_id="a"), seats) == 1
    assert choose_seat(Request(stack_id="a", wanted_elsewhere=frozenset({"b"})), seats) == 0


def test_a_worker_never_holds_more_than_two_chunks():
    seats = [make_seat(0, stack_id="a", in_flight=2), make_seat(1, stack_id="a", in_flight=2)]
    assert choose_seat(Request(stack_id="a"), seats) is None


def test_a_chunk_waits_for_its_stack_but_not_for_ever():
    seats = [make_seat(0, stack_id="b", in_flight=1)]
    assert choose_seat(Request(stack_id="a"), seats) is None
    assert choose_seat(Request(stack_id="a", is_impatient=True), seats) == 0


@pytest.mark.parametrize("barred", [{"blocked": frozenset({"a"})}, {"is_closed": True}])
def test_a_barred_worker_is_never_chosen(barred):
    assert (
        choose_seat(Request(stack_id="a", is_impatient=True), [make_seat(0, stack_id="a", **barred)]) is None
    )


def test_equal_workers_are_taken_in_turn_of_load_then_number():
    seats = [make_seat(2), make_seat(1)]
    assert choose_seat(Request(stack_id="a"), seats) == 1


QUICK, SLOW = "cpu-2", "cpu-1"


def asked(behind=0, quick=1.0, slow=4.0, **changes):
    forecast = Forecast(seconds=((QUICK, quick), (SLOW, slow)), behind=behind)
    return Request(stack_id="a", forecast=forecast, **changes)


def pair(busy=0.0, in_flight=0):
    """A quick worker and an idle slow one, both with the stack."""
    return [
        make_seat(0, stack_id="a", device=QUICK, busy_seconds=busy, in_flight=in_flight),
        make_seat(1, stack_id="a", device=SLOW),
    ]


def test_a_slow_worker_leaves_alone_what_the_quick_one_would_end_sooner():
    assert choose_seat(asked(), pair(busy=2.0, in_flight=2)) is None
    assert choose_seat(asked(), pair(busy=2.0, in_flight=1)) == 0


def test_a_slow_worker_takes_what_the_quick_one_would_end_later():
    assert choose_seat(asked(), pair(busy=3.5, in_flight=2)) == 1


def test_a_slow_worker_helps_while_enough_waits_behind():
    assert choose_seat(asked(behind=1), pair(busy=2.0, in_flight=2)) == 1
    assert choose_seat(asked(behind=100), pair()) == 0
    assert choose_seat(asked(behind=100), pair(busy=1.0, in_flight=1)) == 1


def test_a_device_that_is_not_named_never_takes_the_chunk():
    only_quick = Request(stack_id="a", forecast=Forecast(seconds=((QUICK, 1.0),)), is_impatient=True)
    assert choose_seat(only_quick, pair(busy=60.0, in_flight=2)) is None


def test_a_chunk_that_has_waited_long_takes_a_slow_worker_too():
    assert choose_seat(asked(is_impatient=True), pair(busy=2.0, in_flight=2)) == 1


@given(
    seats=st.lists(
        st.tuples(st.sampled_from([QUICK, SLOW]), st.floats(0, 10), st.integers(0, 2)), min_size=1, max_size=6
    ),
    quick=st.floats(0, 5),
    slow=st.floats(0, 5),
    behind=st.integers(0, 20),
)
def test_somebody_always_takes_a_chunk_in_the_end(seats, quick, slow, behind):
    request = asked(behind=behind, quick=quick, slow=slow)
    views = [
        make_seat(number, stack_id="a", device=device, busy_seconds=busy, in_flight=flying)
        for number, (device, busy, flying) in enumerate(seats)
    ]
    seconds = dict(request.forecast.seconds)
    first = min(views, key=lambda seat: seat.busy_seconds + seconds[seat.device])
    assert not is_sooner_elsewhere(request, first, views)
    if first.in_flight < IN_FLIGHT:
        assert choose_seat(request, views) is not None
