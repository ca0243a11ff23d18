"""What stands in for something refused: alike first, from its own tier first, priced, and never what is denied."""

from policy.alternatives import in_place_of
from policy.menu import Offer
from tests.factories import (
    make_cost_profile,
    make_denial,
    make_offer,
    make_preset,
    make_quality,
    make_stack,
    make_student_offer,
    make_student_preset,
)

REFUSED = make_student_offer(model="lab/turbo", verdict=make_denial())


def instead(*offers: Offer, refused: Offer = REFUSED) -> str:
    return in_place_of(refused, offers, (make_cost_profile(),), ("cpu-2",))


def test_a_student_is_replaced_by_a_student_and_compared_with_it():
    better = make_student_preset(name="emoji-64-lightning", quality=make_quality((4, 0.95)))
    told = instead(REFUSED, make_offer(), make_student_offer(preset=better))
    assert "emoji-64-lightning at 512 x 512: permitted, 4 steps, quality 0.95" in told
    assert told.endswith("against emoji-64-lcm at 4 steps: quality +0.05, as quick.")


def test_the_same_model_goes_before_a_better_one():
    own = make_student_offer(
        model="lab/turbo", preset=make_student_preset(name="poor", quality=make_quality((4, 0.2)))
    )
    assert "lab/turbo with method poor" in instead(make_student_offer(), own)


def test_another_model_of_the_same_kind_goes_before_a_better_one_of_another():
    akin = make_student_offer(preset=make_student_preset(name="poor", quality=make_quality((4, 0.2))))
    other = make_student_offer(model="lab/other", stack=make_stack(pipeline="OtherPipeline"))
    assert "with method poor" in instead(other, akin)


def test_where_its_tier_has_nothing_another_one_is_named():
    assert "emoji-64-full at 512 x 512 at tier batch: permitted, 40 steps" in instead(REFUSED, make_offer())


def test_what_is_denied_or_makes_something_else_stands_in_for_nothing():
    clips = make_offer(preset=make_preset(modality="video"))
    assert instead(REFUSED, make_offer(verdict=make_denial()), clips) == ""
