"""What is kept of a live session."""

from dataclasses import dataclass
from datetime import datetime

from policy.stacks import Stack


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveSession:
    """A live session as it is on record."""

    session_id: str
    actor: str
    recipient: str
    act: str
    plan_hash: str
    stack_id: str
    method: str
    worker: str
    started_at: datetime
    ended_at: datetime | None
    ended_because: str
    frames: int  # delivered
    dropped: int  # made, and given up for newer ones
    bytes_sent: int
    segments: int
    head: str  # hash of the last segment; "" before the first


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveDraft:
    """What is known of a session when it begins."""

    actor: str
    recipient: str
    act: str
    plan_hash: str
    stack: Stack
    method: str
    worker: str
    holder: str
    loaded: tuple[tuple[str, str], ...]
