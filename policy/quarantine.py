"""Withdrawn models: what may not be planned with or shipped any more, whatever its licence says."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from policy.verdicts import Reason, Ruling, Verdict, all_of, from_reasons


@dataclass(frozen=True, kw_only=True, slots=True)
class Revocation:
    """A repository, or one commit of it, that a named person withdrew."""

    repo: str
    revision: str  # 40 hex; "" withdraws every commit
    reason: str
    actor: str
    revoked_at: datetime

    def covers(self, repo: str, revision: str) -> bool:
        return self.repo == repo and self.revision in {"", revision}


class Withdrawable(Protocol):
    """Whatever names a repository at a commit: a pin, or a licence that a part was shipped under."""

    @property
    def repo(self) -> str: ...

    @property
    def revision(self) -> str: ...


def quarantined(
    verdict: Verdict, parts: Iterable[Withdrawable], revocations: Iterable[Revocation]
) -> Verdict:
    """The verdict, and a denial beside it for every part that was withdrawn, naming who did it and why."""
    withdrawn = tuple(revocations)
    reasons = [
        Reason(
            code="model_revoked",
            ruling=Ruling.DENY,
            detail=f"{one.actor} revoked it on {one.revoked_at:%Y-%m-%d}: {one.reason}",
            component=part.repo,
        )
        for part in parts
        for one in withdrawn
        if one.covers(part.repo, part.revision)
    ]
    return all_of((verdict, from_reasons(reasons))) if reasons else verdict
