"""Laws of canonical JSON: one value has one text, and two different values never share a digest's input."""

import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.canonical import canonical_json, canonical_value, decimal_text, digest

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


def has_one_text(value: Any) -> bool:
    try:
        canonical_json(value)
    except ValueError:  # two keys that are the same word in Unicode
        return False
    return True


@given(VALUES.filter(has_one_text))
def test_canonical_text_is_a_fixed_point(value: Any) -> None:
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@given(st.dictionaries(st.text(alphabet="abcdef", min_size=1, max_size=3), st.integers(), max_size=6))
def test_the_order_of_keys_does_not_matter(table: dict[str, int]) -> None:
    backwards = dict(reversed(list(table.items())))
    assert canonical_json(table) == canonical_json(backwards)


@given(FINITE)
def test_a_float_reads_back_as_itself_from_a_plain_decimal(number: float) -> None:
    text = decimal_text(number)
    assert float(text) == number
    assert "e" not in text.lower()


@given(st.text(max_size=12))
def test_the_spelling_of_an_accent_does_not_matter(word: str) -> None:
    composed, taken_apart = unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)
    assert canonical_json(composed) == canonical_json(taken_apart)


@given(st.integers(min_value=-14, max_value=14))
def test_an_instant_has_one_text_in_every_zone(hours: int) -> None:
    moment = datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert canonical_value(moment.astimezone(timezone(timedelta(hours=hours)))) == canonical_value(moment)


def test_minus_zero_is_zero() -> None:
    assert decimal_text(-0.0) == decimal_text(0.0) == "0"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), Decimal("NaN")])
def test_what_is_no_number_has_no_canonical_form(bad: float | Decimal) -> None:
    with pytest.raises(ValueError, match="finite"):
        canonical_json({"steps": bad})


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({1: "a"}, TypeError),
        ({"é": 1, "e\u0301": 2}, ValueError),
        (object(), TypeError),
        (datetime(2026, 1, 1), ValueError),  # noqa: DTZ001 - a time without a zone is what is refused
    ],
)
def test_what_has_two_readings_is_refused(bad: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        canonical_json(bad)


def test_a_domain_and_a_version_each_make_another_digest() -> None:
    assert len({digest("plan", {}), digest("stack", {}), digest("plan", {}, version=2)}) == 3
