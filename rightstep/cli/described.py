"""``rightstep licence evaluate`` and ``whatif``: verdicts on described stacks, and under other figures."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.errors import WrongUse
from policy.uses import Act, IntendedUse
from rightstep.cli.door import enter_house, now, read_settings
from rightstep.cli.options import AsJson, Context
from rightstep.cli.output import ExitCode, jsonable, print_data, print_json, print_table
from rightstep.cli.shapes import EvaluatedStack, ToldObligation, ToldReason

if TYPE_CHECKING:
    from flows.settings import Settings
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


def evaluate_stacks(stacks: Stacks, *, context: Context = None, as_json: AsJson = False) -> None:
    """Say whether described stacks may be used as they say: verdict, every reason, obligations, proof.

    With --json, one JSON object a line, in order. Exits with 1 unless every one is allowed,
    with 2 where a file is malformed. An organisation that a file does not speak of is that
    of the context, with how it delivers; a figure that it leaves out is not known.
    """
    from registry.catalogue import load_catalogue
    from registry.described_files import load_described

    settings = read_settings()
    catalogue = load_catalogue(settings.catalogue)
    asked = load_described(stacks, catalogue.origins, _assumed(settings, context))
    answers = [_answer(one, catalogue.terms) for one in asked]
    for number, answer in enumerate(answers):
        if as_json:
            sys.stdout.write(json.dumps(jsonable(answer), ensure_ascii=False, allow_nan=False) + "\n")
        else:
            _show(answer, first=number == 0)
    if any(answer.verdict != "allow" for answer in answers):
        raise typer.Exit(ExitCode.REFUSED)


def _assumed(settings: "Settings", context: str | None) -> IntendedUse:
    """What a description that is silent about it is taken to mean: who of a context, and today."""
    from flows.contexts import find_context

    today = now().date()
    known = find_context(settings, context or "", today)
    return IntendedUse(organisation=known.organisation, context=known.context, on=today)


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


def what_if(
    stacks: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="STACK.yaml...", help="Described stacks to judge as well.", show_default=False
        ),
    ] = None,
    *,
    revenue: Annotated[
        float | None,
        typer.Option("--revenue", metavar="USD", help="Suppose this yearly revenue.", show_default=False),
    ] = None,
    group_revenue: Annotated[
        float | None,
        typer.Option("--group-revenue", metavar="USD", help="The same with affiliates.", show_default=False),
    ] = None,
    mau: Annotated[
        int | None,
        typer.Option("--mau", min=0, help="Suppose so many monthly active users.", show_default=False),
    ] = None,
    visits: Annotated[
        int | None,
        typer.Option("--visits", min=0, help="Suppose so many monthly visits.", show_default=False),
    ] = None,
    territory: Annotated[
        list[str] | None,
        typer.Option(
            "--territory", metavar="CODE", help="Serve this country as well; repeatable.", show_default=False
        ),
    ] = None,
    act: Annotated[
        list[Act] | None,
        typer.Option(
            "--act",
            help="Ask about this act; repeatable. Shipping and hosting when none is named.",
            show_default=False,
        ),
    ] = None,
    context: Context = None,
    as_json: AsJson = False,
) -> None:
    """List what would break and what would open if the organisation or its use were otherwise.

    Judges every stack that is pinned, with every method, and the described ones. Writes nothing.
    """
    from flows.steps import Supposition
    from flows.steps import what_if as suppose
    from policy.territories import is_territory
    from registry.described_files import load_described

    for code in territory or ():
        if not is_territory(code):
            raise WrongUse(f'"{code}" is no territory.', "Name ISO 3166-1 alpha-2 codes, or WORLD.")
    house = enter_house()
    assumed = _assumed(house.settings, context)
    described = [
        (f"{path}, document {number}", one)
        for path in stacks or ()
        for number, one in enumerate(load_described([path], house.catalogue.origins, assumed), 1)
    ]
    supposition = Supposition(
        annual_revenue_usd=_whole(revenue, "--revenue"),
        group_revenue_usd=_whole(group_revenue, "--group-revenue"),
        mau=mau,
        monthly_visits=visits,
        territories=tuple(territory or ()),
        acts=tuple(act or ()),
    )
    answer = suppose(house, supposition, described, context or "")
    if as_json:
        print_json(answer)
        return
    print_table(
        ("effect", "stack", "method", "act", "before", "after", "why", "instead"),
        [
            (
                change.effect,
                change.stack,
                change.method,
                change.act,
                change.before,
                change.after,
                "; ".join(f"{reason.detail} [{reason.licence} {reason.clause}]" for reason in change.reasons),
                change.substitute,
            )
            for change in answer.changes
        ],
        empty=f"Nothing would change: {answer.judged} stacks were judged.",
    )


def _whole(figure: float | None, option: str) -> int | None:
    """2e6 is how people write it; a fraction of a dollar is not."""
    if figure is None:
        return None
    if not math.isfinite(figure) or figure < 0 or not figure.is_integer():
        raise WrongUse(f"{option} must be a whole number that is not negative.", "Such as 2e6.")
    return int(figure)
