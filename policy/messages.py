"""Messages about a job to whoever does not look: what is told, how signed, when tried again. Pure.

A webhook is signed as Standard Webhooks (https://www.standardwebhooks.com, specification 1.0) has it: a MAC
over id, time and body under a shared secret, so that a receiver knows the sender, and an old request from a
new one. Of one message the id stays the same however often it is tried.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policy.canonical import canonical_json
from policy.errors import WrongUse
from policy.wording import plural

SECRET_PREFIX = "whsec_"  # noqa: S105 - how a secret begins, and none
LEAST_SECRET_BYTES = 24
WAITS_SECONDS = (5.0, 30.0, 120.0, 600.0, 3600.0, 4 * 3600.0, 12 * 3600.0)  # after each try that failed


class Event(StrEnum):
    """What is told."""

    FINISHED = "job.finished"
    FAILED = "job.failed"
    HELD = "job.held"
    AT_RISK = "job.at_risk"


class Channel(StrEnum):
    """By which way."""

    WEBHOOK = "webhook"
    MAIL = "mail"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobNews:
    """What a message says of a job: figures and names, and nothing of any prompt."""

    event: Event
    at: datetime
    job_id: str
    name: str
    owner: str
    tier: str
    detail: str
    deadline: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    shots: int
    made: int
    reused: int  # of those that are made
    dead: int
    open: int

    @property
    def body(self) -> str:
        """The message as JSON text: the bytes that are signed and sent."""
        return canonical_json(
            {
                "type": self.event,
                "timestamp": self.at.isoformat(),
                "data": {
                    "job_id": self.job_id,
                    "name": self.name,
                    "owner": self.owner,
                    "tier": self.tier,
                    "detail": self.detail,
                    "deadline": _moment(self.deadline),
                    "started_at": _moment(self.started_at),
                    "ended_at": _moment(self.ended_at),
                    "shots": self.shots,
                    "made": self.made,
                    "reused": self.reused,
                    "dead": self.dead,
                    "open": self.open,
                },
            }
        )

    @property
    def subject(self) -> str:
        """One line for a mailbox."""
        words = {Event.AT_RISK: "may miss its deadline", Event.HELD: "is held"}
        return f"{self.name} {words.get(self.event, self.event.removeprefix('job.'))} ({self.job_id})"

    @property
    def text(self) -> str:
        """The same for a person."""
        made = f"{self.made:,} of {plural(self.shots, 'shot')} made, {self.reused:,} of them reused"
        lines = [f"{made}; {self.dead:,} given up, {self.open:,} open."]
        if self.detail:
            lines.append(self.detail)
        times = (("Deadline", self.deadline), ("Begun", self.started_at), ("Ended", self.ended_at))
        lines += [f"{word}: {moment:%Y-%m-%d %H:%M %Z}" for word, moment in times if moment is not None]
        lines.append(f"See: rightstep job show {self.job_id}")
        return "\n".join(lines) + "\n"


def read_secret(text: str) -> bytes:
    """The key of a secret ``whsec_BASE64``; WrongUse where it is none, or too short to keep anybody out."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith(SECRET_PREFIX) or len(key) < LEAST_SECRET_BYTES:
        raise WrongUse(
            "The secret of the webhook cannot be used.",
            f"Write {SECRET_PREFIX} and {LEAST_SECRET_BYTES} random bytes or more in Base64.",
        )
    return key


def signed_headers(key: bytes, message_id: str, timestamp: int, body: str) -> dict[str, str]:
    """The headers that say who sends a body, and when: ``timestamp`` is in whole seconds since 1970."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{mac}",
    }


def seconds_until_next(tries: int) -> float | None:
    """How long to wait after so many tries that failed; None where it is given up."""
    return WAITS_SECONDS[tries - 1] if tries <= len(WAITS_SECONDS) else None


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
