"""``rightstep approve``, ``waive`` and ``grant``: what a named person signs for, on evidence, until a day."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.approvals import ApprovalKind
from policy.errors import WrongUse
from policy.uses import Act
from rightstep.cli.door import enter_house
from rightstep.cli.identity import end_of_day
from rightstep.cli.options import AsJson, Use
from rightstep.cli.output import print_data, print_json, print_pairs, print_table, say

if TYPE_CHECKING:
    from flows.steps import ApprovalShown, Question
    from policy.approvals import ApprovalRequest

approve = typer.Typer(no_args_is_help=True, help="Reviews that a named person answered, on evidence.")
waive = typer.Typer(no_args_is_help=True, help="Checks that a named person set aside, on evidence.")
grant = typer.Typer(no_args_is_help=True, help="Paid licences, with the agreement as evidence.")

Reason = Annotated[str, typer.Option("--reason", help="Why; it stays on record.")]
As = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="Sign with this identity's key; without it you only claim."),
]
Record = Annotated[
    str, typer.Argument(metavar="ID", help="Of a request or an answer, or the beginning of it.")
]
Stack = Annotated[
    str | None,
    typer.Option("--stack", metavar="ID", help="This stack only; the beginning of its id is enough."),
]
Order = Annotated[
    str,
    typer.Argument(
        metavar="ORDER", help="A manifest, or a job that is held at its shipment.", show_default=False
    ),
]


@approve.command("ask")
def ask_approval(
    order: Order,
    *,
    reason: Reason,
    by: As = None,
    stack: Stack = None,
    use: Use = None,
    as_json: AsJson = False,
) -> None:
    """Ask for approval of every review that an order leaves open: one request a stack."""
    _ask(ApprovalKind.APPROVAL, order, reason, by, stack, use, as_json=as_json)


@waive.command("ask")
def ask_waiver(
    order: Order,
    *,
    reason: Reason,
    by: As = None,
    stack: Stack = None,
    use: Use = None,
    as_json: AsJson = False,
) -> None:
    """Ask that the open checks of an order, such as a quality hold, be set aside: one request a stack."""
    _ask(ApprovalKind.WAIVER, order, reason, by, stack, use, as_json=as_json)


def _ask(
    kind: ApprovalKind,
    order: str,
    reason: str,
    by: str | None,
    stack: str | None,
    use: Act | None,
    *,
    as_json: bool,
) -> None:
    from flows.steps import ask_for_approval, open_questions

    house = enter_house()
    questions = _of_stack(open_questions(house, order, use), stack)
    if not questions:
        raise WrongUse("Nothing there is under review.", "A denial cannot be approved; a permit need not be.")
    asked = [
        ask_for_approval(house, question, kind=kind, reason=reason, requester=by) for question in questions
    ]
    _say_asked(asked, as_json=as_json)


def _of_stack(questions: "Sequence[Question]", stack: str | None) -> "list[Question]":
    return [one for one in questions if one.stack_id.startswith(stack or "")]


def _say_asked(asked: "Sequence[ApprovalRequest]", *, as_json: bool) -> None:
    if as_json:
        print_json(asked)
        return
    for one in asked:
        _show_request(one)


@grant.command("ask")
def ask_grant(
    order: Order,
    *,
    licence: Annotated[str, typer.Option("--licence", metavar="ID", help="The licence it stands beside.")],
    repo: Annotated[list[str], typer.Option("--repo", help="A model that was licensed; may be given again.")],
    licensor: Annotated[str, typer.Option("--licensor", help="Who sold it.")],
    reason: Reason,
    by: As = None,
    stack: Stack = None,
    use: Use = None,
    as_json: AsJson = False,
) -> None:
    """Ask that a paid licence be recorded for what an order is refused: one request a stack."""
    from flows.steps import ask_for_grant, barred_by_licence
    from policy.approvals import Purchase

    house = enter_house()
    barred = _of_stack(barred_by_licence(house, order, repo, use), stack)
    if not barred:
        raise WrongUse(
            f"Nothing there uses {' or '.join(repo)} and is refused.", "What is permitted needs no licence."
        )
    paid = Purchase(licensor=licensor, licence=licence, repos=tuple(repo))
    _say_asked(
        [ask_for_grant(house, one, paid, reason=reason, requester=by) for one in barred], as_json=as_json
    )


def sign(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request.")],
    *,
    by: Annotated[str, typer.Option("--as", metavar="NAME", help="Whose key signs: an approver's.")],
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="The last day on which it counts.")],
    evidence: Annotated[
        list[Path], typer.Option("--evidence", metavar="FILE", help="A file to keep; may be given again.")
    ],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Answer a request with your own key; whoever asked cannot."""
    from flows.steps import give_approval, show_approval

    house, end = enter_house(), end_of_day(until)
    if end is None:
        raise WrongUse("An approval has an end.", "Give --until.")
    given = give_approval(house, request, approver=by, reason=reason, evidence=evidence, valid_until=end)
    shown = show_approval(house, given.approval_id)
    if as_json:
        print_json(shown)
    else:
        _show(shown)


