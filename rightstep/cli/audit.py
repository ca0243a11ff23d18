"""``rightstep audit``: what was done, by whom, and whether the log still holds."""

from pathlib import Path
from typing import Annotated

import typer

from policy.wording import plural
from rightstep.cli import looking_back
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson
from rightstep.cli.output import ExitCode, print_data, print_json, say

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


app.command("report")(looking_back.report)
app.command("affected")(looking_back.affected)
app.command("reevaluate")(looking_back.reevaluate)


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
