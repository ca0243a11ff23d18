"""What can be told of the end after a tenth of a job, from what that tenth took."""

from dataclasses import replace

import pytest

from policy.forecast import SettledBatch, foretell
from tests.factories import make_execution_plan, make_manifest, make_shots

(DECISION,) = make_execution_plan(manifest=make_manifest(shots=make_shots(200))).decisions
DECISIONS = (DECISION,)


def rendered(batches, pace, *, workers=2, load=2.0, first=0.0, decision=0, decisions=DECISIONS):
    """Batches of four pictures on workers that take ``pace`` seconds for each predicted one."""
    seconds = decisions[decision].seconds_p50 * 4 * pace
    return tuple(
        SettledBatch(
            decision=decision,
            pictures=4,
            seconds=seconds,
            load_seconds=load if number < workers else 0.0,
            at=first + load + seconds * (number // workers + 1),
        )
        for number in range(batches)
    )


@pytest.mark.parametrize("pace", [0.5, 1.0, 3.0])
def test_a_steady_pace_is_foretold_to_half_a_batch_whatever_was_planned(pace):
    settled = rendered(200, pace)
    told = foretell(DECISIONS, settled, workers=2)
    assert told is not None
    assert told.share == pytest.approx(0.1)
    assert abs(told.p50 - told.real) <= settled[0].seconds
    assert told.error < 0.01
    assert told.p50 < told.p95


def test_a_pace_that_changes_afterwards_is_an_error():
    quick = rendered(20, 1.0)
    slow = rendered(180, 2.0, load=0.0, first=quick[-1].at)
    told = foretell(DECISIONS, quick + slow, workers=2)
    assert told is not None
    assert told.error == pytest.approx(0.5, abs=0.02)


def test_a_stack_that_nobody_has_seen_yet_takes_the_pace_of_all():
    offer = DECISION.offer
    other = replace(DECISION, offer=replace(offer, stack=replace(offer.stack, name="other", dtype="float16")))
    decisions = (DECISION, other)
    first = rendered(100, 2.0, decisions=decisions)
    then = rendered(100, 2.0, first=first[-1].at, decision=1, decisions=decisions)
    told = foretell(decisions, first + then, workers=2)
    assert told is not None
    assert told.error < 0.02


def test_a_stack_that_nobody_has_seen_costs_what_its_base_does_and_not_what_its_prior_says():
    """One stack was planned from a prior that is five times too low, the other from measurements."""
    offer = DECISION.offer
    guessed = replace(DECISION, seconds_p50=DECISION.seconds_p50 / 5, seconds_p95=DECISION.seconds_p95 / 5)
    known = replace(DECISION, offer=replace(offer, stack=replace(offer.stack, name="other", dtype="float16")))
    decisions = (guessed, known)
    first = rendered(100, 5.0, decisions=decisions)
    then = rendered(100, 1.0, first=first[-1].at, decision=1, decisions=decisions)
    told = foretell(decisions, first + then, workers=2)
    assert told is not None
    assert told.error < 0.02


def test_stacks_that_settle_in_turn_are_loaded_once():
    """Two workers, a stack each: every second batch is of the other stack, and nothing is loaded again."""
    offer = DECISION.offer
    other = replace(DECISION, offer=replace(offer, stack=replace(offer.stack, name="other", dtype="float16")))
    decisions = (DECISION, other)
    each = [rendered(100, 1.0, decision=number, decisions=decisions, workers=1) for number in (0, 1)]
    settled = tuple(batch for pair in zip(*each, strict=True) for batch in pair)
    told = foretell(decisions, settled, workers=2)
    assert told is not None
    assert told.error < 0.02


def test_the_first_batch_of_a_worker_warms_up_and_tells_nothing_of_the_pace():
    first, second, *others = rendered(200, 1.0)
    slow = [replace(batch, seconds=batch.seconds * 5) for batch in (first, second)]
    told = foretell(DECISIONS, (*slow, *others), workers=2)
    assert told is not None
    assert told.error < 0.01


def test_nothing_is_foretold_of_a_job_that_was_over():
    assert foretell(DECISIONS, (), workers=2) is None
    assert foretell(DECISIONS, rendered(1, 1.0), workers=2) is None
