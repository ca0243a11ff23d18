"""How long what was made is kept, and what may go when that time is over: pure.

An artefact goes only where nobody has a claim on it. Every claim is one rule below; the first that holds
is the reason that is told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from policy.wording import plural

TOUCHED_SECONDS = 86_400.0  # whoever wrote a file in the last day may be about to record it


class Claim(StrEnum):
    """Why an artefact stays."""

    GONE = "not_in_the_store"
    SHIPPED = "shipped"
    LEGAL_HOLD = "legal_hold"
    UNFINISHED = "job_unfinished"
    REVIEW = "held_for_review"
    TOUCHED = "written_lately"
    FOREVER = "no_limit"
    YOUNG = "within_retention"


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """How many days after the end of its job an artefact is kept; None: for ever."""

    days: int | None = None
    owners: tuple[tuple[str, int | None], ...] = ()  # these instead of ``days``

    def days_of(self, owner: str) -> int | None:
        """What holds for the jobs of an owner."""
        return dict(self.owners).get(owner, self.days)


@dataclass(frozen=True, kw_only=True, slots=True)
class RestingJob:
    """A job that an artefact was made for, or that reused it."""

    job_id: str
    owner: str
    ended_at: datetime | None  # None: it may still render, or be resumed
    is_held: bool  # under a legal hold
    is_in_review: bool  # an output check holds this very artefact


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredArtefact:
    """An artefact that the ledger names, as it stands in the ledger and in the store."""

    sha256: str
    size: int  # bytes, of the sound that is heard with it too
    made_at: datetime
    touched_at: datetime | None  # when its file was last written; None: there is none
    is_shipped: bool
    jobs: tuple[RestingJob, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stays:
    """An artefact that is kept, and the first claim on it."""

    sha256: str
    size: int
    claim: Claim
    told: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MayGo:
    """An artefact on which nobody has a claim any more."""

    sha256: str
    size: int
    jobs: tuple[str, ...]
    because: str  # whose time was over last


Rule = Callable[[StoredArtefact, Retention, datetime], str | None]


def _is_gone(artefact: StoredArtefact, _retention: Retention, _now: datetime) -> str | None:
    return "The store does not hold it." if artefact.touched_at is None else None


def _is_shipped(artefact: StoredArtefact, _retention: Retention, _now: datetime) -> str | None:
    return "It was shipped." if artefact.is_shipped else None


def _is_held(artefact: StoredArtefact, _retention: Retention, _now: datetime) -> str | None:
    held = next((job.job_id for job in artefact.jobs if job.is_held), None)
    return None if held is None else f"Job {held} is under a legal hold."


def _is_needed(artefact: StoredArtefact, _retention: Retention, _now: datetime) -> str | None:
    needed = next((job.job_id for job in artefact.jobs if job.ended_at is None), None)
    return None if needed is None else f"Job {needed} is not over."


def _is_in_review(artefact: StoredArtefact, _retention: Retention, _now: datetime) -> str | None:
    waits = next((job.job_id for job in artefact.jobs if job.is_in_review), None)
    return None if waits is None else f"An output check of job {waits} holds it for review."


def _is_touched(artefact: StoredArtefact, _retention: Retention, now: datetime) -> str | None:
    touched = artefact.touched_at
    if touched is None or touched <= now - timedelta(seconds=TOUCHED_SECONDS):
        return None
    return "It was written within the last day: a worker may be about to record it."


def _is_for_ever(artefact: StoredArtefact, retention: Retention, _now: datetime) -> str | None:
    owner = next((job.owner for job in artefact.jobs if retention.days_of(job.owner) is None), None)
    return None if owner is None else f"What is made for {owner} has no limit."


def _is_young(artefact: StoredArtefact, retention: Retention, now: datetime) -> str | None:
    until, _ = _end_of_time(artefact, retention)
    return f"Kept until {until:%Y-%m-%d}." if until > now else None


CLAIMS: tuple[tuple[Claim, Rule], ...] = (
    (Claim.GONE, _is_gone),
    (Claim.SHIPPED, _is_shipped),
    (Claim.LEGAL_HOLD, _is_held),
    (Claim.UNFINISHED, _is_needed),
    (Claim.REVIEW, _is_in_review),
    (Claim.TOUCHED, _is_touched),
    (Claim.FOREVER, _is_for_ever),
    (Claim.YOUNG, _is_young),
)


def make_retention_verdict(artefact: StoredArtefact, retention: Retention, now: datetime) -> Stays | MayGo:
    """Whether an artefact may go now; with several claims on it, the first of ``CLAIMS`` is told."""
    for claim, holds in CLAIMS:
        if (told := holds(artefact, retention, now)) is not None:
            return Stays(sha256=artefact.sha256, size=artefact.size, claim=claim, told=told)
    _, because = _end_of_time(artefact, retention)
    jobs = tuple(job.job_id for job in artefact.jobs)
    return MayGo(sha256=artefact.sha256, size=artefact.size, jobs=jobs, because=because)


def _end_of_time(artefact: StoredArtefact, retention: Retention) -> tuple[datetime, str]:
    """When the last job's time is over, and in words; asked where every job is over and has a limit.

    A picture that came late, after its job had ended, has its own day instead.
    """
    return max(
        (
            max(job.ended_at or artefact.made_at, artefact.made_at) + timedelta(days=days),
            f"kept {plural(days, 'day')} for {job.owner}",
        )
        for job in artefact.jobs
        if (days := retention.days_of(job.owner)) is not None
    )
