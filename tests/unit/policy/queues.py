"""Orders and workers that the tests of dispatch start from."""

from typing import Any

from policy.queue_views import OpenOrder, Pace, Seat
from policy.tiers import ServiceTier

FEW = tuple(Pace(steps=steps, quality=0.8, p50=steps * 0.5, p95=steps * 0.6) for steps in (4, 8))
MANY = tuple(Pace(steps=steps, quality=steps / 50, p50=steps * 0.5, p95=steps * 0.6) for steps in (25, 40))


def make_order(order_id: str = "a", **changed: Any) -> OpenOrder:
    facts: dict[str, Any] = {
        "tier": ServiceTier.BATCH,
        "owner": "ann",
        "arrived": 0.0,
        "stack_id": "full",
        "load_seconds": 30.0,
        "paces": MANY,
        "asked": 40,
        "share": 0.9,
    }
    return OpenOrder(order_id=order_id, **(facts | changed))


def make_quick(order_id: str = "q", **changed: Any) -> OpenOrder:
    """Somebody waits for it."""
    facts: dict[str, Any] = {
        "tier": ServiceTier.INTERACTIVE,
        "stack_id": "fast",
        "paces": FEW,
        "asked": 8,
        "deadline": 20.0,
    }
    return make_order(order_id, **(facts | changed))


def make_seat(number: int = 0, stack_id: str = "full", **changed: Any) -> Seat:
    facts: dict[str, Any] = {"load_seconds": 30.0}
    return Seat(number=number, stack_id=stack_id, **(facts | changed))
