"""The in-toto Statement v1: which files something is said about, and what is said. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from policy.canonical import canonical_json
from policy.errors import FormatFault

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
SHA256 = re.compile(r"[0-9a-f]{64}")


def make_statement(
    subjects: Iterable[tuple[str, str]], predicate_type: str, predicate: Mapping[str, Any]
) -> bytes:
    """The canonical bytes of a statement about files, given as (name, sha256).

    No file, one name twice, or a digest that is none is a FormatFault: a statement about
    nothing would vouch for anything.
    """
    named = sorted(subjects)
    names = [name for name, _ in named]
    if not named or len(set(names)) != len(names) or not all(SHA256.fullmatch(sha256) for _, sha256 in named):
        raise FormatFault(
            "A statement needs files, each named once and by its sha256.", "Name what it is about."
        )
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in named],
            "predicateType": predicate_type,
            "predicate": dict(predicate),
        }
    ).encode()
