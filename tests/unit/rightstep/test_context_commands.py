"""``rightstep licence context``, and the option that names one, as a person types them."""

from pathlib import Path

import pytest

from rightstep.cli.output import ExitCode

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(autouse=True)
def _contexts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (EXAMPLES / "contexts.toml").read_text().replace("2026-11-01", "2020-01-01")
    (tmp_path / "own.toml").write_text(text)
    monkeypatch.setenv("RIGHTSTEP_CONTEXTS", str(tmp_path / "own.toml"))
    monkeypatch.setenv("RIGHTSTEP_CONTEXT", "client-work")


def test_a_context_is_shown_with_its_day_its_age_and_what_nobody_said(rightstep):
    shown = rightstep("licence", "context")
    assert shown.code == ExitCode.DONE
    assert "client-work (the default)" in shown.out
    assert "2020-01-01 (too old" in shown.out
    answer = rightstep("licence", "context", "own-films", "--json").data
    assert (answer["context"]["said_by"], answer["outdated"]) == ("Mia Weber, finance", True)
    assert answer["names"] == ["client-work", "default", "lab", "own-films"]
    assert [one["fact"] for one in answer["unknown"]] == []


def test_an_unknown_name_is_wrong_use_with_the_nearest(rightstep):
    for words in (("licence", "context", "own-film"), ("licence", "explain", "mit", "--context", "own-film")):
        answer = rightstep(*words)
        assert answer.code == ExitCode.WRONG_USE
        assert "Did you mean own-films?" in answer.err


def test_old_facts_are_confirmed_before_a_licence_with_a_cap_is_explained_as_permitted(rightstep):
    words = ("licence", "explain", "sai-community-2024-07-05", "--json")
    codes = {reason["code"] for reason in rightstep(*words).data["reasons"]}
    assert "facts_outdated" in codes
    codes = {reason["code"] for reason in rightstep(*words, "--context", "default").data["reasons"]}
    assert ("facts_outdated" in codes, "predicate_input_missing" in codes) == (False, True)


def test_a_plan_is_made_in_the_context_that_the_command_names(rightstep):
    order = EXAMPLES / "manifests" / "draft.toml"
    uses = [
        rightstep("plan", order, "--json", *more).data["manifest"]["use"]
        for more in ((), ("--context", "lab"))
    ]
    assert [use["context"]["name"] for use in uses] == ["client-work", "lab"]
    assert [use["organisation"]["name"] for use in uses] == ["Example Services GmbH", "Example Films GmbH"]


def test_what_if_starts_from_the_context_that_is_named(rightstep):
    answer = rightstep("licence", "whatif", "--revenue", "2e6", "--context", "own-films", "--json").data
    assert (answer["context"], answer["today"]["annual_revenue_usd"]) == ("own-films", 640_000)
