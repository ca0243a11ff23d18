"""``rightstep schedule``: orders that come round by themselves."""

from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson, Manifest, Use
from rightstep.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from flows.steps import ScheduleRecord

app = typer.Typer(no_args_is_help=True, help="Orders that come round by themselves.")


@app.command("add")
def add(
    manifest: Manifest,
    *,
    cron: Annotated[str, typer.Option("--cron", metavar="CRON", help='When, such as "0 19 * * 1-5".')],
    timezone: Annotated[
        str | None,
        typer.Option(
            "--timezone", metavar="ZONE", help="The IANA zone of the times; the manifest's otherwise."
        ),
    ] = None,
    use: Use = None,
    as_json: AsJson = False,
) -> None:
    """Render a manifest on a cron schedule; the standing house (`rightstep up`) fires it."""
    from flows.steps import add_schedule

    made = add_schedule(enter_house(), manifest, cron=cron, timezone=timezone, use=use)
    if as_json:
        print_json(made)
        return
    say(f"Schedule {made.name}: {made.cron} ({made.timezone}), next {next_run(made)}.")
    if not made.will_fire:
        say("Nothing is up to fire it: start the standing house with `rightstep up`.")


@app.command("list")
def list_schedules(*, as_json: AsJson = False) -> None:
    """List the schedules, with when each runs next."""
    from flows.steps import list_schedules as found

    schedules = found(enter_house())
    if as_json:
        print_json(schedules)
        return
    print_table(
        ("name", "manifest", "cron", "zone", "next"),
        [(one.name, one.manifest, one.cron, one.timezone, next_run(one)) for one in schedules],
        empty="No schedule yet: `rightstep schedule add MANIFEST --cron` makes one.",
    )


def next_run(schedule: "ScheduleRecord") -> str:
    """When it runs next, on the clock of its own zone."""
    if schedule.next_run is None:
        return "never"
    return f"{schedule.next_run.astimezone(ZoneInfo(schedule.timezone)):%a %d %b %Y, %H:%M}"


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `rightstep schedule list`.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Remove a schedule; jobs that it has started go on."""
    from flows.steps import remove_schedule

    removed = remove_schedule(enter_house(), name)
    if as_json:
        print_json(removed)
    else:
        say(f"Removed schedule {name}.")
