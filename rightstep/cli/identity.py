"""``rightstep identity``: the keys that persons and the house sign with."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.errors import WrongUse
from policy.identities import IdentityRole
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson
from rightstep.cli.output import print_data, print_json, print_pairs, print_table, say

if TYPE_CHECKING:
    from policy.identities import Identity

app = typer.Typer(no_args_is_help=True, help="The keys that persons and the house sign with.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name, or the beginning of a key id.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key: small letters, digits, dashes.")],
    *,
    role: Annotated[
        IdentityRole, typer.Option("--role", help="What the key may vouch for.")
    ] = IdentityRole.REQUESTER,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help="The last day of the key; none means until revoked."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an Ed25519 key: the private half in keys/ under the home, the public half in the registry."""
    from flows.steps import create_identity

    made = create_identity(enter_house(), name, role, valid_until=end_of_day(until))
    if as_json:
        print_json(made)
        return
    say(f"Made the key of {made.name}, role {made.role.value}.")
    _show(made)


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List every identity that the registry knows, revoked ones too."""
    from flows.steps import list_identities

    found = list_identities(enter_house())
    if as_json:
        print_json(found)
        return
    print_table(
        ("name", "role", "key", "from", "until", "revoked"),
        [
            (one.name, one.role.value, one.key_id[:12], _day(one.valid_from), _end(one), _day(one.revoked_at))
            for one in found
        ],
        empty="No identity yet: `rightstep identity create NAME` makes one.",
    )


@app.command("show")
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show one identity: role, key, validity, and why it was revoked."""
    from flows.steps import show_identity

    found = show_identity(enter_house(), name)
    if as_json:
        print_json(found)
    else:
        _show(found)


@app.command("export")
def export(
    name: Name,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of stdout.")
    ] = None,
) -> None:
    """Print the public half as PEM, to be handed to whoever checks signatures; the private half stays."""
    from flows.steps import show_identity
    from registry.evidence.keys import public_pem

    text = public_pem(bytes.fromhex(show_identity(enter_house(), name).public))
    if out is None:
        print_data(text.rstrip("\n"))
        return
    out.write_text(text, encoding="ascii")
    say(f"Wrote the public key of {name} to {out}.")


@app.command("revoke")
def revoke(
    name: Name,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit log.")],
    as_json: AsJson = False,
) -> None:
    """End a key at once: nothing that it signed lifts a review any more."""
    from flows.steps import revoke_identity

    ended = revoke_identity(enter_house(), name, reason)
    if as_json:
        print_json(ended)
    else:
        say(f"Revoked the key {ended.key_id[:12]} of {ended.name}.")


def end_of_day(day: str | None) -> datetime | None:
    """The moment at which a day is over, in UTC; WrongUse where it is no date."""
    if day is None:
        return None
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(hour=23, minute=59, second=59, tzinfo=UTC)
    except ValueError:
        raise WrongUse(f"{day!r} is no date.", "Write it as 2027-12-31.") from None


def _show(one: "Identity") -> None:
    print_pairs(
        [
            ("name", one.name),
            ("role", one.role.value),
            ("key id", one.key_id),
            ("public", one.public),
            ("from", _day(one.valid_from)),
            ("until", _end(one)),
            ("made by", f"{one.made_by} (claimed)"),
            *([("revoked", f"{_day(one.revoked_at)}: {one.revoked_because}")] if one.revoked_at else []),
        ]
    )


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _end(one: "Identity") -> str:
    return "revoked" if one.revoked_at else _day(one.valid_until) or "no end"
