"""Canonical JSON and domain-separated digests: the one way anything here is hashed.

Canonical form: keys sorted by code point, strings in Unicode NFC, no insignificant
white space, non-integers as decimal strings (a float has no portable text form), dates
and times in ISO 8601 with times in UTC. Every digest starts with a domain tag and a
version, so that two kinds of value never collide and a changed format never passes for
the old one.
"""

import hashlib
import json
import math
import unicodedata
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any


def decimal_text(number: float | Decimal) -> str:
    """The shortest plain decimal that reads back as the same number: 7.5, 1, 0.00085."""
    exact = number if isinstance(number, Decimal) else Decimal(repr(float(number)))
    if not exact.is_finite():
        raise ValueError(f"{number} has no canonical form: only finite numbers do.")
    text = format(exact, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def canonical_value(value: Any) -> Any:
    """Reduce a value to dicts, lists, strings, integers, booleans and null, in canonical form."""
    kind = type(value)  # exact types first: nearly everything that is hashed is text in mappings and lists
    if kind is str:
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if kind is dict:
        return _canonical_mapping(value)
    if kind in _PLAIN:
        return value
    if kind is tuple or kind is list:
        return [canonical_value(item) for item in value]
    return _less_common(value)


_PLAIN = frozenset({int, bool, type(None)})


def _less_common(value: Any) -> Any:
    """Numbers, times, enumerations and dataclasses; and subclasses of the common types."""
    if isinstance(value, Enum):
        return canonical_value(value.value)
    if isinstance(value, (float, Decimal)):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no canonical form: only finite numbers do.")
        return decimal_text(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("A time without a zone has no canonical form.")
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return canonical_value(str(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, dict):
        return _canonical_mapping(value)
    if isinstance(value, (tuple, list)):
        return [canonical_value(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: canonical_value(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no canonical form.")


def _canonical_mapping(mapping: dict[Any, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, item in mapping.items():
        if not isinstance(key, str):
            raise TypeError(f"Canonical keys are strings, not {type(key).__name__}.")
        normal = key if key.isascii() and type(key) is str else canonical_value(key)
        if normal in result:
            raise ValueError(f"Two keys become {normal!r} in canonical form.")
        result[normal] = canonical_value(item)
    return result


def canonical_json(value: Any) -> str:
    """The canonical text of a value."""
    return json.dumps(
        canonical_value(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )


def digest_text(domain: str, text: str, version: int = 1) -> str:
    """sha256 hex of already canonical text under a domain tag."""
    return hashlib.sha256(f"rightstep:{domain}/v{version}\n{text}".encode()).hexdigest()


def digest(domain: str, value: Any, version: int = 1) -> str:
    """sha256 hex of the canonical form of a value under a domain tag and format version."""
    return digest_text(domain, canonical_json(value), version)
