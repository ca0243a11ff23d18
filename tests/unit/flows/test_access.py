"""Keys on the way through a house: made once, judged by its clock, refused where they could never be used."""

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from flows.access import create_key, key_of, list_keys, record_use, revoke_key, show_key
from flows.bootstrap import House
from policy.access import AccessCode, Scope, refuse_access
from policy.errors import WrongUse
from registry.unit_of_work import unit_of_work
from tests.unit.flows.conftest import NOW

MakeHouse = Callable[..., House]


def tags_of(house: House, subject: str) -> list[str]:
    with unit_of_work(house.engine, read_only=True) as work:
        return [one.event.tag for one in work.audit.events(subject=subject)]


def test_a_key_is_made_used_and_ended(make_house: MakeHouse):
    house = make_house()
    made = create_key(house, owner=" Ann ", scopes=["read", "ship"], per_minute=5, at_once=1)
    key = key_of(house, made.secret)
    assert key == made.key == show_key(house, made.key.key_id[:6])
    assert list_keys(house) == (made.key,)
    assert (made.key.owner, made.key.created_by, made.key.created_at) == ("Ann", "tester", NOW)
    assert refuse_access(key, Scope.SHIP, NOW) is None
    record_use(house, made.key, Scope.READ, "GET /v1/jobs")
    record_use(house, made.key, Scope.SHIP, "POST /v1/jobs/7/ship")
    revoke_key(house, made.key.key_id, "Ann left.")
    refused = refuse_access(key_of(house, made.secret), Scope.READ, NOW)
    assert refused is not None
    assert (refused.code, "Ann left." in refused.detail) == (AccessCode.KEY_REVOKED, True)
    assert tags_of(house, made.key.key_id) == ["access:key:created", "access:key:used", "access:key:revoked"]


def test_a_key_outlives_the_process_and_ends_by_the_clock_of_the_house(make_house: MakeHouse):
    until = NOW + timedelta(days=1)
    made = create_key(make_house(), owner="Ann", scopes=["read"], expires_at=until)
    assert refuse_access(key_of(make_house(), made.secret), Scope.READ, NOW) is None
    later = make_house(until)
    refused = refuse_access(key_of(later, made.secret), Scope.READ, later.clock())
    assert refused is not None
    assert refused.code is AccessCode.KEY_EXPIRED


@pytest.mark.parametrize(
    "changed",
    [
        {"owner": " "},
        {"owner": "Ann\0"},
        {"owner": "Ann\nEve"},
        {"owner": "Ann\ud800"},
        {"owner": "A" * 501},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"expires_at": NOW},
        {"per_minute": 0},
        {"per_minute": -1},
        {"per_minute": 10**30},
        {"at_once": 0},
    ],
    ids=repr,
)
def test_a_key_that_nobody_could_use_or_read_is_not_made(make_house: MakeHouse, changed: dict[str, object]):
    house = make_house()
    facts: dict[str, object] = {"owner": "Ann", "scopes": ["read"]}
    with pytest.raises(WrongUse):
        create_key(house, **{**facts, **changed})  # type: ignore[arg-type]
    assert list_keys(house) == ()


@pytest.mark.parametrize("reason", ["", " \n", "a\0b", "x" * 501])
def test_a_key_is_not_ended_without_a_readable_reason(make_house: MakeHouse, reason: str):
    house = make_house()
    made = create_key(house, owner="Ann", scopes=["read"])
    with pytest.raises(WrongUse, match="reason"):
        revoke_key(house, made.key.key_id, reason)
    assert show_key(house, made.key.key_id) == made.key


def test_a_secret_is_in_no_representation_and_no_log(make_house: MakeHouse, caplog: pytest.LogCaptureFixture):
    house = make_house()
    with caplog.at_level(logging.DEBUG):
        made = create_key(house, owner="Ann", scopes=["read"])
        key_of(house, made.secret)
        key_of(house, f"{made.secret[:-1]}!")
    own = made.secret.removeprefix(f"rs_{made.key.key_id}_")
    assert own not in repr(made)
    assert own not in caplog.text
