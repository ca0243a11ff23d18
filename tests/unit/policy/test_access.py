"""Access: which rule turns a request away, and when a key has asked for enough."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from policy.access import (
    ACCESS_RULES,
    AccessCode,
    AccessKey,
    Scope,
    Usage,
    parse_scopes,
    refuse_access,
    without_secrets,
)
from policy.errors import WrongUse
from tests.factories import NOW, make_access_key

SECOND = timedelta(seconds=1)
KEY = make_access_key()
REVOKED = replace(KEY, revoked_at=NOW, revoked_because="lost")
SECRET = f"rs_{KEY.key_id}_{'x' * 42}-"


def code_of(
    key: AccessKey | None, needed: Scope = Scope.READ, at: datetime = NOW, **asked: bool
) -> AccessCode | None:
    refused = refuse_access(key, needed, at, **asked)
    return None if refused is None else refused.code


def test_a_key_opens_its_scopes_and_no_others():
    opened = {scope for scope in Scope if code_of(KEY, scope) is None}
    assert opened == {Scope.SUBMIT, Scope.READ}
    assert code_of(KEY, Scope.SHIP) is AccessCode.SCOPE_MISSING


def test_admin_opens_everything():
    assert {code_of(replace(KEY, scopes=(Scope.ADMIN,)), scope) for scope in Scope} == {None}


def test_no_other_scope_opens_admin():
    every_other = tuple(scope for scope in Scope if scope is not Scope.ADMIN)
    assert code_of(replace(KEY, scopes=every_other), Scope.ADMIN) is AccessCode.SCOPE_MISSING


def test_a_key_ends_at_the_very_moment_of_its_expiry():
    assert KEY.expires_at is not None
    assert code_of(KEY, at=KEY.expires_at - timedelta.resolution) is None
    assert code_of(KEY, at=KEY.expires_at) is AccessCode.KEY_EXPIRED


def test_a_key_without_an_end_lasts():
    assert code_of(replace(KEY, expires_at=None), at=NOW + timedelta(days=36_500)) is None


def test_a_revoked_key_stays_revoked_whatever_the_clock_says():
    assert {code_of(REVOKED, at=NOW + timedelta(days=days)) for days in (-9, 0, 9)} == {
        AccessCode.KEY_REVOKED
    }


def test_no_key_and_a_key_that_nobody_knows_are_told_apart():
    assert code_of(None, presented=False) is AccessCode.KEY_MISSING
    assert code_of(None) is AccessCode.KEY_UNKNOWN


def test_every_refusal_has_a_sentence_and_a_next_step():
    refusals = [
        refuse_access(None, Scope.READ, NOW, presented=False),
        refuse_access(None, Scope.READ, NOW),
        refuse_access(REVOKED, Scope.READ, NOW),
        refuse_access(KEY, Scope.READ, NOW + timedelta(days=2)),
        refuse_access(KEY, Scope.SHIP, NOW),
    ]
    told = {one.code: one for one in refusals if one is not None}
    assert set(told) == set(AccessCode)
    assert all(one.detail.endswith((".", "lost")) and one.next_step.endswith(".") for one in told.values())


def test_each_rule_objects_to_one_thing_alone():
    bad = replace(REVOKED, scopes=(Scope.SUBMIT,))
    objections = [rule(bad, Scope.READ, NOW + timedelta(days=2)) for rule in ACCESS_RULES]
    assert [one.code for one in objections if one is not None] == [
        AccessCode.KEY_REVOKED,
        AccessCode.KEY_EXPIRED,
        AccessCode.SCOPE_MISSING,
    ]


def test_scopes_are_read_once_each_in_one_order():
    assert parse_scopes(["read", " submit", "", "read"]) == (Scope.SUBMIT, Scope.READ)


@pytest.mark.parametrize("words", [["reed"], ["READ"], ["read", "*"], [], [" ", ""]])
def test_what_is_no_scope_is_wrong_use(words: list[str]):
    with pytest.raises(WrongUse, match="scope") as refused:
        parse_scopes(words)
    assert "submit, read, ship, audit, admin" in refused.value.next_step


def test_a_secret_is_blotted_out_however_badly_it_was_copied():
    for shown in (SECRET, SECRET[:-1], f"{SECRET}x"):
        assert without_secrets(f"Bearer {shown}, twice: {shown}") == (
            "Bearer rs_0123456789ab_..., twice: rs_0123456789ab_..."
        )
    assert without_secrets("rs_0123456789ab is an id") == "rs_0123456789ab is an id"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("at postgresql://app:p%40ss@db:5432/x?a=1", "at postgresql://app:...@db:5432/x?a=1"),
        ("postgresql+asyncpg://prefect:word@db/prefect", "postgresql+asyncpg://prefect:...@db/prefect"),
        ("Authorization: Basic cmlnaHRzdGVwOmFi", "Authorization: Basic ..."),
        ('{"authorization": "bearer hf_AbCdEfGh12"}', '{"authorization": "bearer ..."}'),
        (f"auth_string=rightstep:{'ab' * 32}", "auth_string=rightstep:..."),
    ],
)
def test_of_other_secrets_only_whose_they_are_is_kept(written: str, kept: str):
    assert without_secrets(written) == kept


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8750/v1/jobs?mail=a@b.example",
        "rightstep:job:done, sha256 " + "0f" * 32,
        "see https://example.org/a:b and write to ann@example.org",
        "a basic model; the bearer of a key",
    ],
)
def test_what_only_looks_like_a_secret_stays(text: str):
    assert without_secrets(text) == text


# --- how much --------------------------------------------------------------------------


def test_a_rested_key_may_send_a_minute_of_requests_and_then_waits_for_each():
    usage = Usage(per_minute=6, at_once=1)
    assert [usage.take(NOW) for _ in range(6)] == [None] * 6
    wait = usage.take(NOW)
    assert wait is not None
    assert (wait.code, wait.seconds) == ("rate_exceeded", 10)
    assert usage.take(NOW + 9 * SECOND) is not None
    assert usage.take(NOW + 10 * SECOND) is None
    assert usage.take(NOW + 10 * SECOND) is not None


def test_a_long_rest_earns_no_more_than_a_minute():
    usage = Usage(per_minute=3, at_once=1)
    for _ in range(3):
        usage.take(NOW)
    later = NOW + timedelta(days=400)
    assert [usage.take(later) is None for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_goes_backwards_fills_nothing_and_locks_nobody_out():
    usage = Usage(per_minute=2, at_once=1)
    assert (usage.take(NOW), usage.take(NOW)) == (None, None)
    before = NOW - timedelta(days=1)
    wait = usage.take(before)
    assert wait is not None
    assert wait.seconds == 30
    assert usage.take(before + 30 * SECOND) is None


def test_slots_are_given_up_to_the_limit_and_given_back():
    usage = Usage(per_minute=60, at_once=2)
    assert (usage.enter(), usage.enter()) == (None, None)
    wait = usage.enter()
    assert wait is not None
    assert (wait.code, wait.seconds, usage.under_way) == ("too_many_at_once", 1, 2)
    usage.leave()
    assert usage.enter() is None


def test_a_slot_that_nobody_took_is_not_given_back():
    usage = Usage(per_minute=60, at_once=1)
    with pytest.raises(ValueError, match="No slot"):
        usage.leave()
