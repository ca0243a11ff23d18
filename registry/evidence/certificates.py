"""The certificate chain that content credentials are signed with: one's own root, and a leaf below it.

The profile is the one that C2PA 2.x asks of a signing certificate: ECDSA on P-256, no CA,
digitalSignature, an extended key usage for e-mail protection, and both key identifiers. The
root is what a recipient trusts; without it a reader says valid, not trusted.
"""

import contextlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from policy.errors import FormatFault, StorageFault

ROOT_DAYS, LEAF_DAYS = 3650, 398
RENEW_DAYS = 30  # a leaf this close to its end is replaced
BACKDATED = timedelta(hours=1)  # clocks of readers go a little differently


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningChain:
    """A certificate chain in PEM, leaf first, and the leaf's private key, which is never shown."""

    chain: bytes
    private_key: bytes = field(repr=False)

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificates(self.chain)[0]

    @property
    def anchor(self) -> bytes:
        """The last certificate in PEM: what a recipient has to trust."""
        last = x509.load_pem_x509_certificates(self.chain)[-1]
        return last.public_bytes(serialization.Encoding.PEM)


def load_chain(chain: Path, private_key: Path) -> SigningChain:
    """A configured chain; FormatFault where a file is unreadable, no PEM, or a key that others may read."""
    try:
        text, key, mode = chain.read_bytes(), private_key.read_bytes(), private_key.stat().st_mode & 0o077
        certificates = x509.load_pem_x509_certificates(text)
        secret = serialization.load_pem_private_key(key, password=None)
    except (OSError, ValueError, TypeError) as fault:
        raise FormatFault(
            f"The certificate chain {chain} with the key {private_key} cannot be used: {fault}.",
            "Name PEM files: the chain leaf first, the key in PKCS #8 without a password.",
        ) from fault
    if mode:
        raise FormatFault(f"Others may read the key in {private_key}.", f"Run: chmod 600 {private_key}")
    if not isinstance(secret, ec.EllipticCurvePrivateKey) or not isinstance(secret.curve, ec.SECP256R1):
        raise FormatFault(f"The key in {private_key} is not on P-256.", "Content credentials use ES256.")
    if secret.public_key() != certificates[0].public_key():
        raise FormatFault(f"{private_key} is not the key of the first certificate in {chain}.", "Pair them.")
    return SigningChain(chain=text, private_key=key)


def own_chain(folder: Path, organisation: str, now: datetime) -> SigningChain:
    """The house's own chain, made the first time; the leaf is renewed before it ends, the root stays."""
    root, root_key = folder / "credentials-root.pem", folder / "credentials-root.key"
    leaf, leaf_key = folder / "credentials.pem", folder / "credentials.key"
    if not root.exists():
        certificate, secret = _make_root(organisation, now)
        _keep(root_key, _pem_of(secret), 0o600)
        _keep(root, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    if not leaf.exists() or _is_ending(leaf, now):
        issuer = load_chain(root, root_key)
        certificate, secret = _make_leaf(issuer, organisation, now)
        _keep(leaf_key, _pem_of(secret), 0o600)
        _keep(leaf, certificate.public_bytes(serialization.Encoding.PEM) + issuer.chain, 0o644)
    return load_chain(leaf, leaf_key)


def _is_ending(leaf: Path, now: datetime) -> bool:
    certificate = x509.load_pem_x509_certificates(leaf.read_bytes())[0]
    return certificate.not_valid_after_utc - now.astimezone(UTC) < timedelta(days=RENEW_DAYS)


def _make_root(organisation: str, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    secret = ec.generate_private_key(ec.SECP256R1())
    public, name = secret.public_key(), _name(organisation, "content credentials root")
    made = (
        _begun(name, name, public, now, ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return made.sign(secret, hashes.SHA256()), secret


def _make_leaf(
    issuer: SigningChain, organisation: str, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    above = issuer.leaf
    above_key = serialization.load_pem_private_key(issuer.private_key, password=None)
    if not isinstance(above_key, ec.EllipticCurvePrivateKey):
        raise FormatFault("The root's key is no EC key.", "Move the chain away; a new one is made.")
    secret = ec.generate_private_key(ec.SECP256R1())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(above_key.public_key())
    made = (
        _begun(_name(organisation, "content credentials"), above.subject, secret.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(authority, critical=False)
    )
    return made.sign(above_key, hashes.SHA256()), secret


def _begun(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(organisation: str, purpose: str) -> x509.Name:
    whose = organisation or "Rightstep house"
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, whose[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, purpose),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem_of(secret: ec.EllipticCurvePrivateKey) -> bytes:
    return secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _keep(path: Path, body: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by others for a moment."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as fault:
        raise StorageFault(f"{path} cannot be kept: {fault.strerror}.", "Make room there.") from fault
