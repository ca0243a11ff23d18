"""``rightstep licence context``: who acts, how outputs are delivered, who said so, and what is not known."""

from typing import Annotated

import typer

from policy.wording import plural
from rightstep.cli.door import now, read_settings
from rightstep.cli.options import AsJson
from rightstep.cli.output import print_json, print_pairs, print_table


def show_context(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A context; that of an order that names none otherwise.")
    ] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Show a context: what is known, of which day, who said it, and which licences ask for the rest."""
    from flows.context_facts import show_context as look
    from registry.catalogue import load_catalogue

    settings = read_settings()
    terms = load_catalogue(settings.catalogue).terms.values()
    shown = look(settings, terms, name, now().date())
    if as_json:
        print_json(shown)
        return
    context, who, delivery = shown.context, shown.organisation, shown.context.delivery
    age = " (too old: licences that ask need a review)" if shown.outdated else ""
    print_pairs(
        [
            ("context", f"{context.name}{' (the default)' if context.name == shown.default else ''}"),
            ("from", shown.source),
            ("said by", context.said_by or "nobody named"),
            ("facts of", f"{context.as_of or 'no day'}{age}"),
            ("good until", context.good_until or "no end"),
            ("organisation", who.name or "not known"),
            ("kind", who.kind or "not known"),
            ("domicile", who.domicile or "not known"),
            ("annual revenue", _figure(who.annual_revenue_usd, " USD")),
            ("with its group", _figure(who.group_revenue_usd, " USD")),
            ("monthly users", _figure(who.mau)),
            ("monthly visits", _figure(who.monthly_visits)),
            ("territories", ", ".join(shown.territories)),
            ("content filter", _said(done=delivery.content_filter)),
            ("AI disclosure", _said(done=delivery.ai_disclosure)),
            ("removes marking", _said(done=delivery.removes_provenance_marking)),
        ]
    )
    print_table(
        ("not known", "asked by"),
        [
            (one.fact, f"{plural(len(one.asked_by), 'licence')}: {'; '.join(map(' '.join, one.asked_by))}")
            for one in shown.unknown
        ],
        empty="Everything that a licence of the catalogue asks for is known.",
    )


def _figure(figure: int | None, unit: str = "") -> str:
    return "not known" if figure is None else f"{figure:,}{unit}"


def _said(*, done: bool | None) -> str:
    return "nobody said" if done is None else "yes" if done else "no"
