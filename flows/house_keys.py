"""The keys of the house: one that signs statements, and the chain that signs content credentials."""

import os
from pathlib import Path

from flows.bootstrap import House, now_utc
from flows.identities import house_signatory
from policy.errors import WrongUse
from registry.evidence.certificates import SigningChain, load_chain, own_chain
from registry.evidence.keys import SigningKey


def house_key(house: House) -> SigningKey:
    """The key of the house's identity, made the first time; its public half lies beside it for recipients."""
    key = house_signatory(house).key
    public = house.settings.key_file(house.settings.house_key).with_suffix(".pub")
    if not public.exists():
        _write_public(public, key.public)
    return key


def credential_chain(house: House) -> SigningChain:
    """The configured certificate chain, or the house's own."""
    chain, key = house.settings.credentials_chain, house.settings.credentials_key
    if chain is not None and key is not None:
        return load_chain(chain, key)
    if chain is not None or key is not None:
        raise WrongUse(
            "A certificate chain and its key are set together.",
            "Set RIGHTSTEP_CREDENTIALS_CHAIN and RIGHTSTEP_CREDENTIALS_KEY, or neither.",
        )
    return own_chain(house.settings.keys, house.settings.organisation, now_utc())  # as every reader counts


def _write_public(path: Path, public: bytes) -> None:
    """The 32 bytes as hex, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft.write_text(f"{public.hex()}\n", encoding="ascii")
    draft.replace(path)
