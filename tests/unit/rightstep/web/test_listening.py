"""Without keys only this machine may ask, and nothing listens beyond it."""

from dataclasses import replace

import pytest

from rightstep.web.listening import Caller, note_for, refuse_bind, refuse_keyless

NEAR = Caller(address="127.0.0.1", host="127.0.0.1:8080", origin=None, fetch_site=None, is_forwarded=False)
LOOPBACK = ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
ELSEWHERE = [
    "0.0.0.0",
    "::",
    "192.0.2.7",
    "::ffff:192.0.2.7",
    "studio.example",
    "localhost.example",
    "",
    "127.0.0.1.example",
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_without_a_key_this_machine_may_be_listened_at_and_is_told_so(host: str):
    assert refuse_bind(host, has_keys=False) is None
    assert "without keys" in note_for(host, has_keys=False)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_without_a_key_nothing_listens_beyond_this_machine(host: str):
    refusal = refuse_bind(host, has_keys=False)
    assert refusal is not None
    assert "key" in refusal.next_step


@pytest.mark.parametrize("host", [*LOOPBACK, *ELSEWHERE])
def test_with_a_key_it_may_listen_anywhere(host: str):
    assert refuse_bind(host, has_keys=True) is None
    assert "needs a key" in note_for(host, has_keys=True)


@pytest.mark.parametrize(
    "caller",
    [
        NEAR,
        replace(NEAR, address="::1", host="[::1]:8080"),
        replace(NEAR, host="localhost"),
        replace(NEAR, fetch_site="none"),
        replace(NEAR, origin="http://localhost:8080", fetch_site="same-origin"),
    ],
)
def test_somebody_at_this_machine_is_let_in(caller: Caller):
    assert refuse_keyless(caller) == ""


@pytest.mark.parametrize(
    "caller",
    [
        replace(NEAR, address=""),
        replace(NEAR, address="192.0.2.7"),
        replace(NEAR, is_forwarded=True),
        replace(NEAR, host=""),
        replace(NEAR, host="studio.example"),
        replace(NEAR, host="[::1"),
        replace(NEAR, host="127.0.0.1@studio.example"),
        replace(NEAR, origin="null"),
        replace(NEAR, origin=""),
        replace(NEAR, origin="https://studio.example"),
        replace(NEAR, fetch_site="cross-site"),
        replace(NEAR, fetch_site="same-site"),
        replace(NEAR, origin="http://localhost", fetch_site="cross-site"),
    ],
)
def test_somebody_elsewhere_or_somebody_elses_page_is_not(caller: Caller):
    assert refuse_keyless(caller)
