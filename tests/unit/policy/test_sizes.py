"""A size far from what a model was trained at is warned of, and one within the aspect buckets is not."""

import pytest

from policy.sizes import strange_sizes
from tests.factories import BASE, make_menu, make_offer, make_shot

MENU = make_menu(offers=(make_offer(),), sizes=((BASE, (512, 512)),))


@pytest.mark.parametrize("size", [(512, 512), (768, 512), (384, 512), (768, 768)])
def test_a_near_size_is_no_news(size: tuple[int, int]):
    assert strange_sizes([make_shot(width=size[0], height=size[1])], MENU) == ()


def test_far_sizes_are_told_once_each_with_how_many_shots():
    shots = [make_shot(name=f"big-{n}", width=1024, height=1024) for n in range(2)]
    shots.append(make_shot(name="small", width=64, height=64))
    assert strange_sizes(shots, MENU) == (
        f"{BASE} was trained at 512 x 512: 1 shot of 64 x 64 may come out repeated or blurred.",
        f"{BASE} was trained at 512 x 512: 2 shots of 1024 x 1024 may come out repeated or blurred.",
    )


def test_a_model_that_does_not_say_is_warned_of_at_no_size():
    assert strange_sizes([make_shot(width=1024, height=1024)], make_menu(offers=(make_offer(),))) == ()
