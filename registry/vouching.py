"""Whether a key vouches for what a row says: asked at every reading, because rows and keys can change."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policy.approvals import Signer
from policy.identities import Identity, IdentityRole
from registry.evidence.keys import is_vouched_for

MAY_ASK = frozenset({IdentityRole.REQUESTER, IdentityRole.APPROVER})
MAY_APPROVE = frozenset({IdentityRole.APPROVER})


class ConclusionKind(StrEnum):
    """What a conclusion is about."""

    LICENCE = "licence"  # which licence a pin has
    DRIFT = "drift"  # that a change upstream holds nothing back


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedConclusion:
    """A conclusion as it was signed, whether or not its key still counts, for whoever checks it elsewhere."""

    kind: ConclusionKind
    name: str  # id of the conclusion, or of the finding that it concludes
    text: str
    key_id: str
    signature: str


def is_vouched(
    signer: Signer,
    message: bytes,
    signature: str | None,
    at: datetime,
    keys: Mapping[str, Identity],
    roles: frozenset[IdentityRole],
) -> bool:
    """Whether a known key, of a role that may, valid then and not revoked since, signed this by this name."""
    identity = keys.get(signer.key_id)
    if identity is None or signature is None:
        return False
    if identity.name != signer.name or identity.role not in roles or not identity.may_sign_at(at):
        return False
    return is_vouched_for(identity.key_id, identity.public, message, signature)


def signed_facts(message: bytes, signature: str | None) -> dict[str, str | None]:
    """What an event says of something signed: it binds the digest of the text and the signature."""
    return {"signed_sha256": hashlib.sha256(message).hexdigest(), "signature": signature}


def id_of(kind: str, message: bytes) -> str:
    """How a record is called by what was signed."""
    return f"{kind}-{hashlib.sha256(message).hexdigest()[:16]}"
