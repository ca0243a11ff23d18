"""What a person may say to a job, by where it stands: the rules as a tuple, a refusal as a value. Pure.

A word that would change nothing is no refusal: to pause a paused job is as good as once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from policy.tasks import TakeState


class Word(StrEnum):
    """What may be said to a job under way."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    REQUEUE = "requeue"
    EAT = "eat"
    PRIORITY = "priority"
    DEADLINE = "deadline"
    BUDGET = "budget"
    WORKERS = "workers"


DONE_TO: dict[Word, str] = {
    Word.PAUSE: "be paused",
    Word.RESUME: "be resumed",
    Word.CANCEL: "be cancelled",
    Word.REQUEUE: "render a shot again",
    Word.EAT: "lose a shot",
    Word.PRIORITY: "get another priority",
    Word.DEADLINE: "get another deadline",
    Word.BUDGET: "get another budget",
    Word.WORKERS: "get more workers",
}
# Of a job that is over only its shots may still be talked about.
OF_ENDED_JOBS = frozenset({Word.RESUME, Word.REQUEUE, Word.EAT})


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a job stands, as these rules see it."""

    job_id: str
    state: str  # in a word
    detail: str  # why it is held
    is_over: bool
    is_cancelled: bool
    is_held: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class NotNow:
    """Why a word cannot be followed as things stand, and what would help."""

    message: str
    next_step: str


Rule = Callable[[Word, Standing], NotNow | None]


def cancelled_is_for_good(word: Word, job: Standing) -> NotNow | None:
    """What was cancelled is ordered again, never opened again."""
    if not job.is_cancelled or word is Word.CANCEL:
        return None
    return NotNow(
        message=f"Job {job.job_id} was cancelled.",
        next_step="Render its manifest again: finished shots are reused.",
    )


def nothing_is_left_to_cancel(word: Word, job: Standing) -> NotNow | None:
    """A job that ended is not cancelled afterwards."""
    if word is not Word.CANCEL or not job.is_over or job.is_cancelled:
        return None
    return NotNow(
        message=f"Job {job.job_id} is {job.state}: nothing is left to cancel.",
        next_step="See: rightstep job show.",
    )


def ended_is_not_steered(word: Word, job: Standing) -> NotNow | None:
    """There is no night left to steer."""
    if not job.is_over or word in OF_ENDED_JOBS or word is Word.CANCEL:
        return None
    return NotNow(
        message=f"Job {job.job_id} is {job.state} and cannot {DONE_TO[word]}.",
        next_step="Render its manifest again, or see: rightstep job show.",
    )


def held_is_stopped_already(word: Word, job: Standing) -> NotNow | None:
    """A pause would write over why it is held."""
    if word is not Word.PAUSE or not job.is_held:
        return None
    return NotNow(
        message=f"Job {job.job_id} is held already: {job.detail}".strip(),
        next_step=f"It goes on with: rightstep job resume {job.job_id}.",
    )


RULES: tuple[Rule, ...] = (
    cancelled_is_for_good,
    nothing_is_left_to_cancel,
    ended_is_not_steered,
    held_is_stopped_already,
)


def why_not(word: Word, job: Standing) -> NotNow | None:
    """The first rule that speaks against a word; None where it may be followed."""
    return next((found for rule in RULES if (found := rule(word, job)) is not None), None)


def why_not_eaten(shot: str, state: TakeState) -> NotNow | None:
    """A shot that is made cannot be closed unmade; None where it may be eaten, or is already."""
    if state in {TakeState.DONE, TakeState.REUSED}:
        return NotNow(message=f"Shot {shot} is made already.", next_step="There is nothing to eat.")
    return None


def why_not_requeued(shot: str, state: TakeState) -> NotNow | None:
    """Only a shot that was given up or eaten is put back; one that waits already is left as it is."""
    if state in {TakeState.DONE, TakeState.REUSED}:
        return NotNow(
            message=f"Shot {shot} is made already.", next_step="Order it with another seed to make another."
        )
    return None
