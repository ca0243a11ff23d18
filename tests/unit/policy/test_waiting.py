"""A waiting room turns away who finds no place, and says when to come again."""

from policy.waiting import WaitingRoom


def test_a_place_that_is_given_back_is_taken_by_the_next():
    room = WaitingRoom(places=2)
    assert [room.enter(), room.enter()] == [None, None]
    assert room.enter() is not None
    room.leave(0.5)
    assert room.enter() is None


def test_the_hint_is_a_stay_shared_by_all_who_are_inside_and_a_second_at_least():
    slow, quick = WaitingRoom(places=2, stay=30.0), WaitingRoom(places=2, stay=0.3)
    for room in (slow, quick):
        room.enter()
        room.enter()
    assert (slow.enter(), quick.enter()) == (15, 1)


def test_the_stay_follows_what_visitors_really_stayed():
    room = WaitingRoom(places=1, stay=1.0)
    for _ in range(50):
        room.enter()
        room.leave(20.0)
    room.enter()
    assert room.enter() == 20
