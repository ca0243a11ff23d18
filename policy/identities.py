"""Who vouches: names behind public keys. A name without a key behind it is only claimed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

KEY_TAG = "identity:key:created"  # the event that makes a key known


class IdentityRole(StrEnum):
    """What a key may vouch for."""

    HOUSE = "house"  # the log as it stood, and what left the house
    REQUESTER = "requester"  # that something is asked for
    APPROVER = "approver"  # that it may be done; may ask too


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The public half of a key, and whose it is."""

    key_id: str  # sha256 of the 32 raw bytes of the public half
    name: str
    role: IdentityRole
    public: str  # 64 hex digits
    valid_from: datetime
    valid_until: datetime | None  # None: until it is revoked
    made_by: str  # who made the key, as the audit log has it
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_because: str | None

    def may_sign_at(self, moment: datetime) -> bool:
        """Whether what was signed then counts; nothing that a revoked key signed does."""
        if self.revoked_at is not None or moment < self.valid_from:
            return False
        return self.valid_until is None or moment < self.valid_until
