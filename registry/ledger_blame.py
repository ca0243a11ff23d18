"""Whose fault a failure is, and when a shot is given up. Pure."""

from collections.abc import Iterable

from policy.tasks import FaultKind

DISTINCT_WORKERS = 3  # a shot that fails on this many workers is dead, whoever they blame
SHOT_FAULTS = 5  # a house with fewer workers gives a shot this many tries
BLAMED = (FaultKind.SHOT, FaultKind.WORKER)  # a full disk or a cancel is nobody's fault


def is_given_up(faults: Iterable[tuple[str, FaultKind]]) -> bool:
    """Is a shot dead after these faults, each (worker, kind)?"""
    blamed = [(worker, kind) for worker, kind in faults if kind in BLAMED]
    workers = {worker for worker, _ in blamed}
    return len(workers) >= DISTINCT_WORKERS or len(blamed) >= SHOT_FAULTS
