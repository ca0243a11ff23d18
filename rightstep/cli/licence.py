"""``rightstep licence``: what the known licences say alone and together, and which one a model has."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.uses import Act
from policy.verdicts import Verdict
from rightstep.cli.contexts import show_context
from rightstep.cli.described import evaluate_stacks, show_proof, what_if
from rightstep.cli.door import enter_house, read_settings
from rightstep.cli.identity import end_of_day
from rightstep.cli.options import AsJson, Context, Use
from rightstep.cli.output import ExitCode, print_data, print_json, print_pairs, print_table
from rightstep.cli.shapes import LicenceSummary

if TYPE_CHECKING:
    from registry.licences.terms import LicenceTerms, Lineage, Territory

app = typer.Typer(no_args_is_help=True, help="What the known licences say, alone and together.")
app.command("context")(show_context)
app.command("evaluate")(evaluate_stacks)
app.command("whatif")(what_if)

Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="IDS...",
        help="A stack's parts: licence ids, as `rightstep licence list` has them, or pinned models.",
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
    print_table(("id", "name", act.value), [(one.id, one.name, _at_a_glance(one, act)) for one in terms])


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
            ("not in", _excluded(terms.territory)),
            ("outputs", _with_clause(terms.outputs.detail, terms.outputs.clause)),
            ("weights go out", _outgoing(terms.lineage)),
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
    if terms.evidence:
        print_table(
            ("to be shown", "clause", "what it says"),
            [(needed.id, needed.clause, needed.detail) for needed in terms.evidence],
        )
    if terms.duties:
        print_table(
            ("duty", "clause", "when", "what it asks"),
            [
                (duty.id, duty.clause, duty.when, duty.text.replace("{component}", "the model"))
                for duty in terms.duties
            ],
        )
    if terms.restrictions.items:
        print_table(
            ("not to be used for", "clause"),
            [(item, terms.restrictions.clause) for item in terms.restrictions.items],
        )
    if terms.quotes:
        print_table(("clause", "its words"), [(quote.clause, quote.words) for quote in terms.quotes])


def _at_a_glance(terms: "LicenceTerms", act: Act) -> str:
    """What a licence says of an act, in a few words; caps, evidence and territories make it conditional."""
    term = terms.on(act)
    if term is None:
        return "says nothing"
    limits = [condition.id for condition in terms.conditions if act in condition.acts]
    limits += [needed.id for needed in terms.evidence if act in needed.acts]
    limits += ["territory"] if terms.territory.excluded else []
    if term.stance.value == "allow" and limits:
        return f"allow, on conditions: {', '.join(limits)}"
    return term.stance.value


def _with_clause(text: str, clause: str) -> str:
    return f"{text} ({clause})" if clause else text


def _excluded(territory: "Territory") -> str:
    if not territory.excluded:
        return "nowhere excluded"
    return _with_clause(", ".join(territory.excluded), territory.clause)


def _outgoing(lineage: "Lineage") -> str:
    """The licences that derived weights may go out under."""
    if not lineage.outbound:
        return "under any licence"
    return _with_clause(f"under {', '.join(lineage.outbound)} only", lineage.clause)


@app.command("explain")
def explain(ids: Ids, *, use: Use = None, context: Context = None, as_json: AsJson = False) -> None:
    """Say whether licences or models together permit a use: verdict, reasons, obligations, proof.

    Exits with 1 unless the use is permitted.
    """
    from flows.steps import explain_licences

    verdict, proof = explain_licences(enter_house(), tuple(ids), use, context or "")
    if as_json:
        print_json(verdict)
    else:
        show_verdict(verdict, f"{', '.join(ids)} for {(use or Act.SHIP_OUTPUT_COMMERCIAL).value}")
        print_data("")
        show_proof(proof)
    if not verdict.is_permit:
        raise typer.Exit(ExitCode.REFUSED)


@app.command("conclude")
def conclude(
    model: Annotated[
        str,
        typer.Argument(metavar="REPO[@REVISION]", help="A pinned model; its newest pin without a commit."),
    ],
    *,
    licence: Annotated[
        list[str],
        typer.Option("--licence", metavar="ID", help="The licence it has; again where several all apply."),
    ],
    by: Annotated[str, typer.Option("--as", metavar="NAME", help="Whose key signs: an approver's.")],
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="Why; it stays on record.")],
    evidence: Annotated[
        list[Path], typer.Option("--evidence", metavar="FILE", help="A file to keep; may be given again.")
    ],
    files: Annotated[
        str,
        typer.Option(
            "--files", metavar="PATTERN", help="Only these of its files; the whole repository otherwise."
        ),
    ] = "",
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help="The last day on which it counts; none means no end."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Conclude which licence a pinned model has, on evidence, signed; while it counts it outranks claims."""
    from flows.steps import conclude_licence

    end = end_of_day(until)
    concluded = conclude_licence(
        enter_house(),
        model,
        licences=licence,
        approver=by,
        reason=reason,
        evidence=evidence,
        files=files,
        valid_until=None if end is None else end.date(),
    )
    if as_json:
        print_json(concluded)
        return
    one = concluded.conclusion
    print_pairs(
        [
            ("model", f"{concluded.repo} at {concluded.revision[:12]}"),
            ("files", one.scope or "all"),
            ("licence", ", ".join(one.licences)),
            ("concluded by", f"{one.concluded_by} ({one.standing})"),
            ("key id", one.key_id),
            ("because", one.reason),
            ("until", str(one.valid_until or "no end")),
            *(("evidence", f"{file.name}, sha256 {file.sha256}") for file in one.evidence),
        ]
    )


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
