"""When a shot is given up: by workers, not by bad luck."""

from policy.tasks import FaultKind
from registry.ledger_blame import DISTINCT_WORKERS, SHOT_FAULTS, is_given_up


def test_nothing_that_happened_gives_no_shot_up():
    assert not is_given_up(())


def test_three_workers_are_enough_whoever_they_blame():
    kinds = (FaultKind.SHOT, FaultKind.WORKER, FaultKind.SHOT)
    faults = [(f"worker-{number}", kind) for number, kind in enumerate(kinds)]
    assert len(faults) == DISTINCT_WORKERS
    assert is_given_up(faults)
    assert not is_given_up(faults[1:])


def test_one_worker_is_enough_when_it_tried_often():
    faults = [("only", FaultKind.SHOT)] * SHOT_FAULTS
    assert is_given_up(faults)
    assert not is_given_up(faults[1:])


def test_a_full_disk_and_a_cancel_blame_nobody():
    innocent = [(f"worker-{number}", FaultKind.STORAGE) for number in range(20)]
    innocent += [(f"worker-{number}", FaultKind.CANCELLED) for number in range(20)]
    assert not is_given_up(innocent)
