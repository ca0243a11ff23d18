"""The queues that the dispatch simulation serves. Stated assumptions, not measurements.

Written down before anything was measured on them, and the same for every scheduler.

- **Fleet**: 4 equal workers, nothing resident at the start. The window is 2 hours of arrivals; what is open
  then is still made.
- **Stacks**, in seconds of one picture alone (p50) and of loading:

  =======  ===================  =========  ==================  ==========  ====
  stack    made for             steps      seconds a picture   one more    load
  =======  ===================  =========  ==================  ==========  ====
  full     nights               25 to 50   1.0 + 0.50 a step   + 90 %      40
  full-2   nights               25 to 50   1.0 + 0.80 a step   + 90 %      60
  fast     somebody who waits   4 or 8     0.6 + 0.35 a step   + 80 %      30
  fast-2   somebody who waits   4 or 8     0.2 + 0.15 a step   + 35 %      15
  =======  ===================  =========  ==================  ==========  ====

  The p95 is 1.25 times the p50; what a batch really takes is drawn from the lognormal with that spread.
  Batches hold up to 4 pictures of one stack; "one more" is what each further picture adds.
- **Quality** of a picture: 0.82 and 0.88 at 4 and 8 steps; 0.90, 0.94, 0.98 and 1.00 at 25, 30, 40 and 50.
- **Interactive orders**: 1 picture (80 %) or 4 (20 %), of ``fast`` (70 %) or ``fast-2``, at 4 steps (60 %)
  or 8, wanted within 10 s (50 %), 20 s (30 %) or 30 s, from 4 owners alike.
- **Batch orders**: 4 to 24 pictures at 40 steps of ``full`` (65 %) or ``full-2``, due 20 to 60 minutes after
  they came, from 2 owners alike.
- **Degrading**: half of all orders allow fewer steps than they ask for.
- **Load** is everything as it was asked for, one picture at a time and without loads, over what 4 workers
  have in the window: 40 % of it interactive, 60 % batch.
- **poisson**: both kinds arrive at random at an even rate. **bursty**: the same, but four fifths of the
  orders come in bursts of 90 s, every 15 minutes. **mixed**: the batch part is two nights, one on each full
  stack, by two owners, there from the start and due at the end of the window; the interactive part arrives
  at random.
- There are no live sessions: each reserves a worker of its own.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policy.queue_views import OpenOrder, Pace
from policy.tiers import ServiceTier

WORKERS = 4
WINDOW = 7200.0
WORKLOADS = ("poisson", "bursty", "mixed")
LOADS = (0.7, 0.9, 1.1)
INTERACTIVE_PART = 0.4
TAIL = 1.25  # p95 over p50
SPREAD = math.log(TAIL) / 1.6448536269514722
BURST_EVERY, BURST_LASTS, BURST_PART = 900.0, 90.0, 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class StackFacts:
    """What a stack costs and gives."""

    name: str
    fixed: float
    step: float
    share: float
    load: float
    quality: tuple[tuple[int, float], ...]

    @property
    def paces(self) -> tuple[Pace, ...]:
        seconds = {steps: self.fixed + self.step * steps for steps, _ in self.quality}
        return tuple(
            Pace(steps=steps, quality=quality, p50=seconds[steps], p95=seconds[steps] * TAIL)
            for steps, quality in self.quality
        )


MANY_STEPS = ((25, 0.90), (30, 0.94), (40, 0.98), (50, 1.00))
FEW_STEPS = ((4, 0.82), (8, 0.88))
FULL = StackFacts(name="full", fixed=1.0, step=0.5, share=0.9, load=40.0, quality=MANY_STEPS)
FULL_2 = StackFacts(name="full-2", fixed=1.0, step=0.8, share=0.9, load=60.0, quality=MANY_STEPS)
FAST = StackFacts(name="fast", fixed=0.6, step=0.35, share=0.8, load=30.0, quality=FEW_STEPS)
FAST_2 = StackFacts(name="fast-2", fixed=0.2, step=0.15, share=0.35, load=15.0, quality=FEW_STEPS)


def orders_of(workload: str, load: float, seed: int) -> list[OpenOrder]:
    """The orders of one run, in the order of their arrival."""
    dice = random.Random(f"{workload} {load} {seed}")
    capacity = WORKERS * WINDOW * load
    found = _many(_interactive(dice, workload), capacity * INTERACTIVE_PART)
    if workload == "mixed":
        found += _nights(dice, capacity * (1 - INTERACTIVE_PART))
    else:
        found += _many(_batch(dice, workload), capacity * (1 - INTERACTIVE_PART))
    return sorted(found, key=lambda order: (order.arrived, order.order_id))


def two_models(pictures: int) -> list[OpenOrder]:
    """One queue in which every picture wants the other model than the one before; due in twelve hours."""
    return [
        _order(f"picture-{number:04}", (FULL, FULL_2)[number % 2], arrived=0.0, deadline=43200.0, asked=40)
        for number in range(pictures)
    ]


def _many(orders: Iterator[OpenOrder], seconds: float) -> list[OpenOrder]:
    """As many as make up so much work."""
    found: list[OpenOrder] = []
    while seconds > 0:
        found.append(next(orders))
        seconds -= work_of(found[-1])
    return found


def work_of(order: OpenOrder) -> float:
    """Seconds of an order as it was asked for, one picture at a time."""
    return order.asked_pace.p50 * order.pictures


def _interactive(dice: random.Random, workload: str) -> Iterator[OpenOrder]:
    number = 0
    while True:
        number += 1
        arrived = _arrival(dice, workload)
        yield _order(
            f"i-{number:05}",
            FAST if dice.random() < 0.7 else FAST_2,
            tier=ServiceTier.INTERACTIVE,
            owner=f"artist-{dice.randrange(4)}",
            arrived=arrived,
            deadline=arrived + dice.choices((10.0, 20.0, 30.0), (50, 30, 20))[0],
            asked=4 if dice.random() < 0.6 else 8,
            pictures=1 if dice.random() < 0.8 else 4,
            may_degrade=dice.random() < 0.5,
        )


def _batch(dice: random.Random, workload: str) -> Iterator[OpenOrder]:
    number = 0
    while True:
        number += 1
        arrived = _arrival(dice, workload)
        yield _order(
            f"b-{number:05}",
            FULL if dice.random() < 0.65 else FULL_2,
            owner=f"studio-{dice.randrange(2)}",
            arrived=arrived,
            deadline=arrived + dice.uniform(1200.0, 3600.0),
            asked=40,
            pictures=dice.randint(4, 24),
            may_degrade=dice.random() < 0.5,
        )


def _nights(dice: random.Random, seconds: float) -> list[OpenOrder]:
    return [
        _order(
            f"night-{owner}",
            stack,
            owner=owner,
            arrived=0.0,
            deadline=WINDOW,
            asked=40,
            pictures=max(1, round(seconds * part / (stack.fixed + stack.step * 40))),
            may_degrade=dice.random() < 0.5,
        )
        for owner, stack, part in (("studio-0", FULL, 0.65), ("studio-1", FULL_2, 0.35))
    ]


def _arrival(dice: random.Random, workload: str) -> float:
    """Given how many arrive, a Poisson process puts each at a uniform time."""
    if workload == "bursty" and dice.random() < BURST_PART:
        return dice.randrange(int(WINDOW / BURST_EVERY)) * BURST_EVERY + dice.uniform(0.0, BURST_LASTS)
    return dice.uniform(0.0, WINDOW)


def _order(order_id: str, stack: StackFacts, *, asked: int, **facts: Any) -> OpenOrder:
    usual: dict[str, Any] = {"tier": ServiceTier.BATCH, "owner": "studio-0"}
    return OpenOrder(
        order_id=order_id,
        stack_id=stack.name,
        load_seconds=stack.load,
        paces=stack.paces,
        asked=asked,
        share=stack.share,
        **(usual | facts),
    )