def list_all(*, as_json: AsJson = False) -> None:
    """List open requests, and every answer with whether it counts now."""
    from flows.steps import list_approvals

    found = list_approvals(enter_house())
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "kind", "stack", "act", "by", "state"),
        [
            *(
                (
                    one.request_id,
                    one.kind.value,
                    one.stack_id[:12],
                    one.act.value,
                    f"{one.requester.name} ({one.requester.standing})",
                    "asked",
                )
                for one in found.requests
            ),
            *(
                (
                    one.record.approval_id,
                    _kind(one),
                    one.record.stack_id[:12],
                    one.record.act.value,
                    f"{one.record.approver.name} ({one.record.approver.standing})",
                    f"until {one.record.valid_until:%Y-%m-%d}" if one.stands else " ".join(one.objections),
                )
                for one in found.approvals
            ),
        ],
        empty="Nothing was asked for yet.",
    )


def show(record: Record, *, as_json: AsJson = False) -> None:
    """Show a request, an approval, a waiver or a grant, with who signed and on what evidence."""
    from flows.steps import show_approval, show_request

    house = enter_house()
    if record.startswith("ask-"):
        request = show_request(house, record)
        if as_json:
            print_json(request)
        else:
            _show_request(request)
        return
    shown = show_approval(house, record)
    if as_json:
        print_json(shown)
    else:
        _show(shown)


def withdraw(record: Record, *, reason: Reason, as_json: AsJson = False) -> None:
    """End an approval, waiver or grant at once; its record stays."""
    from flows.steps import withdraw_approval

    ended = withdraw_approval(enter_house(), record, reason)
    if as_json:
        print_json(ended)
    else:
        say(f"Withdrew {ended.record.approval_id}.")


for app in (approve, waive, grant):
    app.command("sign")(sign)
    app.command("list")(list_all)
    app.command("show")(show)
    app.command("withdraw")(withdraw)


def _kind(shown: "ApprovalShown") -> str:
    from policy.approvals import Approval

    return shown.record.kind.value if isinstance(shown.record, Approval) else ApprovalKind.GRANT.value


def _show_request(one: "ApprovalRequest") -> None:
    print_pairs(
        [
            ("request", one.request_id),
            ("for", f"{one.kind.value} of stack {one.stack_id}"),
            ("act", one.act.value),
            ("about", "; ".join(one.answers) or (one.paid and one.paid.licence) or ""),
            ("asked by", f"{one.requester.name} ({one.requester.standing})"),
            ("because", one.reason),
        ]
    )
    if not one.requester.is_signed:
        say("Nobody can approve a request that is only claimed: ask again with --as NAME.")


def _show(shown: "ApprovalShown") -> None:
    one = shown.record
    print_data(
        f"{_kind(shown)} {one.approval_id}: {'stands' if shown.stands else ' '.join(shown.objections)}"
    )
    print_pairs(
        [
            ("stack", one.stack_id),
            ("act", one.act.value),
            ("asked by", f"{one.requester.name} ({one.requester.standing})"),
            ("approved by", f"{one.approver.name} ({one.approver.standing})"),
            ("key id", one.approver.key_id),
            ("because", one.reason),
            ("until", f"{one.valid_until:%Y-%m-%d %H:%M}"),
            *(("evidence", f"{file.name}, sha256 {file.sha256}") for file in one.evidence),
        ]
    )
