"""``rightstep model``: the weights that are known, pinned byte for byte."""

from typing import Annotated

import typer

from policy.wording import plural
from rightstep.cli.door import enter_house
from rightstep.cli.looking_back import show_recall
from rightstep.cli.options import AsJson
from rightstep.cli.output import ExitCode, print_json, print_pairs, print_table, say

app = typer.Typer(no_args_is_help=True, help="The weights that are known, pinned byte for byte.")

Repo = Annotated[
    str, typer.Argument(metavar="REPO", help="A repository, org/name, as `rightstep model list` has it.")
]


@app.command("list")
def list_models(*, as_json: AsJson = False) -> None:
    """List every model repository in reach: its role, its pin, its licence."""
    from flows.steps import list_models as found

    models = found(enter_house())
    if as_json:
        print_json(models)
        return
    print_table(
        ("repository", "role", "revision", "files", "MB", "licence"),
        [
            (
                one.repo,
                one.role,
                one.revision[:12] if one.pinned else "not pinned",
                one.files,
                f"{one.bytes / 1e6:,.1f}",
                ", ".join(one.licences) or "unknown",
            )
            for one in models
        ],
        right=(3, 4),
    )


@app.command("show")
def show(repo: Repo, *, as_json: AsJson = False) -> None:
    """Show a model: every pinned file with its digest, and what is claimed and concluded of its licence."""
    from flows.steps import show_model

    model = show_model(enter_house(), repo)
    if as_json:
        print_json(model)
        return
    pin = model.pin
    print_pairs(
        [
            ("repository", pin.repo),
            ("role", pin.role.value),
            ("revision", pin.revision),
            ("pin", pin.pin_id),
            *(("claim", f"{claim.kind.value}: {claim.value}") for claim in model.claims),
            *(("concluded", f"{', '.join(one.licences)} by {one.concluded_by}") for one in model.conclusions),
        ]
    )
    print_table(
        ("file", "bytes", "sha256"),
        [(file.path, f"{file.size:,}", file.sha256) for file in pin.files],
        right=(1,),
    )


@app.command("verify")
def verify(
    repo: Annotated[
        str | None, typer.Argument(metavar="[REPO]", help="One repository; every pinned one otherwise.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Hash every pinned file again; a missing or changed byte exits with 3."""
    from flows.steps import verify_models

    checks = verify_models(enter_house(), repo)
    faults = [fault for check in checks for fault in check.faults]
    if as_json:
        print_json(checks)
    else:
        print_table(
            ("repository", "files", "state"),
            [
                (
                    check.repo,
                    check.files,
                    "; ".join(f"{fault.path}: {fault.detail}" for fault in check.faults) or "ok",
                )
                for check in checks
            ],
            right=(1,),
        )
    if faults:
        raise typer.Exit(ExitCode.BROKEN)


@app.command("pin")
def pin(
    repo: Repo,
    *,
    revision: Annotated[
        str | None,
        typer.Option("--revision", metavar="COMMIT", help="40 hex digits; what is there now otherwise."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pin a repository: its commit, every file by sha256 and size, and what it claims about its licence."""
    from flows.steps import pin_model

    pinned = pin_model(enter_house(), repo, revision)
    if as_json:
        print_json(pinned)
        return
    say(f"Pinned {pinned.pin.repo} at {pinned.pin.revision}: {plural(len(pinned.pin.files), 'file')}.")


@app.command("revoke")
def revoke(
    model: Annotated[
        str, typer.Argument(metavar="REPO[@COMMIT]", help="A pinned repository, or one commit of it.")
    ],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why it is withdrawn; kept in the audit log.")],
    as_json: AsJson = False,
) -> None:
    """Withdraw a model: nothing is planned or shipped with it from now on; lists what was shipped with it."""
    from flows.steps import revoke_model

    answer = revoke_model(enter_house(), model, reason)
    if as_json:
        print_json(answer)
        return
    say(f"Revoked {model}: nothing is planned or shipped with it any more.")
    show_recall(answer.affected)
