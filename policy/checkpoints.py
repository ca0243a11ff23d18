"""Signed tree heads: what a log was at a size, in words that a key signs. Format version 1.

A checkpoint kept where nobody who can write the database can write shows a tail that was cut and a
chain that was made anew. What is signed is one text, so that a verifier needs no more than it.
"""

from dataclasses import dataclass

from policy.canonical import canonical_json

CHECKPOINT_DOMAIN = "rightstep:checkpoint/v1"
RESEAL_DOMAIN = "rightstep:reseal/v1"
RESEAL_TAG = "audit:chain:resealed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A tree head over the first events of the chain, signed."""

    size: int  # events that it speaks of: 1 to size
    root: str  # Merkle root over their hashes (RFC 6962), 64 hex digits
    head: str  # hash of the last of them
    at: str  # UTC, microseconds
    key_id: str  # of the key that signed
    signature: str  # Ed25519, 128 hex digits

    @property
    def name(self) -> str:
        """How a file with it is called: by size, so that they sort; by root, so that none hides another."""
        return f"{self.size:012}-{self.root[:16]}.json"


def checkpoint_message(*, size: int, root: str, head: str, at: str, key_id: str) -> bytes:
    """The bytes that are signed."""
    return signed_text(
        CHECKPOINT_DOMAIN, {"size": size, "root": root, "head": head, "at": at, "key_id": key_id}
    )


def message_of(checkpoint: Checkpoint) -> bytes:
    """The bytes that a checkpoint's signature must be of."""
    return checkpoint_message(
        size=checkpoint.size,
        root=checkpoint.root,
        head=checkpoint.head,
        at=checkpoint.at,
        key_id=checkpoint.key_id,
    )


def signed_text(domain: str, facts: dict[str, object]) -> bytes:
    """Facts as a key signs them: a domain tag, so that no signature passes for one of another kind."""
    return f"{domain}\n{canonical_json(facts)}".encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reseal:
    """A backup that was restored, said in the chain itself and signed by the house."""

    seq: int  # of the event that says so; 0 before it is chained
    at: str
    actor: str
    reason: str
    old_head: tuple[int, str]  # size and hash of the head that was lost
    new_head: tuple[int, str]  # size and hash of the head that the backup ends in
    abandoned: tuple[tuple[int, str], ...]  # size and root of every checkpoint that went with it
    key_id: str
    signature: str


def reseal_facts(reseal: Reseal) -> dict[str, object]:
    """What a reseal says, as its event carries it and the house signs it; signature and place apart."""
    return {
        "reason": reseal.reason,
        "old_head": list(reseal.old_head),
        "new_head": list(reseal.new_head),
        "abandoned": [list(one) for one in reseal.abandoned],
        "key_id": reseal.key_id,
    }


def reseal_message(reseal: Reseal) -> bytes:
    """The bytes that the house signs over a reseal."""
    return signed_text(RESEAL_DOMAIN, reseal_facts(reseal))
