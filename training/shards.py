"""Spreads a batch over processor cores: one thread and one part of the batch for each.

Layers this small do not profit from threads inside an operation (two gave 1.2 times the speed of one), but
two half batches side by side do, and they suffer less where the cores are shared. The copies of a module
share their weights and have gradients of their own, which are averaged when all parts are done.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import nn

from training.checkpoints import Dice

Figures = Mapping[str, float]
Part = TypeVar("Part")
Result = TypeVar("Result")


def split_dice(dice: Dice, count: int) -> list[Dice]:
    """Dice for each part, the same whatever order the parts run in."""
    return [dice.split() for _ in range(count)]


class Shards:
    """`count` sets of the same modules; the first set is the original one."""

    def __init__(self, modules: Sequence[nn.Module], count: int) -> None:
        self.sets = [list(modules), *(copy.deepcopy(list(modules)) for _ in range(count - 1))]
        self.parameters = [
            [p for module in one for p in module.parameters() if p.requires_grad] for one in self.sets
        ]
        self._pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
        self.share_weights()

    def share_weights(self) -> None:
        """Let every copy look at the original's weights; again after the original's were exchanged."""
        for others in self.parameters[1:]:
            for mine, theirs in zip(self.parameters[0], others, strict=True):
                theirs.data = mine.data

    def learn(self, lesson: Callable[[list[nn.Module], Part], Figures], parts: Sequence[Part]) -> Figures:
        """Run `lesson`, which ends in `backward()`, on each part; leave mean gradients in the original."""
        for parameters in self.parameters:
            for parameter in parameters:
                parameter.grad = None
        figures = list(self._pool.map(lesson, self.sets, parts))
        share = 1 / len(parts)
        for others in self.parameters[1:]:
            pairs = [
                (mine.grad, theirs.grad)
                for mine, theirs in zip(self.parameters[0], others, strict=True)
                if mine.grad is not None and theirs.grad is not None
            ]
            torch._foreach_add_([mine for mine, _ in pairs], [theirs for _, theirs in pairs])
        torch._foreach_mul_([p.grad for p in self.parameters[0] if p.grad is not None], share)
        return {key: share * sum(one[key] for one in figures) for key in figures[0]}

    def map(self, work: Callable[[list[nn.Module], Part], Result], parts: Sequence[Part]) -> list[Result]:
        """Run `work`, which leaves no gradients, on each part."""
        return list(self._pool.map(work, self.sets, parts))
