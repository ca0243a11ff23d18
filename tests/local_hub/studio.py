"""A process of its own that asks the local hub through the published client, as a command would.

The client reads the environment once, at its import, and the process of the tests is offline
for good. So houses that ask a hub live here: one process serves a whole session.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from flows.bootstrap import House, open_house
from flows.settings import Settings


def go_online() -> None:
    """Undo what keeps the process of the tests from every network; loopback is all there is."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        os.environ.pop(name, None)
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"


@dataclass(frozen=True)
class Studio:
    """A house by its settings, opened in the other process."""

    pool: ProcessPoolExecutor
    home: Path
    settings: tuple[tuple[str, Any], ...]

    def do(self, step: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call ``step(house, ...)`` there; its answer or its error comes back."""
        return self.pool.submit(_in_a_house, dict(self.settings), step, arguments, options).result(600)

    @cached_property
    def here(self) -> House:
        """The same house in this process: it is offline."""
        return open_house(Settings(**{**dict(self.settings), "hub_offline": True}))

    def with_settings(self, **changes: Any) -> "Studio":
        return Studio(self.pool, self.home, tuple({**dict(self.settings), **changes}.items()))


def make_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), initializer=go_online)


def _in_a_house(
    settings: dict[str, Any], step: Callable[..., Any], arguments: Sequence[Any], options: dict[str, Any]
) -> Any:
    return step(_house(tuple(settings.items())), *arguments, **options)


@cache
def _house(settings: tuple[tuple[str, Any], ...]) -> House:
    """Opened once: what a house costs is its catalogue and its ledger."""
    return open_house(Settings(**dict(settings)))
