"""Whatever goes wrong becomes words, an exit code and, where asked, data; never a traceback."""

import json
from pathlib import Path

import pytest

from policy import errors
from policy.errors import ManifestRejected, Refused, RightstepError, UnknownName
from rightstep.cli.edge import ERRORS, report_crash, report_error
from rightstep.cli.output import ExitCode
from tests.factories import make_denial


def every_error() -> list[type[RightstepError]]:
    found = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RightstepError)
    ]
    return [kind for kind in found if kind is not RightstepError]


@pytest.mark.parametrize("kind", every_error())
def test_every_error_has_a_title_of_its_own_and_its_next_step(kind, capsys: pytest.CaptureFixture[str]):
    code = report_error(kind("This went wrong.", "Do that."), as_json=False)
    said = capsys.readouterr()
    assert code in set(ExitCode)
    assert said.out == ""
    assert "This went wrong." in said.err
    assert "Next: Do that." in said.err
    assert "That did not work" not in said.err, f"{kind.__name__} needs a line in ERRORS"


@pytest.mark.parametrize(
    ("kind", "code"),
    [(Refused, 1), (ManifestRejected, 2), (UnknownName, 2), (errors.WrongUse, 2), (errors.LedgerFault, 3)],
)
def test_the_exit_code_says_whose_turn_it_is(kind, code: int):
    assert report_error(kind("No."), as_json=False) == code


def test_the_most_general_error_stands_last():
    assert ERRORS[-1][0] is RightstepError


def test_a_refusal_names_every_reason_with_its_clause(capsys: pytest.CaptureFixture[str]):
    refusal = Refused("No.", "Ask for another use.", make_denial())
    assert report_error(refusal, as_json=True) == ExitCode.REFUSED
    said = capsys.readouterr()
    assert "CC-BY-NC-4.0 does not permit commercial use." in said.err
    assert "clause 2(a)(1)" in said.err
    facts = json.loads(said.out)
    assert facts["refused"] is True
    assert [reason["code"] for reason in facts["reasons"]] == ["noncommercial_licence"]
    assert facts["remedies"] == ["Ask for another use."]


def test_an_error_asked_as_json_is_one_document(capsys: pytest.CaptureFixture[str]):
    report_error(UnknownName('There is no job "7".', "Did you mean 17?"), as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["error"] == "UnknownName"
    assert facts["exit_code"] == 2
    assert facts["refused"] is False


def test_a_defect_leaves_its_story_in_a_file_and_no_traceback_on_the_screen(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(KeyError) as broken:
        {}["nothing"]
    assert report_crash(broken.value, ["job", "list"], as_json=False) == ExitCode.BROKEN
    said = capsys.readouterr().err
    assert "Traceback" not in said
    (kept,) = (home / "rightstep" / "logs").glob("crash-*.log")
    assert str(kept) in said.replace("\n", "")
    story = kept.read_text()
    assert "rightstep job list" in story
    assert "Traceback" in story


def test_the_story_of_a_defect_holds_no_secret_of_a_key(home: Path):
    secret = f"rs_0123456789ab_{'x' * 43}"
    report_crash(KeyError(secret), ["key", "show", secret], as_json=False)
    (kept,) = (home / "rightstep" / "logs").glob("crash-*.log")
    assert "xxx" not in kept.read_text()
    assert "rightstep key show rs_0123456789ab_..." in kept.read_text()


def test_a_defect_is_told_even_where_no_file_can_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RIGHTSTEP_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    assert report_crash(KeyError("nothing"), [], as_json=False) == ExitCode.BROKEN
    assert "KeyError" in capsys.readouterr().err


def test_words_that_look_like_markup_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]):
    report_error(UnknownName("There is no [bold red]model[/] here."), as_json=False)
    assert "[bold red]model[/]" in capsys.readouterr().err
