"""Withdrawn models: what may not be planned with or shipped any more, whatever its licence says."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from policy.verdicts import Reason, Ruling, Verdict, from_reasons


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


def quarantine_verdict(pins: Iterable[Withdrawable], revocations: Iterable[Revocation]) -> Verdict:
    """Deny every use of a stack with a withdrawn part, naming who withdrew it and why."""
    withdrawn = tuple(revocations)
    reasons = [
        Reason(
            code="model_revoked",
            ruling=Ruling.DENY,
            detail=f"{one.actor} revoked it on {one.revoked_at:%Y-%m-%d}: {one.reason}",
            component=pin.repo,
        )
        for pin in pins
        for one in withdrawn
        if one.covers(pin.repo, pin.revision)
    ]
    return from_reasons(
        reasons
        or [Reason(code="nothing_revoked", ruling=Ruling.PERMIT, detail="No part of the stack is revoked.")]
    )
