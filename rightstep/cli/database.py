"""``rightstep db``: the ledger's own upkeep."""

import typer

from rightstep.cli.door import read_settings
from rightstep.cli.options import AsJson
from rightstep.cli.output import print_json, say
from rightstep.cli.shapes import SchemaAnswer

app = typer.Typer(no_args_is_help=True, help="The ledger's own upkeep.")


@app.command("upgrade")
def upgrade(*, as_json: AsJson = False) -> None:
    """Bring the ledger to the schema of this version; safe to run again."""
    from flows.steps import upgrade_ledger

    version = upgrade_ledger(read_settings())
    if as_json:
        print_json(SchemaAnswer(schema_version=version))
    else:
        say(f"The ledger is at schema {version}.")
