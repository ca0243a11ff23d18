"""A waiting room turns away who finds no place or would wait too long, and says when to come again."""

import pytest

from policy.waiting import WaitingRoom


def at_pace(places: int, seconds: float, inside: int) -> WaitingRoom:
    """A room that somebody leaves every so many seconds, with so many inside."""
    room = WaitingRoom(places=places)
    for number in range(40):
        room.enter(number * seconds)
        room.leave((number + 1) * seconds)
    for _ in range(inside):
        assert room.enter(40 * seconds) is None
    return room


def test_a_place_that_is_given_back_is_taken_by_the_next():
    room = WaitingRoom(places=2)
    assert [room.enter(0.0), room.enter(0.0)] == [None, None]
    assert room.enter(0.0) is not None
    room.leave(0.5)
    assert room.enter(0.5) is None


@pytest.mark.parametrize(("pace", "hint"), [(0.3, 1), (12.5, 13)])
def test_one_too_many_is_told_when_the_next_place_is_free(pace: float, hint: int):
    turned = at_pace(2, pace, 2).enter(1000.0)
    assert turned is not None
    assert turned.seconds == hint


def test_the_wait_is_one_gap_for_everybody_inside():
    assert at_pace(8, 2.0, 0).wait == 0
    assert at_pace(8, 2.0, 3).wait == pytest.approx(6.0)


def test_a_batch_that_leaves_together_counts_for_each_of_its_pictures():
    room = WaitingRoom(places=8)
    for _ in range(8):
        room.enter(0.0)
    for _ in range(8):
        room.leave(4.0)
    room.enter(4.0)
    room.enter(4.0)
    assert room.wait == pytest.approx(1.0)


def test_who_has_less_time_than_those_before_take_is_turned_away_and_an_empty_room_takes_everybody():
    room = at_pace(8, 2.0, 3)
    turned = room.enter(1000.0, patience=4.5)
    assert turned is not None
    assert turned.seconds == 2
    assert room.taken == 3
    assert room.enter(1000.0, patience=7.0) is None
    assert at_pace(8, 30.0, 0).enter(0.0, patience=0.1) is None


def test_who_leaves_without_a_picture_changes_no_pace():
    room = at_pace(8, 2.0, 0)
    for _ in range(40):
        room.enter(1000.0)
        room.leave(1000.1, was_served=False)
    room.enter(2000.0)
    assert room.wait == pytest.approx(2.0)


def test_time_in_which_nobody_was_inside_is_no_pace():
    room = at_pace(8, 0.5, 0)
    for _ in range(40):
        room.enter(10_000.0)
        room.leave(10_000.5)
    room.enter(20_000.0)
    assert room.wait == pytest.approx(0.5)
