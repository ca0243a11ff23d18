"""Tickets for browsers, which send no header with a socket: good once, for half a minute, kept as digests."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from policy.canonical import digest_text

LIFETIME = 30.0  # seconds
MOST = 1000  # that were handed out and not used; the oldest one goes


@dataclass(kw_only=True)
class Tickets:
    """Tickets that were handed out; ``clock`` tells seconds of a steady clock. Not for several threads."""

    clock: Callable[[], float]
    _known: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]])

    def issue(self, presented: str) -> str:
        """A fresh ticket for whoever presented this secret; "" is whoever needs none."""
        now = self.clock()
        self._known = {name: held for name, held in self._known.items() if held[0] > now}
        while len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        ticket = secrets.token_urlsafe(32)
        self._known[_digest(ticket)] = now + LIFETIME, presented
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """The secret that the ticket stands for, once; None where it stands for none any more."""
        until, presented = self._known.pop(_digest(ticket), (0.0, ""))
        return presented if self.clock() < until else None


def _digest(ticket: str) -> str:
    return digest_text("live-ticket", ticket)
