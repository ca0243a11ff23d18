"""Where the seconds of a request go: whoever listens hears of each stage as it ends.

A listener belongs to one request and to every thread that works for it; a night has none, and
then a stage costs a look at a variable.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage of a request that has ended."""

    name: str
    began: float  # seconds since the epoch
    seconds: float


Hear = Callable[[Stage], None]
_HEARD: ContextVar[Hear | None] = ContextVar("heard", default=None)


@contextmanager
def heard_by(hear: Hear) -> Generator[None]:
    """Let ``hear`` be told of every stage in the block, from any thread that works for it."""
    token = _HEARD.set(hear)
    try:
        yield
    finally:
        _HEARD.reset(token)


@contextmanager
def stage(name: str) -> Generator[None]:
    """A part of the work by its name; told also where it ends in an error."""
    hear = _HEARD.get()
    if hear is None:
        yield
        return
    began, start = time.time(), time.perf_counter()
    try:
        yield
    finally:
        hear(Stage(name=name, began=began, seconds=time.perf_counter() - start))
