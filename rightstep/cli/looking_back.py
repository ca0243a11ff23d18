"""``rightstep audit report``, ``affected`` and ``reevaluate``: from what changed back to what left."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.errors import WrongUse
from policy.wording import plural
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson
from rightstep.cli.output import print_json, print_pairs, print_table, say

if TYPE_CHECKING:
    from registry.shipment_records import Recall

SHOWN = 1_000


def report(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many events, the latest first.")] = 50,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as one page.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write its shipments as a table, safe for a spreadsheet."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Report what was shipped, what would not ship today, and what happened.

    Walks the audit log and judges every shipment again by what is known today.
    """
    from flows.steps import make_audit_report, write_report_page, write_report_table

    house = enter_house()
    made = make_audit_report(house, events=limit)
    if html is not None:
        say(f"Wrote {write_report_page(house, made, html)}.")
    if csv is not None:
        say(f"Wrote {write_report_table(made, csv)}.")
    if as_json:
        print_json(made)
        return
    if html is not None or csv is not None:
        return
    print_table(
        ("seq", "when", "actor", "event", "subject"),
        [
            (one.seq, one.ts[:19].replace("T", " "), one.event.actor, one.event.tag, one.event.subject)
            for one in made.events
        ],
        right=(0,),
    )
    for finding in made.findings:
        say(f"Look: {finding}")


def affected(
    needle: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHAT]",
            help="Any of the below, a stack id, a pin id or a paper's sha256.",
            show_default=False,
        ),
    ] = None,
    *,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="SHA256", help="A model file, a licence text, or a shipped file."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="REPO", help="A repository, org/name.")
    ] = None,
    licence: Annotated[str | None, typer.Option("--licence", metavar="ID", help="A licence id.")] = None,
    clause: Annotated[
        str | None, typer.Option("--clause", metavar="LICENCE#CLAUSE", help="A clause of a licence.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many files to list.")] = SHOWN,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write every file to a table.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List every shipped asset that something touches, with both digests, shipments, jobs and recipients."""
    from flows.steps import affected as recall
    from flows.steps import affected_csv

    asked = [one for one in (needle, file, model, licence, clause) if one]
    if len(asked) != 1:
        raise WrongUse("Name one thing.", "Such as: rightstep audit affected --model org/name.")
    house = enter_house()
    if csv is not None:
        say(f"Wrote {plural(affected_csv(house, asked[0], csv), 'file')} to {csv}.")
    found = recall(house, asked[0], limit)
    if as_json:
        print_json(found)
        return
    show_recall(found)


def show_recall(found: "Recall") -> None:
    """What a recall found, as a table with its sum below."""
    print_table(
        ("shipment", "when", "job", "shot", "file", "to", "shipped sha256", "artefact sha256"),
        [
            (
                one.shipment_id,
                f"{one.shipped_at:%Y-%m-%d %H:%M}",
                one.job_id,
                one.shot,
                one.media_type,
                one.recipient,
                one.shipped_sha256[:16],
                one.artefact_sha256[:16],
            )
            for one in found.files
        ],
        empty="No shipment is affected.",
    )
    for session in found.live:
        say(
            f"Live session {session.session_id} of {session.started_at:%Y-%m-%d %H:%M} showed "
            f"{plural(session.frames, 'frame')} to {session.recipient}."
        )
    if not found.items:
        return
    more = f", of which {len(found.files):,} are listed" if found.is_cut else ""
    say(
        f"{plural(found.items, 'shipped file')} in {plural(len(found.shipments), 'shipment')} "
        f"({', '.join(found.matched)} {found.needle}){more}. "
        f"Recipients: {', '.join(found.recipients) or 'nobody named'}."
    )


def reevaluate(
    shipment: Annotated[str, typer.Argument(metavar="SHIPMENT", help="A shipment id.", show_default=False)],
    *,
    on: Annotated[
        datetime | None,
        typer.Option("--on", metavar="DATE", formats=["%Y-%m-%d"], help="Ask about this day; today else."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a past shipment again: by the terms that were kept with it, and by what is known today.

    Exits with 0 whatever the verdicts are: what was permitted then is not undone by asking.
    """
    from flows.steps import reevaluate as judge_again

    day = None if on is None else on.replace(tzinfo=UTC).date()
    again = judge_again(enter_house(), shipment, day)
    if as_json:
        print_json(again)
        return
    print_pairs(
        [
            ("shipment", again.shipment_id),
            ("as shipped", again.recorded.ruling.value),
            ("by the terms of that day", again.that_day.ruling.value),
            ("by what is known today", again.today.ruling.value),
            ("terms changed since", ", ".join(again.changed_terms) or "none"),
        ]
    )
    for title, reasons in (("Against it now", again.worse), ("No longer against it", again.gone)):
        for reason in reasons:
            where = ", ".join(part for part in (reason.component, reason.licence, reason.clause) if part)
            say(f"{title}: {reason.detail} [{where}]")
