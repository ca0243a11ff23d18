"""``rightstep model``: the weights that are known, pinned byte for byte."""

from typing import TYPE_CHECKING, Annotated

import typer

from policy.wording import plural
from rightstep.cli.door import enter_house
from rightstep.cli.looking_back import show_recall
from rightstep.cli.options import AsJson
from rightstep.cli.output import ExitCode, print_json, print_pairs, print_table, say

if TYPE_CHECKING:
    from registry.licences.claims import Conclusion
    from registry.model_registry import PinRecord

app = typer.Typer(no_args_is_help=True, help="The weights that are known, pinned byte for byte.")

Repo = Annotated[
    str, typer.Argument(metavar="REPO", help="A repository, org/name, as `rightstep model list` has it.")
]

Revision = Annotated[
    str | None,
    typer.Option(
        "--revision", metavar="COMMIT", help="A branch, a tag or 40 hex digits; what is there now otherwise."
    ),
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
            *([("hub", f"{model.endpoint}/{model.upstream_repo}")] if model.endpoint else ()),
            *([("gate", f"{model.gated}, passed by {model.gate_passed_by}")] if model.gated else ()),
            *(("claim", f"{claim.kind.value}: {claim.value}") for claim in model.claims),
            *(("concluded", _concluded(one)) for one in model.conclusions),
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
    repo: Annotated[
        str,
        typer.Argument(
            metavar="REPO[@REVISION]",
            help="org/name, at a branch, tag or commit where one is named; of a folder, else of the hub.",
        ),
    ],
    *,
    revision: Revision = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            metavar="PATTERN",
            help="Pin only files that match, with card, licences, notices and configurations; repeatable.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pin a repository: its commit, every file by sha256 and size, and what it claims about its licence."""
    from flows.steps import pin_model
    from rightstep.cli.progress import Fetched

    house = enter_house()
    with Fetched() as report:
        pinned = pin_model(house, repo, revision, patterns=file or (), report=report)
    if as_json:
        print_json(pinned)
        return
    _say_pinned(pinned)


@app.command("import")
def import_(
    repo: Repo,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .bin, .pt, .pth or .ckpt file in it.")],
    *,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Convert a pickle to safetensors and pin the result; one that would run code is refused."""
    from flows.steps import import_model
    from rightstep.cli.progress import Fetched

    house = enter_house()
    with Fetched() as report:
        made = import_model(house, repo, file, revision, report=report)
    if as_json:
        print_json(made)
        return
    print_pairs(
        [
            ("pickle", f"{made.pickle} sha256 {made.pickle_sha256}"),
            ("safetensors", f"{made.file} sha256 {made.sha256}"),
            ("tensors", f"{made.tensors:,}"),
            *(("left behind", name) for name in made.dropped),
        ]
    )
    _say_pinned(made.pinned)


@app.command("drift")
def drift(
    repo: Annotated[
        str | None,
        typer.Argument(metavar="[REPO]", help="One repository; every one pinned from a hub otherwise."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Ask the hub whether anything moved since the pins: terms, bytes, gates, scans, the name."""
    from flows.steps import look_for_drift

    looked = look_for_drift(enter_house(), repo)
    if as_json:
        print_json(looked)
        return
    print_table(
        ("repository", "severity", "what moved", "since"),
        [
            (
                one.repo,
                one.standing,
                one.finding.detail,
                one.found_at.date().isoformat(),
            )
            for one in looked.findings
        ],
        empty="Nothing moved since the pins.",
    )
    for failure in looked.failures:
        say(f"{failure.repo} could not be looked at: {failure.reason}")


@app.command("conclude-drift")
def conclude_drift(
    repo: Repo,
    *,
    because: Annotated[
        str, typer.Option("--because", metavar="REASON", help="Why nothing is held back by it any more.")
    ],
    by: Annotated[str, typer.Option("--as", metavar="NAME", help="Whose key signs: an approver's.")],
    as_json: AsJson = False,
) -> None:
    """Conclude what moved upstream of a repository, signed: it holds no shipment while the key counts."""
    from flows.steps import conclude_drift as conclude

    concluded = conclude(enter_house(), repo, because, by)
    if as_json:
        print_json(concluded)
        return
    say(f"Concluded {plural(len(concluded), 'finding')} on {repo}.")


def _concluded(one: "Conclusion") -> str:
    scope = f" for {one.scope}" if one.scope else ""
    until = f", until {one.valid_until}" if one.valid_until else ""
    return f"{', '.join(one.licences)}{scope} by {one.concluded_by} ({one.standing}){until}: {one.reason}"


def _say_pinned(pinned: "PinRecord") -> None:
    found = pinned.pin
    size = sum(file.size for file in found.files)
    say(f"Pinned {found.repo} at {found.revision}: {plural(len(found.files), 'file')}, {size / 1e6:,.1f} MB.")
    if pinned.upstream_repo and pinned.upstream_repo != found.repo:
        say(f"The hub calls it {pinned.upstream_repo} now.")


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
