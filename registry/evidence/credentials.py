"""Content credentials (C2PA): who made a file, how and with which models, signed inside the file itself.

Signed last, because every later change of a byte breaks them, and never over credentials that
a file already has. What is asserted: made by a trained model, under which shot key and stack,
with which pinned models; never the prompt. The package is an extra: ask ``are_available`` first.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from policy.errors import FormatFault, IntegrityFault, WrongUse
from registry.evidence.certificates import SigningChain

ASSERTION = "app.rightstep.made_with"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SIGNED_TYPES = frozenset(  # WebM has no place for them
    {"image/png", "image/jpeg", "image/webp", "video/mp4", "audio/wav"}
)
TRUSTED_PURPOSES = "1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n"  # emailProtection, C2PA signing
ALGORITHM = b"es256"
NO_NETWORK: Mapping[str, Any] = {"remote_manifest_fetch": False, "ocsp_fetch": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeWith:
    """What the credentials of one file say."""

    title: str  # file name
    shot_key: str
    stack_id: str
    artefact_sha256: str  # of the file before it was signed
    models: tuple[tuple[str, str, str], ...]  # (repository, commit, pin id)
    source_type: str = SOURCE_TYPE
    version: str = ""  # of this product


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundCredentials:
    """What a reader finds in a file."""

    state: str  # "Trusted" up to the anchor, "Valid", or "Invalid"
    problems: tuple[str, ...]  # codes, such as "assertion.dataHash.mismatch"
    issuer: str
    made_with: Mapping[str, Any]  # our own assertion; empty where there is none


def are_available() -> bool:
    """Whether the extra is installed."""
    return find_spec("c2pa") is not None


class CredentialSigner:
    """Signs files with one chain; WrongUse where the extra is missing or refuses the chain."""

    __slots__ = ("_context", "_signer")

    def __init__(self, chain: SigningChain) -> None:
        library = _library()
        settings = {"builder": {"thumbnail": {"enabled": False}}, "verify": dict(NO_NETWORK)}
        try:
            self._context = library.Context(library.Settings.from_dict(settings))
            facts = library.C2paSignerInfo(ALGORITHM, chain.chain, chain.private_key, None)
            self._signer = library.Signer.from_info(facts)
        except library.C2paError as fault:
            raise WrongUse(
                f"The certificate chain cannot sign content credentials: {fault}.",
                "Its leaf needs P-256, digitalSignature and the purpose emailProtection or C2PA.",
            ) from fault

    def sign(self, body: bytes, media_type: str, made: MadeWith) -> bytes:
        """The same file with credentials inside.

        A type that cannot carry them is WrongUse; a file that has some already is an
        IntegrityFault, because what it says was said by somebody else.
        """
        library = _library()
        if media_type not in SIGNED_TYPES:
            raise WrongUse(f"{media_type} cannot carry content credentials.", "Ship it without.")
        if _has_credentials(body, media_type):
            raise IntegrityFault(
                f"{made.title} carries content credentials already.", "Ship the file that the store holds."
            )
        signed = io.BytesIO()
        try:
            builder = library.Builder(_definition(made, media_type), self._context)
            builder.sign(self._signer, media_type, io.BytesIO(body), signed)
        except library.C2paError as fault:
            raise FormatFault(f"{made.title} cannot be signed: {fault}.", "Render the shot again.") from fault
        return signed.getvalue()


def read_credentials(body: bytes, media_type: str, anchors: bytes = b"") -> FoundCredentials | None:
    """What credentials a file carries and whether they hold; None where it has none. Asks no network."""
    library = _library()
    settings: dict[str, Any] = {"verify": {**NO_NETWORK, "verify_trust": bool(anchors)}}
    if anchors:
        settings["trust"] = {"trust_anchors": anchors.decode(), "trust_config": TRUSTED_PURPOSES}
    context = library.Context(library.Settings.from_dict(settings))
    try:
        reader = library.Reader(media_type, io.BytesIO(body), context=context)
    except library.C2paError.ManifestNotFound:
        return None
    except library.C2paError as fault:
        raise FormatFault(f"The credentials cannot be read: {fault}.", "Ask for the file again.") from fault
    with reader:
        found = json.loads(reader.json())
    manifest = found["manifests"][found["active_manifest"]]
    results = found.get("validation_results", {}).get("activeManifest", {})
    return FoundCredentials(
        state=str(found["validation_state"]),
        problems=tuple(one["code"] for one in results.get("failure", ())),
        issuer=str(manifest.get("signature_info", {}).get("issuer", "")),
        made_with=next(
            (one["data"] for one in manifest.get("assertions", ()) if one["label"] == ASSERTION), {}
        ),
    )


def _has_credentials(body: bytes, media_type: str) -> bool:
    """Whether a file carries any; its bytes are searched first, which costs next to nothing."""
    return b"jumb" in body and read_credentials(body, media_type) is not None


def _definition(made: MadeWith, media_type: str) -> dict[str, Any]:
    agent = {"name": "Rightstep", "version": made.version}
    created = {"action": "c2pa.created", "digitalSourceType": made.source_type, "softwareAgent": agent}
    return {
        "claim_generator_info": [agent],
        "title": made.title,
        "format": media_type,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {
                "label": ASSERTION,
                "data": {
                    "shot_key": made.shot_key,
                    "stack_id": made.stack_id,
                    "artefact_sha256": made.artefact_sha256,
                    "models": [
                        {"repo": repo, "revision": revision, "pin_id": pin_id}
                        for repo, revision, pin_id in made.models
                    ],
                },
            },
        ],
    }


@cache
def _library() -> Any:
    """The package, imported only where something is signed or read."""
    if not are_available():
        raise WrongUse(
            "Content credentials need the extra c2pa.", "Install it with: pip install 'rightstep[c2pa]'."
        )
    import c2pa  # noqa: PLC0415 - an extra, and 50 MB of it

    return c2pa
