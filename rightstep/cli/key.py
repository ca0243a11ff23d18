"""``rightstep key``: who may use the HTTP API, for what, and how much."""

from typing import TYPE_CHECKING, Annotated

import typer

from policy.access import AT_ONCE, PER_MINUTE
from rightstep.cli.door import enter_house
from rightstep.cli.identity import end_of_day
from rightstep.cli.options import AsJson
from rightstep.cli.output import print_data, print_json, print_pairs, print_table, say

if TYPE_CHECKING:
    from datetime import datetime

    from policy.access import AccessKey

app = typer.Typer(no_args_is_help=True, help="Keys to the HTTP API: who may use it, for what, and how much.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a key, or the beginning of it.")]


@app.command("create")
def create(
    *,
    scope: Annotated[
        str,
        typer.Option(
            "--scope",
            metavar="SCOPES",
            help="What it opens: submit, read, ship, audit, or admin for everything; several with commas.",
        ),
    ],
    owner: Annotated[str, typer.Option("--owner", metavar="NAME", help="Who gets the key.")],
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="DATE", help="The last day of the key; none means until revoked."),
    ] = None,
    per_minute: Annotated[
        int, typer.Option("--per-minute", metavar="N", help="How many requests it may send in a minute.")
    ] = PER_MINUTE,
    at_once: Annotated[
        int, typer.Option("--at-once", metavar="N", help="How many requests it may have under way.")
    ] = AT_ONCE,
    as_json: AsJson = False,
) -> None:
    """Make a key and print its secret: the only time that it is shown."""
    from flows.steps import create_key

    made = create_key(
        enter_house(),
        owner=owner,
        scopes=scope.split(","),
        expires_at=end_of_day(expires),
        per_minute=per_minute,
        at_once=at_once,
    )
    if as_json:
        print_json(made)
        return
    scopes = ", ".join(made.key.scopes)
    say(f"Made the key {made.key.key_id} of {made.key.owner}: {scopes}; until {_end(made.key)}.")
    print_data(made.secret)
    say("Keep it now: it is not shown again, and not kept here.")


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List every key, those that expired or were revoked too; no secret is known any more."""
    from flows.steps import list_keys

    found = list_keys(enter_house())
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "owner", "scopes", "a minute", "at once", "from", "until"),
        [
            (
                one.key_id,
                one.owner,
                ", ".join(one.scopes),
                one.per_minute,
                one.at_once,
                _day(one.created_at),
                _end(one),
            )
            for one in found
        ],
        right=(3, 4),
        empty="No key yet: `rightstep key create --scope submit,read --owner NAME` makes one.",
    )


@app.command("show")
def show(key_id: Id, *, as_json: AsJson = False) -> None:
    """Show one key: owner, scopes, limits, validity, and why it was revoked."""
    from flows.steps import show_key

    found = show_key(enter_house(), key_id)
    if as_json:
        print_json(found)
        return
    print_pairs(
        [
            ("id", found.key_id),
            ("owner", found.owner),
            ("scopes", ", ".join(found.scopes)),
            ("a minute", f"{found.per_minute:,} requests"),
            ("at once", f"{found.at_once:,} requests"),
            ("from", _day(found.created_at)),
            ("until", _end(found)),
            ("made by", f"{found.created_by} (claimed)"),
            *(
                [("revoked", f"{_day(found.revoked_at)}: {found.revoked_because}")]
                if found.revoked_at
                else []
            ),
        ]
    )


@app.command("revoke")
def revoke(
    key_id: Id,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit log.")],
    as_json: AsJson = False,
) -> None:
    """End a key at once: the next request that presents it is turned away."""
    from flows.steps import revoke_key

    ended = revoke_key(enter_house(), key_id, reason)
    if as_json:
        print_json(ended)
    else:
        say(f"Revoked the key {ended.key_id} of {ended.owner}.")


def _day(moment: "datetime | None") -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _end(one: "AccessKey") -> str:
    return "revoked" if one.revoked_at else _day(one.expires_at) or "no end"
