from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from policy.canonical import canonical_json, decimal_text, digest, digest_text
from policy.tiers import ServiceTier
from tests.factories import make_file_pin


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7.5, "7.5"),
        (1.0, "1"),
        (100.0, "100"),
        (0.00085, "0.00085"),
        (-0.0, "0"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (Decimal("2.50"), "2.5"),
        (3, "3"),
    ],
)
def test_a_number_has_one_plain_decimal_text(value, text):
    assert decimal_text(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN")])
def test_what_is_not_finite_has_no_text(value):
    with pytest.raises(ValueError, match="only finite numbers"):
        decimal_text(value)
    with pytest.raises(ValueError, match="only finite numbers"):
        canonical_json(value)


def test_canonical_json_is_sorted_tight_and_keeps_kinds_apart():
    value = {"b": [1, True, None, 0.5], "a": ServiceTier.BATCH, "c": Decimal("1.0")}
    assert canonical_json(value) == '{"a":"batch","b":[1,true,null,"0.5"],"c":"1"}'


def test_times_are_told_in_utc_and_dates_as_they_are():
    summer = datetime(2026, 7, 1, 8, 0, tzinfo=timezone(timedelta(hours=2)))
    assert canonical_json([summer, date(2026, 7, 1)]) == '["2026-07-01T06:00:00.000000Z","2026-07-01"]'
    assert canonical_json(summer) == canonical_json(summer.astimezone(UTC))


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="zone"):
        canonical_json(datetime(2026, 7, 1, 8, 0))  # noqa: DTZ001 - the point of the test


def test_a_dataclass_is_written_by_its_fields():
    pin = make_file_pin("a.txt", sha256="00", size=3)
    assert canonical_json(pin) == '{"path":"a.txt","sha256":"00","size":3}'


@pytest.mark.parametrize("value", [{1: "x"}, object(), {"set"}, bytes(2), int])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(TypeError):
        canonical_json(value)


def test_two_keys_that_become_one_are_refused():
    with pytest.raises(ValueError, match="Two keys"):
        canonical_json({"é": 1, "e\u0301": 2})


def test_a_digest_belongs_to_its_domain_and_version():
    digests = {digest("plan", [1]), digest("shot-key", [1]), digest("plan", [1], version=2)}
    assert len(digests) == 3
    assert digest("plan", [1]) == digest_text("plan", "[1]")


def test_a_digest_never_changes_between_releases():
    assert digest("plan", {"steps": 40, "guidance": 7.5}) == (
        "3bf01bd97e9e91fe02353e2d51e777aa94d6c1d19b3dc35363d59c57b13c58bc"
    )
