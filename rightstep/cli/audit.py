"""``rightstep audit``: what was done, by whom, and whether the log still holds."""

from pathlib import Path
from typing import Annotated

import typer

from policy.wording import plural
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson
from rightstep.cli.output import ExitCode, print_data, print_json, print_table, say

app = typer.Typer(no_args_is_help=True, help="What was done, by whom, and whether the log still holds.")


@app.command("verify")
def verify(*, as_json: AsJson = False) -> None:
    """Walk the whole audit chain and its guards; a changed, removed or reordered row exits with 3."""
    from flows.steps import audit_check

    check = audit_check(enter_house())
    if as_json:
        print_json(check)
    elif check.ok:
        print_data(f"The audit log holds: {plural(check.rows, 'row')}, every hash as it was written.")
    else:
        print_data(f"The audit log does not hold: {check.detail}")
    if not check.ok:
        raise typer.Exit(ExitCode.BROKEN)


@app.command("report")
def report(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many events, the latest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what happened: the latest audit events, with who and what about."""
    from flows.steps import audit_report

    events = audit_report(enter_house(), limit)
    if as_json:
        print_json(events)
        return
    print_table(
        ("seq", "when", "actor", "event", "subject"),
        [
            (one.seq, one.ts[:19].replace("T", " "), one.event.actor, one.event.tag, one.event.subject)
            for one in events
        ],
        right=(0,),
    )


@app.command("affected")
def affected(
    needle: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A repository, a file's sha256, a stack id, a licence id or an output's sha256.",
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """List every shipped asset that used something, with its recipients."""
    from flows.steps import affected as recall

    found = recall(enter_house(), needle)
    if as_json:
        print_json(found)
        return
    print_table(
        ("shipment", "when", "shot", "to", "shipped sha256"),
        [
            (one.shipment_id, f"{one.shipped_at:%Y-%m-%d %H:%M}", one.shot, one.recipient, one.shipped_sha256)
            for one in found.files
        ],
        empty="No shipment is affected.",
    )
    say(f"{plural(len(found.files), 'shipped file')} used {needle}{', and more' if found.is_cut else ''}.")


@app.command("export")
def export(
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of stdout.")
    ] = None,
) -> None:
    """Write the whole audit chain as JSON lines, oldest first, so that it can be verified elsewhere."""
    from flows.steps import audit_export

    written = 0
    if out is None:
        for line in audit_export(enter_house()):
            print_data(line)
        return
    with out.open("w", encoding="utf-8") as stream:
        for line in audit_export(enter_house()):
            stream.write(f"{line}\n")
            written += 1
    say(f"Wrote {plural(written, 'event')} to {out}.")
