"""Digests of what may be personal: salted, so that nobody can find a prompt by guessing it.

The salt of a job lies in the ledger beside its prompts and goes with them when they are erased; from
then on a digest in the chain, a statement or the kit says nothing about anybody.
"""

from policy.canonical import digest


def salted_digest(kind: str, salt: str, value: object) -> str:
    """sha256 hex of a value under its kind and the salt of its job; "" where there is no salt any more."""
    return digest(f"salted-{kind}", [salt, value]) if salt else ""
