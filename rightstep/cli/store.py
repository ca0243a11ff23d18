"""``rightstep store gc``: what nobody has a claim on any more leaves the store."""

from typing import TYPE_CHECKING, Annotated

import typer

from policy.wording import plural
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson
from rightstep.cli.output import print_data, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from flows.collecting import Collection

app = typer.Typer(no_args_is_help=True, help="What was made, on disk: how long it stays, and what may go.")

SHOWN = 40  # artefacts that a table lists; --json has them all


@app.callback()
def store() -> None:
    """A noun with one verb stays a noun."""


@app.command("gc")
def gc(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go and why the rest stays; remove nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove artefacts whose time is over (RIGHTSTEP_KEEP_DAYS, retention.toml), and stray files.

    What was shipped, is under a legal hold, waits for review or belongs to a job that is not over never
    goes. Statements of provenance, the ledger and the audit log stay as they are.
    """
    from flows.steps import collect

    found = collect(enter_house(), dry_run=dry_run)
    if as_json:
        print_json(found)
    else:
        show(found)


def show(found: "Collection") -> None:
    """What goes, what stays and why, and how large the database is."""
    print_table(
        ("goes" if not found.dry_run else "would go", "bytes", "jobs", "because"),
        [(one.sha256[:16], f"{one.size:,}", ", ".join(one.jobs), one.because) for one in found.going[:SHOWN]],
        right=(1,),
        empty="No artefact goes.",
    )
    if len(found.going) > SHOWN:
        print_data(f"and {len(found.going) - SHOWN:,} more")
    print_table(
        ("stays", "artefacts", "bytes", "for example", ""),
        [
            (one.claim, f"{one.artefacts:,}", f"{one.bytes:,}", one.example[:16], one.told)
            for one in found.staying
        ],
        right=(1, 2),
        empty="No artefact stays.",
    )
    stray = found.stray
    print_pairs(
        (
            ("removed" if not found.dry_run else "would be removed", f"{found.bytes:,} bytes"),
            ("artefacts", f"{len(found.going):,}"),
            ("files unknown to the ledger", f"{len(stray.orphans):,}"),
            ("files of an ended run", f"{len(stray.leftovers):,}"),
            ("empty files", f"{len(stray.empty):,}"),
            ("torn files", f"{stray.drafts:,}"),
            ("database", f"{found.database.bytes:,} bytes"),
            ("audit log", f"{plural(found.database.audit_events, 'event')}; none ever goes"),
        )
    )
