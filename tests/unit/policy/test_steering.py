"""Which word may be said to which job: every word against every standing."""

from dataclasses import replace

import pytest

from policy.steering import OF_ENDED_JOBS, NotNow, Standing, Word, why_not, why_not_eaten, why_not_requeued
from policy.tasks import TakeState

RUNNING = Standing(
    job_id="20260131-0123abcd", state="running", detail="", is_over=False, is_cancelled=False, is_held=False
)
HELD = replace(RUNNING, state="held", detail="The disk is full.", is_held=True)
FINISHED = replace(RUNNING, state="finished", is_over=True)
CANCELLED = replace(FINISHED, state="cancelled", is_cancelled=True)


@pytest.mark.parametrize("word", Word)
def test_a_running_job_listens_to_every_word(word: Word):
    assert why_not(word, RUNNING) is None


@pytest.mark.parametrize("word", Word)
def test_a_held_job_listens_to_every_word_but_a_pause(word: Word):
    found = why_not(word, HELD)
    assert (found is None) is (word is not Word.PAUSE)
    if found is not None:
        assert "The disk is full." in found.message


@pytest.mark.parametrize("word", Word)
def test_of_a_job_that_is_over_only_its_shots_are_still_talked_about(word: Word):
    assert (why_not(word, FINISHED) is None) is (word in OF_ENDED_JOBS)


@pytest.mark.parametrize("word", Word)
def test_a_cancelled_job_is_only_cancelled_again_which_changes_nothing(word: Word):
    assert (why_not(word, CANCELLED) is None) is (word is Word.CANCEL)


@pytest.mark.parametrize("standing", [HELD, FINISHED, CANCELLED])
@pytest.mark.parametrize("word", Word)
def test_every_refusal_names_the_job_and_what_would_help(word: Word, standing: Standing):
    found = why_not(word, standing)
    if found is not None:
        assert standing.job_id in found.message
        assert found.next_step.endswith(".")


@pytest.mark.parametrize("state", TakeState)
def test_only_what_is_made_is_neither_eaten_nor_requeued(state: TakeState):
    is_made = state in {TakeState.DONE, TakeState.REUSED}
    for asked in (why_not_eaten, why_not_requeued):
        found = asked("fox", state)
        assert isinstance(found, NotNow) is is_made
