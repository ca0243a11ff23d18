"""Concluding, as it is typed: who may, what is refused with which next step, and what is told afterwards."""

import sqlite3
from pathlib import Path

import pytest

from rightstep.cli.output import ExitCode

STYLE = "rightstep/emoji-64-style-shapes"  # its LICENSE file is cc-by-nc-4.0
BASE = "rightstep/emoji-64"


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    path = tmp_path / "mail.txt"
    path.write_text("You may.")
    return path


def test_a_conclusion_is_signed_told_and_only_claimed_once_its_key_is_revoked(rightstep, mail: Path):
    rightstep("identity", "create", "ben", "--role", "approver")
    words = ("--licence", "cc-by-4.0", "--as", "ben", "--reason", "He wrote so.", "--evidence", mail)
    answer = rightstep("licence", "conclude", BASE, *words, "--until", "2099-12-31")
    assert answer.code == ExitCode.DONE, answer.err
    assert "ben (signed)" in answer.out
    assert "cc-by-4.0 by ben (signed), until 2099-12-31: He wrote so." in rightstep("model", "show", BASE).out
    explained = rightstep("licence", "explain", BASE, "--json").data
    (told,) = [one for one in explained["reasons"] if one["code"] == "concluded_by_a_person"]
    assert "(signed): He wrote so." in told["detail"]
    assert f"(signed): {'He wrote so.'}" in rightstep("licence", "explain", BASE).out
    rightstep("identity", "revoke", "ben", "--reason", "left")
    assert "by ben (claimed)" in rightstep("model", "show", BASE).out
    shown = rightstep("model", "show", BASE, "--json").data["conclusions"][0]
    assert (shown["is_claimed"], shown["evidence"][0]["name"]) == (True, "mail.txt")
    answer = rightstep("licence", "explain", BASE, "--json")
    assert answer.code == ExitCode.REFUSED
    (told,) = [one for one in answer.data["reasons"] if one["code"] == "conclusion_unsigned"]
    assert (told["ruling"], told["licence"]) == ("review", "cc-by-4.0")
    assert rightstep("audit", "verify").code == ExitCode.DONE


def test_a_conclusion_speaks_of_the_files_it_names_at_the_commit_it_names(rightstep, mail: Path):
    rightstep("identity", "create", "ben", "--role", "approver")
    revision = rightstep("model", "show", STYLE, "--json").data["pin"]["revision"]
    words = ("--licence", "mit", "--licence", "cc-by-4.0", "--as", "ben", "--reason", "Two parts.")
    made = rightstep(
        "licence", "conclude", f"{STYLE}@{revision}", *words,
        "--evidence", mail, "--evidence", mail, "--files", "*.safetensors", "--json",
    ).data  # fmt: skip
    assert (made["repo"], made["revision"]) == (STYLE, revision)
    assert made["conclusion"]["licences"] == ["mit", "cc-by-4.0"]
    assert (made["conclusion"]["scope"], made["conclusion"]["valid_until"]) == ("*.safetensors", None)
    explained = rightstep("licence", "explain", STYLE, "--json").data
    assert "conclusion_out_of_scope" in {one["code"] for one in explained["reasons"]}


def test_what_cannot_be_concluded_says_what_to_do(rightstep, mail: Path, tmp_path: Path):
    rightstep("identity", "create", "ben", "--role", "approver")
    rightstep("identity", "create", "ann", "--role", "requester")
    empty = tmp_path / "nothing.txt"
    given = {"--licence": "mit", "--as": "ben", "--reason": "Why.", "--evidence": mail}
    for change, told, error in (
        ({"--licence": "no-such"}, "no-such", "UnknownName"),
        ({"--as": "zoe"}, "no key of zoe", "UnknownName"),
        ({"--as": "ann"}, "no approver", "WrongUse"),
        ({"--reason": " "}, "gives its reason", "WrongUse"),
        ({"--files": "Hyper-*"}, "matches no pinned file", "WrongUse"),
        ({"--until": "2001-01-01"}, "has passed", "WrongUse"),
        ({"--until": "soon"}, "is no date", "WrongUse"),
        ({"--evidence": empty}, "cannot be read", "StorageFault"),
    ):
        words = [word for pair in (given | change).items() for word in pair]
        problem = rightstep("licence", "conclude", BASE, *words, "--json").data
        assert (problem["error"], told in problem["message"]) == (error, True), problem
        assert problem["next_step"], told
    assert rightstep("licence", "conclude", BASE, "--as", "ben").code == ExitCode.WRONG_USE
    unknown = [word for pair in given.items() for word in pair]
    assert rightstep("licence", "conclude", "org/none", *unknown, "--json").data["error"] == "UnknownName"
    assert rightstep("licence", "explain", "org/none").code == ExitCode.WRONG_USE
    assert rightstep("model", "show", BASE, "--json").data["conclusions"] == []


def test_a_row_that_was_written_past_the_command_is_only_claimed(rightstep, home: Path):
    pin = rightstep("model", "show", STYLE, "--json").data["pin"]
    before = rightstep("licence", "explain", STYLE, "--json").data
    ledger = sqlite3.connect(home / "rightstep" / "ledger.sqlite3")
    (pin_id,) = ledger.execute(
        "SELECT pin_id FROM pins WHERE repo = ? AND revision = ?", (pin["repo"], pin["revision"])
    ).fetchone()
    with ledger:
        ledger.execute(
            "INSERT INTO licence_conclusions VALUES"
            " ('c', ?, '', '[\"cc-by-4.0\"]', 'Mine.', '[]', 'ben', '2026-01-31T00:00:00.000000Z', NULL, NULL, NULL)",
            (pin_id,),
        )
    ledger.close()
    assert "cc-by-4.0 by ben (claimed): Mine." in rightstep("model", "show", STYLE).out
    after = rightstep("licence", "explain", STYLE, "--json").data
    assert (before["ruling"], after["ruling"]) == ("deny", "deny")
    assert {one["code"] for one in after["reasons"]} >= {"conclusion_unsigned", "noncommercial_licence"}


def test_an_upstream_change_is_concluded_by_an_approver(rightstep):
    rightstep("identity", "create", "ben", "--role", "approver")
    answer = rightstep("model", "conclude-drift", BASE, "--because", "The same words.", "--as", "ben")
    assert (answer.code, "Nothing is open" in answer.err) == (ExitCode.WRONG_USE, True)
    assert rightstep("model", "conclude-drift", BASE, "--because", "x", "--as", "zoe").code == (
        ExitCode.WRONG_USE
    )
