"""``rightstep licence evaluate`` and ``whatif``, as a person or a pipeline calls them."""

import json

import pytest

from rightstep.cli.output import ExitCode

PINNED = "a1" * 20
FREE = f"""
stack: [{{role: base, repo: lab/free, revision: {PINNED}, licence_texts: [apache-2.0]}}]
use: {{act: ship_output_commercial, org: {{}}, territories: [US], on: 2026-11-23}}
"""
CAPPED = f"""
stack: [{{role: base, repo: stabilityai/stable-diffusion-3.5-medium, revision: {PINNED}, licence_texts: [sai-community-2024-07-05]}}]
use:
  act: ship_output_commercial
  org: {{annual_revenue_usd: 400000, group_revenue_usd: 400000}}
  territories: [US]
  evidence: [stability_registration]
  on: 2026-11-23
"""
UNTITLED = FREE.replace("licence_texts: [apache-2.0]", "licence_texts: []").replace(
    "ship_output_commercial", "evaluate_internal"
)


@pytest.fixture
def stack(tmp_path):
    def write(*documents: str):
        path = tmp_path / f"stack-{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text("---".join(documents))
        return path

    return write


def test_an_allowed_stack_exits_with_0_and_has_the_keys_that_were_promised(rightstep, stack):
    answer = rightstep("licence", "evaluate", stack(FREE), "--json")
    assert answer.code == ExitCode.DONE
    assert list(answer.data) == ["verdict", "reasons", "obligations", "proof"]
    assert answer.data["verdict"] == "allow"
    assert {tuple(reason) for reason in answer.data["reasons"]} == {
        ("code", "component", "licence", "clause", "detail")
    }
    assert answer.out.count("\n") == 1


def test_several_stacks_are_one_line_each_in_order_and_one_that_is_not_allowed_exits_with_1(rightstep, stack):
    answer = rightstep("licence", "evaluate", stack(FREE, UNTITLED), stack(CAPPED), "--json")
    lines = [json.loads(line) for line in answer.out.splitlines()]
    assert [line["verdict"] for line in lines] == ["allow", "needs_approval", "allow"]
    assert answer.code == ExitCode.REFUSED
    assert lines[2]["obligations"][0].keys() == {"id", "text", "when"}


def test_a_malformed_file_exits_with_2_and_nothing_is_answered_before_it(rightstep, stack):
    broken = stack(FREE.replace("role", "roel"))
    answer = rightstep("licence", "evaluate", stack(FREE), broken, "--json")
    assert answer.code == ExitCode.WRONG_USE
    assert str(broken) in answer.data["message"]
    assert '"role" is missing' in answer.data["message"]


def test_a_person_sees_the_proof_down_to_the_words(rightstep, stack):
    shown = rightstep("licence", "evaluate", stack(CAPPED.replace("400000", "1000001")))
    assert shown.code == ExitCode.REFUSED
    assert "ship_output_commercial [deny]" in shown.out
    assert "generate more than USD $1,000,000 in annual revenue" in shown.out
    explained = rightstep("licence", "explain", "cc-by-nc-4.0")
    assert "NonCommercial purposes only" in explained.out


def test_what_if_names_what_would_break_with_the_clause(rightstep, stack):
    answer = rightstep("licence", "whatif", "--revenue", "2e6", stack(CAPPED), "--json")
    assert answer.code == ExitCode.DONE
    (change,) = answer.data["changes"]
    assert (change["effect"], change["before"], change["after"]) == ("breaks", "permit", "deny")
    assert {reason["code"] for reason in change["reasons"]} == {
        "revenue_cap_exceeded",
        "paid_licence_required",
    }
    assert answer.data["judged"] > 1


def test_what_if_names_what_would_open_and_says_when_nothing_changes(rightstep, stack):
    rich = stack(CAPPED.replace("400000", "1000001"))
    opened = rightstep("licence", "whatif", "--revenue", "5e5", "--group-revenue", "5e5", rich, "--json")
    assert [change["effect"] for change in opened.data["changes"]] == ["opens"]
    same = rightstep("licence", "whatif", "--mau", "5", stack(FREE))
    assert "Nothing would change" in same.err


@pytest.mark.parametrize("words", [("--revenue", "1.5"), ("--revenue", "nan"), ("--territory", "Europe")])
def test_a_supposition_that_cannot_be_meant_is_wrong_use(rightstep, words):
    assert rightstep("licence", "whatif", *words).code == ExitCode.WRONG_USE
