"""What an approver signs over who concludes something: all of it, and under a domain of its own."""

from datetime import date, timedelta
from typing import Any

import pytest

from policy.approvals import Evidence, Signer
from policy.conclusions import (
    DRIFT_DOMAIN,
    LICENCE_DOMAIN,
    drift_conclusion_message,
    licence_conclusion_message,
)
from tests.factories import NOW, make_model_pin

BEN = Signer(name="ben", key_id="a" * 64)
LICENCE: dict[str, Any] = {
    "licences": ("mit",),
    "scope": "",
    "reason": "Asked.",
    "evidence": (Evidence(name="mail.txt", sha256="b" * 64),),
    "signer": BEN,
    "concluded_at": NOW,
    "valid_until": None,
}
DRIFT: dict[str, Any] = {"because": "The same words.", "signer": BEN, "concluded_at": NOW}


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("licences", ("mit", "apache-2.0")),
        ("scope", "*.safetensors"),
        ("reason", "Guessed."),
        ("evidence", (Evidence(name="mail.txt", sha256="c" * 64),)),
        ("signer", Signer(name="zoe", key_id=BEN.key_id)),
        ("signer", Signer(name="ben", key_id="d" * 64)),
        ("concluded_at", NOW + timedelta(seconds=1)),
        ("valid_until", date(2026, 12, 31)),
    ],
)
def test_every_part_of_a_licence_conclusion_is_signed(field: str, other: object):
    pin = make_model_pin()
    signed = licence_conclusion_message(pin, **LICENCE)
    assert signed != licence_conclusion_message(pin, **(LICENCE | {field: other}))
    assert signed != licence_conclusion_message(make_model_pin(revision="b" * 40), **LICENCE)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("because", "Why not."),
        ("signer", Signer(name="zoe", key_id=BEN.key_id)),
        ("concluded_at", NOW + timedelta(seconds=1)),
    ],
)
def test_every_part_of_a_drift_conclusion_is_signed(field: str, other: object):
    signed = drift_conclusion_message({"kind": "bytes"}, **DRIFT)
    assert signed != drift_conclusion_message({"kind": "bytes"}, **(DRIFT | {field: other}))
    assert signed != drift_conclusion_message({"kind": "gate"}, **DRIFT)


def test_neither_passes_for_the_other():
    assert licence_conclusion_message(make_model_pin(), **LICENCE).startswith(f"{LICENCE_DOMAIN}\n".encode())
    assert drift_conclusion_message({}, **DRIFT).startswith(f"{DRIFT_DOMAIN}\n".encode())
    assert LICENCE_DOMAIN != DRIFT_DOMAIN
