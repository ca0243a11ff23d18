"""Sizes far from what a model was trained at: it draws something, and seldom what was meant."""

from collections.abc import Iterable
from itertools import groupby

from policy.manifest import Shot
from policy.menu import Menu
from policy.wording import plural

FAR = 2.25  # times more or fewer pixels: one and a half times each side, as far as aspect buckets go


def strange_sizes(shots: Iterable[Shot], menu: Menu) -> tuple[str, ...]:
    """A warning for every model and size far from each other; models that do not say warn of none."""
    native = dict(menu.sizes)
    far = sorted(
        (shot.model, shot.width, shot.height)
        for shot in shots
        if (size := native.get(shot.model)) is not None and _is_far(size, (shot.width, shot.height))
    )
    return tuple(
        f"{model} was trained at {native[model][0]} x {native[model][1]}: "
        f"{plural(len(list(same)), 'shot')} of {width} x {height} may come out repeated or blurred."
        for (model, width, height), same in groupby(far)
    )


def _is_far(native: tuple[int, int], asked: tuple[int, int]) -> bool:
    pixels, wanted = native[0] * native[1], asked[0] * asked[1]
    return wanted > FAR * pixels or pixels > FAR * wanted
