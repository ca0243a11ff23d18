"""What a check of the doctor found, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class FindingState(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"  # a render would stop


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    state: FindingState
    detail: str
    next_step: str = ""


def finding(check: str, state: FindingState, detail: str, next_step: str) -> Finding:
    """A finding, said in one line."""
    return Finding(check=check, state=state, detail=detail, next_step=next_step)


def judged(check: str, detail: str, next_step: str, *, is_good: bool) -> Finding:
    """Good, or a problem with what to do."""
    state = FindingState.OK if is_good else FindingState.PROBLEM
    return finding(check, state, detail, "" if is_good else next_step)
