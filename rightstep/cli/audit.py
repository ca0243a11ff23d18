"""``rightstep audit``: what was done, by whom, and whether the log still holds."""

from pathlib import Path
from typing import Annotated

import typer

from policy.errors import WrongUse
from policy.wording import plural
from rightstep.cli import erasing, looking_back
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson
from rightstep.cli.output import ExitCode, print_data, print_json, print_pairs, say

app = typer.Typer(no_args_is_help=True, help="What was done, by whom, and whether the log still holds.")


Folders = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoints",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Compare with the checkpoints kept there too; may be given again.",
    ),
]
CODES = {
    "broken": ExitCode.BROKEN,
    "truncated": ExitCode.TRUNCATED,
    "guard_missing": ExitCode.GUARD_MISSING,
    "checkpoint_mismatch": ExitCode.CHECKPOINT_MISMATCH,
}


@app.command("verify")
def verify(
    *,
    checkpoints: Folders = None,
    as_json: AsJson = False,
) -> None:
    """Walk the whole audit chain, its guards and its checkpoints.

    Exits with 3 where an event was changed, removed or reordered, 4 where the end is missing, 5 where
    a guard is missing, 6 where the log is not the one that a checkpoint signed.
    """
    from flows.steps import audit_check

    check = audit_check(enter_house(), tuple(checkpoints or ()))
    if as_json:
        print_json(check)
    elif check.ok:
        print_data(
            f"The audit log holds: {plural(check.rows, 'row')}, every hash as it was written, "
            f"{plural(check.checkpoints, 'checkpoint')} compared."
        )
        for one in check.restored:
            print_data(
                f"Restored from a backup on {one.at[:10]} by {one.actor}: events {one.new_head[0] + 1} to "
                f"{one.old_head[0]} were lost. {one.reason}"
            )
    else:
        print_data(f"The audit log does not hold: {check.detail}")
    if check.reason is not None:
        raise typer.Exit(CODES[check.reason.value])


@app.command("checkpoint")
def checkpoint(*, as_json: AsJson = False) -> None:
    """Sign the log as it stands and keep a copy outside the database, under checkpoints/ of the home."""
    from flows.steps import make_checkpoint

    made = make_checkpoint(enter_house())
    if as_json:
        print_json(made)
        return
    say(f"Signed {plural(made.size, 'event')}; copy the file to where nobody who runs the database writes.")
    print_pairs([("events", made.size), ("root", made.root), ("at", made.at), ("key id", made.key_id)])


@app.command("reseal")
def reseal(
    *,
    reason: Annotated[str, typer.Option("--reason", help="What happened, and which backup was restored.")],
    from_backup: Annotated[
        bool, typer.Option("--from-backup", help="Confirm that the database was restored from a backup.")
    ] = False,
    checkpoints: Folders = None,
    as_json: AsJson = False,
) -> None:
    """Say in the log that it was restored from a backup, so that it holds again and shows what was lost."""
    from flows.steps import reseal as seal_again

    if not from_backup:
        raise WrongUse("Only a restored backup is resealed.", "If it is one, say --from-backup.")
    made = seal_again(enter_house(), reason, tuple(checkpoints or ()))
    if as_json:
        print_json(made)
        return
    say(f"Resealed at event {made.seq}: events {made.new_head[0] + 1} to {made.old_head[0]} were lost.")


@app.command("prove")
def prove(
    event: Annotated[
        int | None, typer.Argument(metavar="EVENT", min=1, help="Number of an event in the log.")
    ] = None,
    *,
    between: Annotated[
        tuple[int, int] | None,
        typer.Option(
            "--between",
            metavar="SIZE SIZE",
            help="Prove that the checkpoint of one size is the beginning of another instead.",
        ),
    ] = None,
) -> None:
    """Print a proof as JSON: that a checkpoint covers an event, or that one checkpoint begins another."""
    from flows.steps import prove_event, prove_growth

    if (event is None) == (between is None):
        raise WrongUse("A proof is of one event, or between two checkpoints.", "Give EVENT or --between.")
    house = enter_house()
    print_json(prove_event(house, event) if event is not None else prove_growth(house, *(between or (0, 0))))


app.command("report")(looking_back.report)
app.command("affected")(looking_back.affected)
app.command("reevaluate")(looking_back.reevaluate)


@app.command("export")
def export(
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of stdout.")
    ] = None,
    kit: Annotated[
        Path | None,
        typer.Option(
            "--kit",
            metavar="FILE",
            help="Write the offline kit instead: a zip with log, proofs, keys, shipments and verifier.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the whole audit chain as JSON lines, oldest first; or the kit, which is verified offline."""
    from flows.steps import audit_export, export_kit

    if kit is not None:
        made = export_kit(enter_house(), kit)
        if as_json:
            print_json(made)
            return
        say(f"Wrote {plural(made.events, 'event')} and {plural(made.shipments, 'shipment')} to {made.path}.")
        print_pairs([("sha256", made.sha256), ("signed by", made.checkpoint.key_id)])
        return
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


app.command("erase-prompts")(erasing.erase_prompts)
app.command("hold")(erasing.hold)
app.command("release")(erasing.release)
app.command("holds")(erasing.holds)
