"""DSSE: an envelope that says what was signed as what, by which key.

The signature is over type and payload together (PAE), so that bytes signed as one kind of
document never pass for another. Protocol of secure-systems-lab/dsse, version 1; the payload
stands in standard base64, the signature is Ed25519.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from policy.errors import FormatFault, IntegrityFault
from registry.evidence.keys import SigningKey, is_signed, key_id_of

VERSION = b"DSSEv1"


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """PAE: version, then length and bytes of type and payload, separated by single spaces."""
    kind = payload_type.encode()
    return b" ".join((VERSION, str(len(kind)).encode(), kind, str(len(payload)).encode(), payload))


def seal(payload: bytes, payload_type: str, key: SigningKey) -> bytes:
    """The envelope as JSON; the same payload and key give the same bytes."""
    signature = key.sign(pre_authentication_encoding(payload_type, payload))
    envelope = {
        "payloadType": payload_type,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key.key_id, "sig": base64.b64encode(signature).decode()}],
    }
    return (json.dumps(envelope, indent=2) + "\n").encode()


def unseal(envelope: bytes, payload_type: str, public: bytes) -> bytes:
    """The payload of an envelope that this public key signed as this type.

    Text that is no envelope is a FormatFault; an envelope that the key did not sign as that
    type is an IntegrityFault, and its payload is not handed out.
    """
    try:
        found: Mapping[str, Any] = json.loads(envelope)
        kind, payload = str(found["payloadType"]), _bytes(found["payload"])
        signatures = [(one.get("keyid", ""), _bytes(one["sig"])) for one in found["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise FormatFault(
            f"This is no DSSE envelope: {fault!r}.", "Use the file as it was shipped."
        ) from fault
    if kind != payload_type:
        raise IntegrityFault(f"The envelope holds {kind}, not {payload_type}.", "Use the right file.")
    message, name = pre_authentication_encoding(kind, payload), key_id_of(public)
    if not any(key in {"", name} and is_signed(public, message, signature) for key, signature in signatures):
        raise IntegrityFault(
            f"The envelope is not signed by the key {name[:12]}.", "Ask the house for its public key."
        )
    return payload


def _bytes(text: str) -> bytes:
    """Standard base64, or the URL-safe one, as the protocol has a reader accept."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as fault:
        raise ValueError(str(fault)) from fault
