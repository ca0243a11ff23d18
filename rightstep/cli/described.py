"""``rightstep licence evaluate`` and ``whatif``: verdicts on stacks that are described, and on another day's figures."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.uses import Act, IntendedUse
from rightstep.cli.door import enter_house, now, read_settings
from rightstep.cli.options import AsJson
from rightstep.cli.output import ExitCode, jsonable, print_data, print_json, print_table
from rightstep.cli.shapes import EvaluatedStack, ToldObligation, ToldReason

if TYPE_CHECKING:
    from registry.licences.described import DescribedStack
    from registry.licences.identity import TermsById
    from registry.licences.proof import ProofNode

Stacks = Annotated[
    list[Path],
    typer.Argument(
        metavar="STACK.yaml...",
        help="Described stacks: YAML files of one or several documents.",
        show_default=False,
    ),
]


def evaluate_stacks(stacks: Stacks, *, as_json: AsJson = False) -> None:
    """Say whether described stacks may be used as they say: verdict, every reason, obligations, proof.

    With --json, one JSON object a line, in order. Exits with 1 unless every one is allowed,
    with 2 where a file is malformed. An organisation that a file does not speak of is the
    one of the settings; a figure that it leaves out is not known.
    """
    from registry.catalogue import load_catalogue
    from registry.described_files import load_described

    settings = read_settings()
    catalogue = load_catalogue(settings.catalogue)
    assumed = IntendedUse(organisation=settings.organisation_facts, on=now().date())
    asked = load_described(stacks, catalogue.origins, assumed)
    answers = [_answer(one, catalogue.terms) for one in asked]
    for number, answer in enumerate(answers):
        if as_json:
            sys.stdout.write(json.dumps(jsonable(answer), ensure_ascii=False, allow_nan=False) + "\n")
        else:
            _show(answer, first=number == 0)
    if any(answer.verdict != "allow" for answer in answers):
        raise typer.Exit(ExitCode.REFUSED)


def _answer(asked: "DescribedStack", terms: "TermsById") -> EvaluatedStack:
    from registry.licences.case import make_case
    from registry.licences.evaluation import findings_of, verdict_of
    from registry.licences.proof import OUTSIDE, prove

    case = make_case(asked.components, asked.use, terms, asked.circumstances)
    findings = findings_of(case)
    verdict = verdict_of(case, findings)
    return EvaluatedStack(
        verdict=OUTSIDE[verdict.ruling],
        reasons=tuple(
            ToldReason(
                code=reason.code,
                component=reason.component,
                licence=reason.licence,
                clause=reason.clause,
                detail=reason.detail,
            )
            for reason in verdict.reasons
        ),
        obligations=tuple(
            ToldObligation(id=duty.id, text=duty.text, when=duty.when) for duty in verdict.obligations
        ),
        proof=prove(case, findings, verdict),
    )


def _show(answer: EvaluatedStack, *, first: bool) -> None:
    if not first:
        print_data("")
    show_proof(answer.proof)
    if answer.obligations:
        print_table(
            ("obligation", "when", "what it asks"), [(o.id, o.when, o.text) for o in answer.obligations]
        )


def show_proof(proof: "ProofNode") -> None:
    """The tree, a line a step."""
    from registry.licences.proof import lines

    for line in lines(proof):
        print_data(line)
