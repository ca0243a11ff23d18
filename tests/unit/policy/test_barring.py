"""Whom the rules bar: every failure that something else explains, and every worker that they keep."""

from dataclasses import replace

import pytest

from policy.barring import BATCHES, FAILURES, Failure, Suspect, blamed, why_barred, why_kept

OURS = Failure(
    batch=0, stack_id="emoji", failed_elsewhere=False, made_elsewhere=False, stack_stands=True
)  # nobody else tried this batch, and others make its stack
BAD = Suspect(
    worker="here:1",
    failures=tuple(replace(OURS, batch=number) for number in range(FAILURES)),
    made=frozenset(),
    others=1,
)


def failing(**facts: object) -> Suspect:
    return replace(BAD, failures=tuple(replace(one, **facts) for one in BAD.failures))


def test_a_worker_that_fails_what_others_can_make_is_barred_and_told_why():
    assert why_kept(BAD) == ""
    assert "failed 3 times in a row, on 3 batches" in why_barred(BAD)


@pytest.mark.parametrize(
    ("facts", "is_blamed"),
    [
        ({}, True),
        ({"failed_elsewhere": True}, False),  # a bad shot, as far as anybody knows
        ({"failed_elsewhere": True, "made_elsewhere": True}, True),  # two bad workers, and a good one
        ({"made_elsewhere": True}, True),
        ({"stack_stands": False}, False),  # a poisoned stack, or a farm on which everything fails
        ({"stack_stands": False, "made_elsewhere": True}, True),
        ({"stack_stands": False, "failed_elsewhere": True}, False),
        ({"stack_stands": False, "failed_elsewhere": True, "made_elsewhere": True}, True),
    ],
)
def test_a_failure_counts_where_neither_its_batch_nor_its_stack_explains_it(
    facts: dict[str, bool], is_blamed: bool
):
    assert bool(blamed(failing(**facts))) is is_blamed
    assert bool(why_kept(failing(**facts))) is not is_blamed


@pytest.mark.parametrize(
    ("kept", "because"),
    [
        (replace(BAD, failures=BAD.failures[: FAILURES - 1]), "fewer than 3"),
        (failing(batch=7), "1 different batch only"),
        (replace(BAD, made=frozenset({"other"})), "makes other stacks"),
        (replace(BAD, others=0), "nobody else is left"),
        (replace(BAD, failures=()), "0 failures"),
    ],
)
def test_a_worker_is_kept(kept: Suspect, because: str):
    assert because in why_kept(kept)


def test_a_stack_that_it_made_before_or_failures_of_two_stacks_are_the_workers_own():
    assert why_kept(replace(BAD, made=frozenset({"emoji", "other"}))) == ""
    two = (*BAD.failures[1:], replace(OURS, batch=9, stack_id="another"))
    assert why_kept(replace(BAD, failures=two, made=frozenset({"other"}))) == ""


def test_what_is_excused_counts_neither_as_a_failure_nor_as_another_batch():
    excused = replace(OURS, batch=9, failed_elsewhere=True)
    repeated = tuple(replace(OURS, batch=0) for _ in range(FAILURES))
    assert why_kept(replace(BAD, failures=(*repeated, excused))) != ""
    assert BATCHES == 2
