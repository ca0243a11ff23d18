"""Keys to the HTTP API, as they are typed."""

from pathlib import Path

import pytest

from rightstep.cli.output import ExitCode


def test_a_secret_is_printed_once_and_alone(rightstep, home: Path):
    made = rightstep("key", "create", "--scope", "submit,read", "--owner", "ann", "--expires", "2099-12-31")
    secret = made.out.removesuffix("\n")
    key_id = secret.split("_")[1]
    assert secret.startswith("rs_")
    assert key_id in made.err
    assert secret not in made.err
    shown = rightstep("key", "show", key_id[:6])
    listed = rightstep("key", "list")
    assert "2099-12-31 23:59" in shown.out
    assert "submit, read" in listed.out
    assert secret not in shown.out + listed.out
    kept = [path for path in (home / "rightstep").rglob("*") if path.is_file()]
    assert len(kept) > 2
    assert not [path for path in kept if secret[16:].encode() in path.read_bytes()]


def test_a_key_as_data_says_everything_and_its_secret_only_when_it_is_made(rightstep):
    words = ("--scope", "ship", "--owner", "ann", "--per-minute", "5", "--at-once", "2", "--json")
    made = rightstep("key", "create", *words).data
    assert set(made) == {"key", "secret"}
    key = made["key"]
    assert (key["owner"], key["scopes"], key["per_minute"], key["at_once"]) == ("ann", ["ship"], 5, 2)
    assert rightstep("key", "list", "--json").data == [key]
    assert rightstep("key", "show", key["key_id"], "--json").data == key
    ended = rightstep("key", "revoke", key["key_id"], "--reason", "lost", "--json").data
    assert ended["revoked_because"] == "lost"
    assert rightstep("key", "show", key["key_id"], "--json").data == ended
    assert "revoked" in rightstep("key", "list").out
    assert "lost" in rightstep("key", "show", key["key_id"]).out


@pytest.mark.parametrize(
    "words",
    [
        ("create", "--scope", "reed", "--owner", "ann"),
        ("create", "--scope", ",", "--owner", "ann"),
        ("create", "--scope", "read", "--owner", ""),
        ("create", "--scope", "read"),
        ("create", "--scope", "read", "--owner", "ann", "--expires", "2001-01-01"),
        ("create", "--scope", "read", "--owner", "ann", "--expires", "soon"),
        ("create", "--scope", "read", "--owner", "ann", "--per-minute", "0"),
        ("show", "0000"),
        ("revoke", "0000", "--reason", "lost"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_wrong_use(rightstep, words: tuple[str, ...]):
    assert rightstep("key", *words).code == ExitCode.WRONG_USE


def test_a_house_without_keys_says_how_to_make_one(rightstep):
    assert "rightstep key create" in rightstep("key", "list").err


def test_a_secret_that_is_typed_for_an_id_is_not_repeated(rightstep):
    secret = rightstep("key", "create", "--scope", "read", "--owner", "ann").out.strip()
    assert rightstep("key", "show", secret).code == ExitCode.DONE
    wrong = rightstep("key", "show", secret[:-1])
    assert wrong.code == ExitCode.WRONG_USE
    assert secret[16:30] not in wrong.out + wrong.err
