"""``rightstep up``, ``down`` and ``status``: the standing house."""

from typing import TYPE_CHECKING

from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson
from rightstep.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from flows.steps import HouseStatus


def up(*, as_json: AsJson = False) -> None:
    """Start the standing house: a Prefect server, a flow runner and Ray, on loopback, under RIGHTSTEP_HOME.

    Commands use it while it is up; schedules need it. Starting twice changes nothing.
    """
    from flows.steps import bring_up

    say("Starting the house ...")
    show(bring_up(enter_house()), as_json=as_json)


def down(*, as_json: AsJson = False) -> None:
    """Stop the standing house; unfinished jobs keep what they have and can be resumed."""
    from flows.steps import take_down

    show(take_down(enter_house()), as_json=as_json)


def status(*, as_json: AsJson = False) -> None:
    """Show the standing house and the jobs that are under way."""
    from flows.steps import status as look

    show(look(enter_house()), as_json=as_json)


def show(found: "HouseStatus", *, as_json: bool) -> None:
    """The services, then the jobs that are not over."""
    if as_json:
        print_json(found)
        return
    print_table(
        ("service", "state", "address", "process", "detail"),
        [
            (one.name, "up" if one.is_up else "down", one.address, one.pid, one.detail)
            for one in found.services
        ],
    )
    print_table(
        ("job", "name", "state", "made", "of"),
        [
            (job.job_id, job.name, job.state.value, f"{job.counts.made:,}", f"{job.counts.shots:,}")
            for job in found.jobs
        ],
        right=(3, 4),
        empty="No job is under way.",
    )
