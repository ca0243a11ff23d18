"""``rightstep licence``: what the known licences say, and what they say together."""

from typing import Annotated

import typer

from policy.uses import Act
from policy.verdicts import Verdict
from rightstep.cli.door import enter_house, read_settings
from rightstep.cli.options import AsJson, Use
from rightstep.cli.output import ExitCode, print_data, print_json, print_pairs, print_table
from rightstep.cli.shapes import LicenceSummary

app = typer.Typer(no_args_is_help=True, help="What the known licences say, alone and together.")

Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="IDS...", help="Licence ids, as `rightstep licence list` has them: a stack's parts."
    ),
]


@app.command("list")
def list_licences(*, as_json: AsJson = False) -> None:
    """List every licence whose terms are known, with what each says of shipping commercially."""
    from registry.catalogue import load_catalogue

    terms = sorted(load_catalogue(read_settings().catalogue).terms.values(), key=lambda one: one.id)
    if as_json:
        print_json(
            [
                LicenceSummary(
                    id=one.id,
                    name=one.name,
                    family=one.family,
                    version=one.version,
                    spdx=one.spdx,
                    hub_tags=one.hub_tags,
                    acts={term.act.value: term.stance.value for term in one.acts},
                )
                for one in terms
            ]
        )
        return
    act = Act.SHIP_OUTPUT_COMMERCIAL
    print_table(
        ("id", "name", act.value),
        [(one.id, one.name, term.stance.value if (term := one.on(act)) else "says nothing") for one in terms],
    )


@app.command("show")
def show(
    licence: Annotated[str, typer.Argument(metavar="ID", help="A licence id.")],
    *,
    text: Annotated[bool, typer.Option("--text", help="Print the full text of the licence instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the terms of a licence: each act with its clause, conditions, duties, limits."""
    from registry.catalogue import load_catalogue

    catalogue = load_catalogue(read_settings().catalogue)
    terms = catalogue.terms_of(licence)
    if as_json:
        print_json(terms)
        return
    if text:
        print_data(catalogue.text_of(licence).decode(errors="replace"))
        return
    print_pairs(
        [
            ("licence", f"{terms.name} ({terms.id})"),
            ("spdx", terms.spdx or "none"),
            ("text", terms.source.url),
            ("read", f"{terms.source.read_on}, sha256 {terms.source.text_sha256[:12]} (normalised)"),
            ("not in", ", ".join(terms.territory.excluded) or "worldwide"),
        ]
    )
    print_table(
        ("act", "stance", "clause", "what it says"),
        [
            (
                term.act.value,
                term.stance.value,
                term.clause,
                term.detail + ("" if term.verified else " (unverified)"),
            )
            for term in terms.acts
        ],
    )
    if terms.conditions:
        print_table(
            ("condition", "clause", "what it says"),
            [(condition.id, condition.clause, condition.detail) for condition in terms.conditions],
        )
    if terms.duties:
        print_table(
            ("duty", "clause", "when", "what it asks"),
            [(duty.id, duty.clause, duty.when, duty.text) for duty in terms.duties],
        )


@app.command("explain")
def explain(ids: Ids, *, use: Use = None, as_json: AsJson = False) -> None:
    """Say whether licences together permit a use: verdict, every reason with its clause, obligations.

    Exits with 1 unless the use is permitted.
    """
    from flows.steps import explain_licences

    verdict = explain_licences(enter_house(), tuple(ids), use)
    if as_json:
        print_json(verdict)
    else:
        show_verdict(verdict, f"{', '.join(ids)} for {(use or Act.SHIP_OUTPUT_COMMERCIAL).value}")
    if not verdict.is_permit:
        raise typer.Exit(ExitCode.REFUSED)


def show_verdict(verdict: Verdict, question: str) -> None:
    """The ruling, then why, then what must be done."""
    print_data(f"{verdict.ruling.value}: {question}")
    print_table(
        ("ruling", "reason", "part", "licence", "clause"),
        [
            (reason.ruling.value, reason.detail, reason.component, reason.licence, reason.clause)
            for reason in verdict.reasons
        ],
    )
    if verdict.obligations:
        print_table(
            ("obligation", "when", "part", "licence"),
            [(duty.text, duty.when, duty.component, duty.licence) for duty in verdict.obligations],
        )
