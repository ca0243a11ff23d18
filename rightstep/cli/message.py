"""``rightstep message list|send``: what is told about jobs by webhook and e-mail."""

from typing import TYPE_CHECKING

import typer

from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson
from rightstep.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from registry.messages import MessageRecord

app = typer.Typer(no_args_is_help=True, help="What is told about jobs, by webhook and by e-mail.")


@app.command("list")
def list_messages(*, as_json: AsJson = False) -> None:
    """List the newest messages: what was sent, what waits and why, what was given up."""
    from flows.steps import list_messages as found

    messages = found(enter_house())
    if as_json:
        print_json(messages)
        return
    print_table(
        ("message", "job", "event", "by", "state", "tries", "fault"),
        [
            (one.message_id, one.job_id, one.event, one.channel, state_of(one), str(one.tries), one.fault)
            for one in messages
        ],
        right=(5,),
        empty="There is no message.",
    )


@app.command("send")
def send(*, as_json: AsJson = False) -> None:
    """Send what is due now; the standing house and whoever renders do so by themselves."""
    from flows.steps import post_due

    posted = post_due(enter_house())
    if as_json:
        print_json(posted)
    else:
        say(f"{posted.sent} sent, {posted.failed} to be tried again, {posted.given_up} given up.")


def state_of(one: "MessageRecord") -> str:
    """Where a message stands, in words."""
    if one.sent_at is not None:
        return "done"
    if one.given_up_at is not None:
        return "given up"
    return f"due {one.due_at:%Y-%m-%d %H:%M:%S}"
