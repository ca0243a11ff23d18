"""Turns on a fleet: whose job has the workers next."""

from typing import Any

from policy.queue_views import Served
from policy.tiers import ServiceTier
from policy.turns import HANDOVERS_WORTH, Contender, Turn, next_turn

HANDOVER = 8.0
NOBODY = Served()
BATCH, INTERACTIVE = ServiceTier.BATCH, ServiceTier.INTERACTIVE


def contender(turn_id: str, **changed: Any) -> Contender:
    facts: dict[str, Any] = {
        "tier": BATCH,
        "owner": turn_id,
        "submitted": 0.0,
        "deadline": None,
        "pictures": 1000,
        "picture_p50": 1.0,
        "picture_p95": 1.5,
    }
    return Contender(turn_id=turn_id, **(facts | changed))


def turn_of(contenders, served=NOBODY, now=10.0) -> Turn:
    turn = next_turn(contenders, served, now, HANDOVER)
    assert turn is not None
    return turn


def test_nobody_is_next_where_nobody_asks():
    assert next_turn([], NOBODY, 0.0, HANDOVER) is None


def test_an_interactive_job_takes_the_fleet_from_a_night():
    turn = turn_of([contender("night", has_fleet=True), contender("now", tier=INTERACTIVE, submitted=9.0)])
    assert turn.turn_id == "now"
    assert turn.reasons[0].rule == "tier"


def test_an_interactive_job_without_a_deadline_is_never_too_late_for_its_turn():
    old = contender("now", tier=INTERACTIVE, submitted=-5000.0)
    assert turn_of([contender("night", deadline=90_000.0), old]).turn_id == "now"


def test_a_night_has_its_share_of_the_fleet_and_keeps_it_until_the_debt_is_paid():
    night, now = contender("night"), contender("now", tier=INTERACTIVE)
    owed = HANDOVER * HANDOVERS_WORTH / 0.2
    before, after = Served(tiers=((INTERACTIVE, owed - 1),)), Served(tiers=((INTERACTIVE, owed + 1),))
    there = [night, contender("now", tier=INTERACTIVE, has_fleet=True)]
    assert turn_of(there, before).turn_id == "now"
    assert turn_of(there, after).turn_id == "night"
    on = [contender("night", has_fleet=True), now]
    assert turn_of(on, Served(tiers=((INTERACTIVE, 200.0), (BATCH, 49.0)))).turn_id == "night"
    assert turn_of(on, Served(tiers=((INTERACTIVE, 200.0), (BATCH, 51.0)))).turn_id == "now"


def test_of_two_nights_the_one_that_has_the_fleet_keeps_it_until_the_other_is_far_behind():
    there = [contender("ann's", has_fleet=True), contender("ben's")]
    far = 2 * HANDOVER * HANDOVERS_WORTH
    assert turn_of(there, Served(owners=(("ann's", far - 1),))).turn_id == "ann's"
    assert turn_of(there, Served(owners=(("ann's", far + 1),))).turn_id == "ben's"


def test_a_deadline_that_would_be_lost_takes_the_fleet_from_one_that_would_not():
    there = [contender("easy", has_fleet=True, deadline=90_000.0), contender("tight", deadline=1020.0)]
    assert turn_of(there).turn_id == "tight"


def test_the_night_that_somebody_put_first_takes_the_fleet_from_another_late_or_not():
    there = [contender("night", has_fleet=True), contender("wanted", priority=1)]
    assert turn_of(there).turn_id == "wanted"
    assert turn_of(there).reasons[0].rule == "priority"
    late = [contender("night", has_fleet=True), contender("wanted", priority=1, deadline=5.0)]
    assert turn_of(late).turn_id == "wanted"


def test_a_night_that_was_put_first_still_waits_for_whoever_waits_at_a_screen():
    there = [contender("night", priority=9), contender("now", tier=INTERACTIVE)]
    assert turn_of(there).turn_id == "now"


def test_a_night_that_was_put_last_goes_after_the_others_even_where_it_is_due_first():
    there = [contender("easy", deadline=90_000.0), contender("tight", priority=-1, deadline=1020.0)]
    assert turn_of(there).turn_id == "easy"
