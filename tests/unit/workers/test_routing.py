import pytest

from workers.routing import Request, SeatView, choose_seat


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
