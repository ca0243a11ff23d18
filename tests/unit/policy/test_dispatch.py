"""Dispatch: what the next free worker takes, one rule at a time."""

from policy.dispatch import Choice, Rules, choose_next
from policy.queue_views import Served
from policy.tiers import ServiceTier
from tests.unit.policy.queues import make_order, make_quick, make_seat

NOBODY = Served()
BATCH, INTERACTIVE = ServiceTier.BATCH, ServiceTier.INTERACTIVE


def choice_of(orders, seats, served=NOBODY, now=0.0, rules=None) -> Choice:
    choice = choose_next(orders, seats, served, now, rules)
    assert choice is not None
    return choice


def first_of(orders, seats, served=NOBODY, now=0.0) -> str:
    return choice_of(orders, seats, served, now).members[0][0]


def test_the_more_urgent_tier_goes_first():
    both = make_seat(stack_id="")
    orders = [make_order("night"), make_quick("now", deadline=60.0)]
    choice = choice_of(orders, [both])
    assert choice.members[0][0] == "now"
    assert [reason.rule for reason in choice.reasons][:1] == ["tier"]


def test_a_tier_that_is_owed_its_share_goes_before_a_more_urgent_one():
    served = Served(tiers=((INTERACTIVE, 500.0), (BATCH, 50.0)))
    orders = [make_order("night"), make_quick("now", stack_id="full")]
    choice = choice_of(orders, [make_seat()], served)
    assert choice.members[0][0] == "night"
    assert choice.reasons[0].rule == "reserved share"


def test_a_share_is_not_owed_yet_to_what_is_in_time_on_it_alone():
    """A picture of 20 s at a fifth of one worker takes 100."""
    served = Served(tiers=((INTERACTIVE, 500.0), (BATCH, 50.0)))
    for deadline, first in ((101.0, "now"), (99.0, "night")):
        orders = [make_order("night", deadline=deadline), make_quick("now", stack_id="full")]
        assert first_of(orders, [make_seat()], served) == first


def test_a_share_is_paid_only_where_the_debt_is_worth_the_load():
    served = Served(tiers=((INTERACTIVE, 100.0), (BATCH, 0.0)))  # 20 s are owed, a load takes 30
    seat = make_seat(stack_id="fast", tier=INTERACTIVE)
    orders = [make_order("night"), make_quick("now")]
    assert first_of(orders, [seat], served) == "now"


def test_within_a_tier_the_earliest_deadline_goes_first():
    orders = [make_quick("later", deadline=19.0), make_quick("sooner", deadline=12.0)]
    assert first_of(orders, [make_seat(stack_id="fast")]) == "sooner"


def test_what_is_late_does_not_drag_down_what_can_be_in_time():
    orders = [make_quick("lost", deadline=1.0), make_quick("good", deadline=12.0)]
    choice = choice_of(orders, [make_seat(stack_id="fast")], now=2.0)
    assert choice.members[0][0] == "good"
    assert choice.reasons[0].rule == "in time"


def test_what_is_long_overdue_has_a_share_of_its_own():
    orders = [make_quick("lost", deadline=1.0), make_quick("good", deadline=700.0)]
    served = Served(tiers=((INTERACTIVE, 500.0),))
    warm = [make_seat(stack_id="fast")]
    assert first_of(orders, warm, served, now=500.0) == "good"
    choice = choice_of(orders, warm, served, now=650.0)
    assert choice.members[0][0] == "lost"
    assert choice.is_late


def test_the_resident_stack_goes_on_while_nothing_presses():
    orders = [make_order("other", stack_id="full-2"), make_order("same", arrived=5.0)]
    assert first_of(orders, [make_seat()], now=5.0) == "same"


def test_slack_forces_a_load():
    orders = [
        make_order("other", stack_id="full-2", deadline=80.0, load_seconds=30.0),
        make_order("same", deadline=9000.0),
    ]
    choice = choice_of(orders, [make_seat()])
    assert choice.members[0][0] == "other"
    assert choice.loads
    assert choice.reasons[0].rule == "pressing"


