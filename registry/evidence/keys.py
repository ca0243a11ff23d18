"""Ed25519 keys: made, kept in a file that only its owner reads, used to sign and to verify.

A key is named by the digest of its public half, so that a name cannot be claimed for
another key. The private half lives in PKCS #8 (RFC 8410), which other tools read too.
"""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from policy.errors import FormatFault, StorageFault, WrongUse

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """A key pair; the private half is never shown."""

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> bytes:
        """The 32 raw bytes of the public half."""
        return self.private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        """How statements name the key."""
        return key_id_of(self.public)

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature (RFC 8032); the same message gives the same bytes."""
        return self.private.sign(message)


def make_key() -> SigningKey:
    """A fresh key from the system's randomness."""
    return SigningKey(private=Ed25519PrivateKey.generate())


def key_id_of(public: bytes) -> str:
    """The name of a public key: sha256 of its 32 raw bytes, as 64 hex digits."""
    return hashlib.sha256(public).hexdigest()


def public_pem(public: bytes) -> str:
    """The public half as other tools read it: SubjectPublicKeyInfo in PEM (RFC 8410)."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature of a message holds under a public key of 32 raw bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def is_vouched_for(key_id: str, public: str, message: bytes, signature: str) -> bool:
    """Whether the key of this name signed a message; public half and signature as hex, as they are kept."""
    try:
        raw, signed = bytes.fromhex(public), bytes.fromhex(signature)
    except ValueError:
        return False
    return key_id_of(raw) == key_id and is_signed(raw, message, signed)


def save_key(path: Path, key: SigningKey) -> None:
    """Write a key where none is yet, for its owner's eyes; WrongUse where the file exists."""
    text = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise WrongUse(
            f"There is a key in {path} already.", "Keep it, or move it away: what it signed names it."
        ) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        path.unlink(missing_ok=True)
        raise StorageFault(f"The key cannot be kept in {path}: {fault}", "Make room there.") from fault


def load_key(path: Path) -> SigningKey:
    """The key of a file; FormatFault where it is none, or where others may read it."""
    try:
        mode, text = path.stat().st_mode & 0o077, path.read_bytes()
    except OSError as fault:
        raise FormatFault(f"The key in {path} cannot be read: {fault.strerror}.", "Make one.") from fault
    if mode:
        raise FormatFault(f"Others may read the key in {path}.", f"Run: chmod 600 {path}")
    try:
        private = serialization.load_pem_private_key(text, password=None)
    except (ValueError, TypeError) as fault:
        raise FormatFault(
            f"{path} holds no private key in PKCS #8: {fault}", "Restore it from a copy."
        ) from fault
    if not isinstance(private, Ed25519PrivateKey):
        raise FormatFault(f"The key in {path} is not an Ed25519 key.", "Make one.")
    return SigningKey(private=private)
