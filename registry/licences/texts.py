"""Licence texts as identities: a licence is its words, not its name or its line breaks.

Two digests name a text. The whole one covers every word. The core one leaves out copyright
lines and bare titles, which differ from copy to copy of one licence; a line counts as such
only when it names an owner and says nothing else, so that no rider can hide in it.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping

UNKNOWN_PREFIX = "unknown:"
LONGEST_COPYRIGHT_LINE = 160

_COPYRIGHT = re.compile(
    r"^(portions )?(copyright:?\s+)?(\(c\)|©|\d{4}[\d,-]*|\[yyyy\])\s.+$"
    r"|^all rights reserved\.?$",
    re.IGNORECASE,
)
_BARE_TITLE = re.compile(r"^(the )?(mit|expat|apache) licen[cs]e( \(mit\))?\.?$", re.IGNORECASE)
_GRANTS_OR_FORBIDS = re.compile(
    r"\b(only|not?|non|commercial|research|academic|except|unless|subject|restrict\w*|prohibit\w*|permi\w*|must|"
    r"may|shall|under|licen[cs]e\w*|agree\w*|terms?|use\w*)\b",
    re.IGNORECASE,
)


def normalised(text: bytes | str) -> str:
    """The words alone: NFKC, no byte order mark, white space collapsed, lower case."""
    plain = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text
    return " ".join(unicodedata.normalize("NFKC", plain.replace("\ufeff", "")).lower().split())


def normalised_sha256(text: bytes | str) -> str:
    """sha256 hex of the normalised text: what identifies a licence."""
    return _sha256(normalised(text))


def core_sha256(text: bytes | str) -> str:
    """sha256 hex of the normalised text without its copyright lines and bare titles."""
    plain = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text
    return _sha256(normalised("\n".join(line for line in plain.splitlines() if not _names_an_owner(line))))


def text_digests(text: bytes | str) -> str:
    """Both digests of a text, the whole one first, separated by a space: what a licence-file claim says."""
    return f"{normalised_sha256(text)} {core_sha256(text)}"


def licence_of(digests: str, text_ids: Mapping[str, str]) -> str:
    """The licence that ``text_digests`` names, or an ``unknown:`` id that no term file ever has."""
    found = (text_ids[digest] for digest in digests.split() if digest in text_ids)
    return next(found, UNKNOWN_PREFIX + digests[:12])


def _names_an_owner(line: str) -> bool:
    stripped = line.replace("\ufeff", "").strip()
    if _BARE_TITLE.match(stripped):
        return True
    if len(stripped) > LONGEST_COPYRIGHT_LINE or not _COPYRIGHT.match(stripped):
        return False
    return not _GRANTS_OR_FORBIDS.search(stripped)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
