"""``rightstep doctor``: is this house fit to work tonight?"""

import typer

from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson
from rightstep.cli.output import ExitCode, print_json, print_table


def doctor(*, as_json: AsJson = False) -> None:
    """Check everything a night depends on: versions, disk, database, services, built-in weights, open ports.

    Exits with 3 when something would stop a render.
    """
    from flows.steps import doctor as examine

    findings = examine(enter_house())
    if as_json:
        print_json(findings)
    else:
        print_table(
            ("check", "state", "found", "what to do"),
            [(one.check, one.state.value, one.detail, one.next_step) for one in findings],
        )
    if any(one.state.value == "problem" for one in findings):
        raise typer.Exit(ExitCode.BROKEN)