def test_an_owner_who_is_loads_behind_is_worth_a_load():
    orders = [make_order("ann's"), make_order("ben's", owner="ben", stack_id="full-2")]
    a_little, a_lot = Served(owners=(("ann", 50.0),)), Served(owners=(("ann", 70.0),))
    assert first_of(orders, [make_seat()], a_little) == "ann's"
    assert first_of(orders, [make_seat()], a_lot) == "ben's"


def test_the_owner_who_was_served_least_goes_first():
    orders = [make_order("ann's"), make_order("ben's", owner="ben")]
    served = Served(owners=(("ann", 10.0),))
    assert first_of(orders, [make_seat()], served) == "ben's"


def test_an_idle_worker_leaves_alone_what_a_warm_one_comes_to_sooner():
    orders = [make_quick("now", deadline=30.0)]
    cold, warm = make_seat(0), make_seat(1, "fast", free_at=3.0)
    assert choose_next(orders, [cold, warm], NOBODY, 0.0) is None
    late = make_seat(1, "fast", free_at=40.0)
    assert choice_of([make_quick("now", deadline=60.0)], [cold, late]).seat == 0


def test_a_worker_stays_warm_for_a_more_urgent_tier_as_long_as_two_loads():
    seat = make_seat(stack_id="fast", tier=INTERACTIVE, used_at=100.0, free_at=100.0)
    night = [make_order("night")]
    assert choose_next(night, [seat], NOBODY, 159.0) is None
    assert choice_of(night, [seat], now=160.0).loads


def test_a_worker_does_not_stay_warm_at_the_cost_of_a_deadline():
    seat = make_seat(stack_id="fast", tier=INTERACTIVE, used_at=100.0, free_at=100.0)
    assert choice_of([make_order("night", deadline=180.0)], [seat], now=101.0).loads


def test_steps_are_those_that_were_asked_for_while_there_is_time():
    orders = [make_order("night", may_degrade=True, deadline=9000.0)]
    assert choice_of(orders, [make_seat()]).steps == 40


def test_steps_fall_with_the_slack_only_where_the_order_allows_it():
    seat = make_seat(stack_id="fast")
    assert choice_of([make_quick("now", deadline=4.0, may_degrade=True)], [seat]).steps == 4
    assert choice_of([make_quick("now", deadline=4.0)], [seat]).steps == 8


def test_steps_fall_for_those_who_wait_behind():
    """Alone it has time for eight steps; the one behind it has not."""
    seat = make_seat(stack_id="fast")
    first = make_quick("first", deadline=6.0, may_degrade=True, batch_key="a")
    behind = make_quick("behind", deadline=6.0, may_degrade=True, batch_key="b")
    assert choice_of([first], [seat]).steps == 8
    assert choice_of([first, behind], [seat]).steps == 4


def test_a_batch_is_filled_with_what_may_share_it():
    orders = [
        make_order("a", pictures=2),
        make_order("b", pictures=5),
        make_order("wide", batch_key="wide"),
        make_order("fewer", asked=25),
    ]
    assert choice_of(orders, [make_seat()]).members == (("a", 2), ("b", 2))


def test_nobody_joins_a_batch_that_would_be_late_for_it():
    orders = [make_quick("first", deadline=6.0), make_quick("second", deadline=20.0)]
    assert choice_of(orders, [make_seat(stack_id="fast")]).members == (("first", 1),)


def test_an_order_without_a_deadline_grows_due_with_age():
    old = make_quick("old", deadline=None, arrived=0.0)
    young = make_quick("young", deadline=70.0, arrived=40.0)
    assert first_of([young, old], [make_seat(stack_id="fast")], now=40.0) == "old"


def test_a_rule_that_is_left_out_no_longer_decides():
    orders = [make_order("night"), make_quick("now", stack_id="full", arrived=1.0)]
    without = Rules(preferences=())
    assert choice_of(orders, [make_seat()], now=1.0, rules=without).members[0][0] == "night"
