"""Ed25519 keys: kept for their owner alone, and checked against the vectors of RFC 8032."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policy.errors import FormatFault, WrongUse
from registry.evidence.keys import SigningKey, is_signed, key_id_of, load_key, make_key, save_key

# RFC 8032, section 7.1, tests 1 to 3: secret, public, message, signature.
VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
)


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_signatures_are_those_of_the_standard(secret, public, message, signature):
    key = SigningKey(private=Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)))
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert is_signed(key.public, bytes.fromhex(message), bytes.fromhex(signature))


def test_a_signature_holds_for_its_key_and_message_alone():
    key, other = make_key(), make_key()
    signature = key.sign(b"told")
    assert is_signed(key.public, b"told", signature)
    assert not is_signed(key.public, b"tolt", signature)
    assert not is_signed(other.public, b"told", signature)
    assert not is_signed(key.public, b"told", signature[:-1])
    assert not is_signed(b"short", b"told", signature)


def test_a_kept_key_is_the_same_and_only_its_owner_reads_it(tmp_path):
    key, path = make_key(), tmp_path / "keys" / "house.pem"
    save_key(path, key)
    assert load_key(path).key_id == key.key_id == key_id_of(key.public)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    with pytest.raises(WrongUse, match="already"):
        save_key(path, make_key())
    assert load_key(path).key_id == key.key_id


def test_a_key_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "house.pem"
    save_key(path, make_key())
    path.chmod(0o644)
    with pytest.raises(FormatFault, match="Others may read"):
        load_key(path)


@pytest.mark.parametrize("text", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_torn_key_is_refused(tmp_path, text):
    path = tmp_path / "house.pem"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(FormatFault, match="no private key"):
        load_key(path)


def test_the_private_half_is_never_shown():
    assert "private" not in repr(make_key())
