"""At most so many stacks at once, verified before they are loaded; the one used longest ago makes room."""

from dataclasses import dataclass

import pytest

from policy.errors import IntegrityFault
from policy.tasks import StackLoad
from tests.factories import make_model_pin, make_stack
from tests.unit.workers.batches import make_load, no_faults, pinned_digests
from workers.renderer import RendererKind, RenderOptions, make_renderer
from workers.verified_stacks import Resident, ResidentStacks, resident_key, verified


@dataclass(frozen=True)
class Fault:
    detail: str


def resident(_load: StackLoad) -> Resident:
    return Resident(renderer=make_renderer(RenderOptions(kind=RendererKind.SYNTHETIC)), loaded=())


def loads(count: int) -> list[StackLoad]:
    return [
        make_load(stack=make_stack(base=make_model_pin(repo=f"studio/base-{number}")))
        for number in range(count)
    ]


def test_the_one_used_longest_ago_makes_room():
    first, second, third = loads(3)
    stacks = ResidentStacks(2, resident)
    for load in (first, second, first, third):
        stacks.take(load)
    assert stacks.keys == (resident_key(first), resident_key(third))


def test_a_stack_that_is_held_is_not_made_again():
    (load,) = loads(1)
    stacks = ResidentStacks(1, resident)
    made, was_held = stacks.take(load)
    again, is_held = stacks.take(load)
    assert made is again
    assert (was_held, is_held) == (False, True)


def test_there_are_never_more_than_the_bound_not_even_while_one_is_loaded():
    seen: list[int] = []

    def count(load: StackLoad) -> Resident:
        seen.append(len(stacks.keys) + 1)
        return resident(load)

    stacks = ResidentStacks(2, count)
    for load in loads(5):
        stacks.take(load)
    assert max(seen) == 2


def test_a_stack_that_cannot_be_loaded_leaves_the_others_but_one():
    def fail_on_last(load: StackLoad) -> Resident:
        if load is last:
            raise IntegrityFault("not what was pinned")
        return resident(load)

    *held, last = loads(3)
    stacks = ResidentStacks(2, fail_on_last)
    for load in held:
        stacks.take(load)
    with pytest.raises(IntegrityFault):
        stacks.take(last)
    assert stacks.keys == (resident_key(held[1]),)


def test_a_fused_stack_is_another_one():
    assert resident_key(make_load(fuse=True)) != resident_key(make_load(fuse=False))


def test_what_is_not_as_pinned_is_never_loaded():
    with pytest.raises(IntegrityFault, match="nothing of it was loaded"):
        verified(make_load(), lambda _root, _files: (Fault("model.safetensors differs."),), pinned_digests)
    assert verified(make_load(), no_faults, pinned_digests)
