"""Laws of dispatch: whatever waits, nobody idles for nothing, nobody starves, nobody gets other steps."""

from collections import defaultdict
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.dispatch import Rules, choose_next
from policy.dispatch_rules import RESERVED
from policy.queue_views import OpenOrder, Served
from policy.tiers import ServiceTier
from tests.unit.policy.queues import make_order, make_quick, make_seat

STACKS = ("full", "full-2", "fast")
TIERS = (ServiceTier.BATCH, ServiceTier.INTERACTIVE)
SECONDS = st.floats(0.0, 500.0)


@st.composite
def orders(draw, number: int = 0) -> OpenOrder:
    make = draw(st.sampled_from([make_order, make_quick]))
    some = make(f"order-{number}")
    return replace(
        some,
        owner=draw(st.sampled_from(["ann", "ben"])),
        stack_id=draw(st.sampled_from(STACKS)),
        arrived=draw(SECONDS),
        deadline=draw(st.none() | SECONDS),
        pictures=draw(st.integers(1, 9)),
        asked=draw(st.sampled_from([pace.steps for pace in some.paces])),
        may_degrade=draw(st.booleans()),
    )


@st.composite
def queues(draw):
    """Orders, workers, what was served and the time."""
    waiting = [draw(orders(number)) for number in range(draw(st.integers(1, 6)))]
    seats = [
        make_seat(
            number,
            draw(st.sampled_from(("", *STACKS))),
            tier=draw(st.sampled_from((None, *TIERS))),
            free_at=draw(SECONDS),
            used_at=draw(SECONDS),
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    served = Served(
        tiers=tuple((tier, draw(SECONDS)) for tier in TIERS),
        owners=(("ann", draw(SECONDS)), ("ben", draw(SECONDS))),
        late=draw(st.floats(0.0, 50.0)),
    )
    return waiting, seats, served, draw(SECONDS)


@given(queue=queues())
def test_same_inputs_same_choice_in_whatever_order_they_come(queue):
    waiting, seats, served, now = queue
    first, again = choose_next(*queue), choose_next(*queue)
    assert first == again
    turned = choose_next(waiting, seats[::-1], served, now)
    assert turned == first


@given(queue=queues())
def test_steps_never_leave_the_set_nor_rise_above_what_was_asked(queue):
    waiting, *_ = queue
    choice = choose_next(*queue)
    if choice is None:
        return
    for order_id, pictures in choice.members:
        order = next(order for order in waiting if order.order_id == order_id)
        assert choice.steps in {pace.steps for pace in order.paces}
        assert choice.steps <= order.asked
        assert choice.steps == order.asked or order.may_degrade
        assert 0 < pictures <= order.pictures
        assert order.stack_id == choice.stack_id


@given(queue=queues())
def test_a_worker_never_idles_while_work_waits_unless_a_guard_says_why(queue):
    waiting, seats, served, now = queue
    some_are_free = any(seat.free_at <= now for seat in seats)
    assert (choose_next(waiting, seats, served, now, Rules(guards=())) is not None) == some_are_free


@given(queue=queues())
def test_a_worker_never_idles_while_feasible_work_waits_for_the_stack_that_it_holds(queue):
    waiting, seats, _served, now = queue
    held = {seat.stack_id for seat in seats if seat.free_at <= now}
    if any(order.stack_id in held for order in waiting):
        assert choose_next(*queue) is not None


@given(queue=queues())
def test_no_guard_holds_a_worker_longer_than_two_loads(queue):
    """By then what it was kept for has not come, and what a warm worker was to come to is still here."""
    waiting, seats, served, now = queue
    loads = max(order.load_seconds for order in waiting) + max(seat.load_seconds for seat in seats)
    idle = [replace(seat, free_at=min(seat.free_at, now), used_at=now - loads) for seat in seats]
    assert choose_next(waiting, idle, served, now) is not None


def served_by(rounds: int, waiting: list[OpenOrder]) -> dict[str, float]:
    """Worker seconds by order after so many batches of one worker; the orders never run out."""
    seat, now = make_seat(stack_id=waiting[0].stack_id), 0.0
    tiers: dict[ServiceTier, float] = defaultdict(float)
    owners: dict[str, float] = defaultdict(float)
    by_order: dict[str, float] = defaultdict(float)
    for _ in range(rounds):
        served = Served(tiers=tuple(tiers.items()), owners=tuple(owners.items()))
        fresh = [replace(order, arrived=now, deadline=now + 50_000) for order in waiting]
        choice = choose_next(fresh, [seat], served, now, Rules(batch_cap=1))
        assert choice is not None
        order = next(one for one in fresh if one.order_id == choice.members[0][0])
        pace = next(pace for pace in order.paces if pace.steps == choice.steps)
        seconds = pace.p50 + choice.loads * order.load_seconds
        now += seconds
        tiers[order.tier] += seconds
        owners[order.owner] += seconds
        by_order[order.order_id] += seconds
        seat = replace(seat, stack_id=order.stack_id, tier=order.tier, free_at=now, used_at=now)
    return by_order


@given(same_stack=st.booleans(), load=st.floats(0.0, 400.0))
@settings(max_examples=6, deadline=None)
def test_a_night_with_a_reserved_share_always_makes_progress(same_stack, load):
    """However long a load takes."""
    stack = "full" if same_stack else "full-2"
    night = make_order("night", pictures=10_000, stack_id=stack, load_seconds=load)
    rush = make_quick("rush", owner="ben", pictures=10_000, stack_id="full")
    by_order = served_by(400, [rush, night])
    share = RESERVED[ServiceTier.BATCH]
    owed = share * sum(by_order.values()) - by_order["night"]
    assert owed <= load + max(pace.p95 for pace in night.paces)
    assert by_order["night"] > 0


@given(rounds=st.integers(2, 60))
@settings(max_examples=20, deadline=None)
def test_two_equal_owners_get_equal_service_within_one_batch(rounds):
    ann = make_order("ann's", owner="ann", pictures=10_000)
    ben = make_order("ben's", owner="ben", pictures=10_000)
    by_order = served_by(rounds, [ann, ben])
    assert abs(by_order["ann's"] - by_order["ben's"]) <= ann.paces[-1].p50
