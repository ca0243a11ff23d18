"""The whole command line, put together."""

import typer

from rightstep.cli import (
    approving,
    audit,
    database,
    doctor,
    house,
    identity,
    job,
    key,
    licence,
    message,
    method,
    model,
    plan,
    render,
    schedule,
    serve,
    ship,
    store,
    worker,
)

HELP = """
The right number of steps; the right to ship.

Renders pictures with diffusion models, overnight or on demand. Picks how many denoising steps each order \
deserves, and lets nothing ship whose exact weights and licences have not been verified.

Exit codes: 0 done, 1 refused by policy or licence, 2 wrong use, 3 broken, 130 stopped by Ctrl-C.
"""

app = typer.Typer(
    name="rightstep",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    *,
    version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True),
) -> None:
    """Print the version where only that is asked."""
    if version:
        from rightstep.cli.output import print_data
        from rightstep.version import version_text

        print_data(version_text())
        raise typer.Exit


app.command("render")(render.render)
app.command("plan")(plan.plan)
app.command("up")(house.up)
app.command("down")(house.down)
app.command("status")(house.status)
app.command("serve")(serve.serve)
app.add_typer(job.app, name="job")
app.add_typer(worker.app, name="worker")
app.add_typer(schedule.app, name="schedule")
app.add_typer(model.app, name="model")
app.add_typer(method.app, name="method")
app.add_typer(licence.app, name="licence")
app.command("ship")(ship.ship)
app.add_typer(approving.approve, name="approve")
app.add_typer(approving.waive, name="waive")
app.add_typer(approving.grant, name="grant")
app.add_typer(audit.app, name="audit")
app.add_typer(identity.app, name="identity")
app.add_typer(key.app, name="key")
app.command("doctor")(doctor.doctor)
app.add_typer(store.app, name="store")
app.add_typer(message.app, name="message")
app.add_typer(database.app, name="db")
