"""An envelope opens only for what was signed, as what it was signed, by who signed it."""

import base64
import json

import pytest

from policy.errors import FormatFault, IntegrityFault
from registry.evidence.dsse import pre_authentication_encoding, seal, unseal
from registry.evidence.keys import make_key

TYPE = "application/vnd.in-toto+json"


def test_the_encoding_is_the_one_of_the_protocol():
    # secure-systems-lab/dsse, protocol.md, test vectors
    assert (
        pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_are_of_bytes_so_that_no_two_documents_are_encoded_alike():
    assert pre_authentication_encoding("ü", "ö".encode()) == "DSSEv1 2 ü 2 ö".encode()
    assert pre_authentication_encoding("a 1 b", b"c") != pre_authentication_encoding("a", b"b 1 c")


def test_what_was_sealed_comes_out_and_the_same_bytes_every_time():
    key = make_key()
    envelope = seal(b"payload", TYPE, key)
    assert unseal(envelope, TYPE, key.public) == b"payload"
    assert seal(b"payload", TYPE, key) == envelope
    assert json.loads(envelope)["signatures"][0]["keyid"] == key.key_id


def test_a_payload_in_the_alphabet_of_addresses_opens_too():
    key = make_key()
    found = json.loads(seal(b"\xfb\xff\xfe", TYPE, key))
    found["payload"] = base64.urlsafe_b64encode(b"\xfb\xff\xfe").decode()
    assert unseal(json.dumps(found).encode(), TYPE, key.public) == b"\xfb\xff\xfe"


@pytest.mark.parametrize(
    ("place", "value"),
    [("payload", base64.b64encode(b"another").decode()), ("payloadType", "text/plain"), ("signatures", [])],
)
def test_a_changed_envelope_does_not_open(place, value):
    key = make_key()
    found = json.loads(seal(b"payload", TYPE, key)) | {place: value}
    with pytest.raises(IntegrityFault):
        unseal(json.dumps(found).encode(), TYPE, key.public)


def test_another_key_does_not_open_it():
    with pytest.raises(IntegrityFault, match="not signed by the key"):
        unseal(seal(b"payload", TYPE, make_key()), TYPE, make_key().public)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"payload": "?", "payloadType": "", "signatures": []}']
)
def test_what_is_no_envelope_is_a_format_fault(text):
    with pytest.raises(FormatFault, match="no DSSE envelope"):
        unseal(text, TYPE, make_key().public)
