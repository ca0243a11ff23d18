"""Content credentials hold for the bytes they were made for, and for no others."""

import io
import struct
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from cryptography import x509
from PIL import Image

from policy.errors import FormatFault, IntegrityFault, WrongUse
from registry.evidence.certificates import LEAF_DAYS, RENEW_DAYS, SigningChain, load_chain, own_chain
from registry.evidence.credentials import CredentialSigner, MadeWith, read_credentials

NOW = datetime.now(UTC)
PIXELS = np.random.default_rng(7).integers(0, 255, (48, 64, 3), np.uint8)
MADE = MadeWith(
    title="fox.png",
    shot_key="a" * 64,
    stack_id="b" * 64,
    artefact_sha256="c" * 64,
    models=(("rightstep/emoji-64", "1" * 40, "d" * 64),),
    version="0.1.0",
)
KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


def picture(media_type: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format=KINDS[media_type])
    return buffer.getvalue()


def box(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def clip() -> bytes:
    """The smallest MP4: a header, an empty movie, and some bytes that stand for its frames."""
    return box(b"ftyp", b"isom\0\0\2\0isomiso2mp41") + box(b"moov") + box(b"mdat", bytes(range(256)) * 8)


def body_of(media_type: str) -> bytes:
    return clip() if media_type == "video/mp4" else picture(media_type)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> SigningChain:
    return own_chain(tmp_path_factory.mktemp("keys"), "Small Studio", NOW)


@pytest.mark.parametrize("media_type", [*KINDS, "video/mp4"])
def test_a_reader_trusts_what_was_signed_and_notices_one_changed_byte(chain, media_type):
    signed = CredentialSigner(chain).sign(body_of(media_type), media_type, MADE)
    found = read_credentials(signed, media_type, chain.anchor)
    assert found is not None
    assert (found.state, found.problems, found.issuer) == ("Trusted", (), "Small Studio")
    assert found.made_with["shot_key"] == MADE.shot_key
    assert found.made_with["models"] == [
        {"repo": "rightstep/emoji-64", "revision": "1" * 40, "pin_id": "d" * 64}
    ]
    changed = bytearray(signed)
    changed[-20] ^= 1
    again = read_credentials(bytes(changed), media_type, chain.anchor)
    assert again is not None
    assert again.state == "Invalid"
    assert again.problems


def test_one_changed_pixel_makes_them_invalid(chain):
    """The file is written anew around the same manifest, with one pixel one level brighter."""
    plain = picture("image/png")
    signed = CredentialSigner(chain).sign(plain, "image/png", MADE)
    brighter = PIXELS.copy()
    brighter[20, 20, 0] ^= 1
    buffer = io.BytesIO()
    Image.fromarray(brighter).save(buffer, format="PNG")
    start = signed.index(b"caBX") - 4
    length = struct.unpack_from(">I", signed, start)[0] + 12
    other = buffer.getvalue()
    at = 8 + 25  # after the signature and IHDR, where the manifest stood
    forged = other[:at] + signed[start : start + length] + other[at:]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(forged))), brighter)
    found = read_credentials(forged, "image/png", chain.anchor)
    assert found is not None
    assert found.state == "Invalid"
    assert "assertion.dataHash.mismatch" in found.problems


def test_signing_changes_no_pixel_and_keeps_what_the_file_says(chain):
    signed = CredentialSigner(chain).sign(picture("image/png"), "image/png", MADE)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(signed))), PIXELS)


def test_without_our_root_the_credentials_are_valid_and_not_trusted(chain, tmp_path):
    signed = CredentialSigner(chain).sign(picture("image/png"), "image/png", MADE)
    stranger = own_chain(tmp_path, "Somebody else", NOW)
    assert read_credentials(signed, "image/png").state == "Valid"
    found = read_credentials(signed, "image/png", stranger.anchor)
    assert found.state != "Trusted"
    assert "signingCredential.untrusted" in found.problems


def test_what_carries_credentials_already_is_not_signed_over(chain):
    signer = CredentialSigner(chain)
    signed = signer.sign(picture("image/png"), "image/png", MADE)
    with pytest.raises(IntegrityFault, match=r"fox\.png carries content credentials already"):
        signer.sign(signed, "image/png", MADE)


def test_a_file_without_credentials_has_none():
    assert read_credentials(picture("image/png"), "image/png") is None


def test_webm_has_no_place_for_credentials(chain):
    with pytest.raises(WrongUse, match="video/webm cannot carry"):
        CredentialSigner(chain).sign(b"\x1a\x45\xdf\xa3", "video/webm", MADE)


def test_what_is_no_picture_cannot_be_signed_as_one(chain):
    with pytest.raises(FormatFault, match="cannot be signed"):
        CredentialSigner(chain).sign(b"no picture", "image/png", MADE)


# The chain


def test_the_own_chain_is_made_once_and_only_its_owner_reads_the_keys(tmp_path):
    first = own_chain(tmp_path, "Small Studio", NOW)
    assert own_chain(tmp_path, "Small Studio", NOW) == first
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")} == {
        "credentials.key": 0o600,
        "credentials-root.key": 0o600,
    }
    assert b"PRIVATE" not in repr(first).encode()


def test_a_leaf_is_renewed_before_it_ends_under_the_same_root(tmp_path):
    first = own_chain(tmp_path, "", NOW)
    later = own_chain(tmp_path, "", NOW + timedelta(days=LEAF_DAYS - RENEW_DAYS + 1))
    assert later.leaf != first.leaf
    assert later.anchor == first.anchor


def test_the_leaf_has_the_profile_that_readers_ask_for(chain):
    leaf = chain.leaf
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [one.dotted_string for one in purposes] == ["1.3.6.1.5.5.7.3.4"]
    assert leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)


def test_a_key_that_others_may_read_is_refused(tmp_path):
    own_chain(tmp_path, "", NOW)
    (tmp_path / "credentials.key").chmod(0o644)
    with pytest.raises(FormatFault, match="Others may read"):
        load_chain(tmp_path / "credentials.pem", tmp_path / "credentials.key")


def test_a_key_of_another_certificate_is_refused(tmp_path):
    own_chain(tmp_path, "", NOW)
    with pytest.raises(FormatFault, match="is not the key of the first certificate"):
        load_chain(tmp_path / "credentials.pem", tmp_path / "credentials-root.key")
