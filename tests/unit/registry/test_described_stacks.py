"""The stacks under ``described/``: what each verdict must be, written from the licence texts before the rules.

Left out there and filled in here: a commit, and a small organisation in the United States on a day of 2026.
"""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy.uses import IntendedUse
from policy.verdicts import Verdict
from registry.licences.case import make_case
from registry.licences.described import parse_described
from registry.licences.evaluation import evaluate, findings_of, verdict_of
from registry.licences.proof import OUTSIDE, ProofNode, prove
from tests.unit.registry.licensing import catalogue

FOLDER = Path(__file__).parent / "described"
ORGANISATION = {
    "annual_revenue_usd": 400_000,
    "group_revenue_usd": 400_000,
    "mau": 20_000,
    "monthly_visits": None,
    "domicile": "US",
    "kind": "company",
}


def cases() -> list[Any]:
    return [
        pytest.param(_typed(document), id=f"{path.stem}: {document['case']}")
        for path in sorted(FOLDER.glob("*.yaml"))
        for document in yaml.load_all(path.read_text(), Loader=yaml.BaseLoader)
    ]


def _typed(value: Any) -> Any:
    """Plain texts to what they mean; no library guesses that NO is a flag and a date a number."""
    if isinstance(value, dict):
        return {key: _typed(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    plain = {"null": None, "true": True, "false": False}
    return plain[value] if value in plain else int(value) if value.isdecimal() and len(value) < 19 else value


CASES = cases()


def described(case: dict[str, Any]) -> Any:
    stack = [{"revision": "a1" * 20} | entry for entry in case["stack"]]
    use = {"territories": ["US"], "on": date(2026, 11, 23)} | case["use"]
    use["org"] = ORGANISATION | use.get("org", {})
    return parse_described({"stack": stack, "use": use}, case["case"], catalogue().origins, IntendedUse())


def judged(case: dict[str, Any]) -> Verdict:
    asked = described(case)
    return evaluate(asked.components, asked.use, catalogue().terms, asked.circumstances)


def test_there_are_many_and_each_is_told_once():
    names = [parameter.id for parameter in CASES]
    assert len(names) >= 60
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES)
def test_a_described_stack_gets_the_verdict_that_the_texts_give(case):
    verdict = judged(case)
    told = [f"{r.ruling}: {r.code} {r.component} {r.licence} {r.clause} {r.detail}" for r in verdict.reasons]
    assert OUTSIDE[verdict.ruling] == case["expect"]["verdict"], told
    assert set(case["expect"]["reasons"]) <= {reason.code for reason in verdict.reasons}, told
    owed = {duty.id for duty in verdict.obligations}
    if "obligations_contain" in case:
        assert set(case["obligations_contain"]) <= owed
    elif "obligations" in case["expect"]:
        assert owed == set(case["expect"]["obligations"])


@pytest.mark.parametrize("case", CASES)
def test_a_proof_holds_every_reason_and_goes_down_to_the_words(case):
    asked = described(case)
    question = make_case(asked.components, asked.use, catalogue().terms, asked.circumstances)
    findings = findings_of(question)
    verdict = verdict_of(question, findings)
    proof = prove(question, findings, verdict)
    nodes = list(below(proof))
    proved = {(node.name, node.says) for node in nodes if node.kind == "reason"}
    assert proved == {
        (r.code, r.detail) for r in verdict.reasons if r.code not in {"all_clear", "no_grounds"}
    }
    for reason in verdict.against():
        if reason.licence in catalogue().terms and reason.clause:
            clauses = [node for node in nodes if node.kind == "licence" and node.name == reason.licence]
            assert any(node.kind == "clause" for licence in clauses for node in licence.because)


def below(node: ProofNode) -> list[ProofNode]:
    return [node, *(deeper for child in node.because for deeper in below(child))]
