"""``rightstep audit erase-prompts|hold|release|holds``: what may be forgotten, and what may not."""

from typing import Annotated

import typer

from policy.wording import plural
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson, Job
from rightstep.cli.output import print_json, print_table, say

Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the audit log.")]


def erase_prompts(job: Job, *, reason: Reason, as_json: AsJson = False) -> None:
    """Erase the prompts of a finished job for good; refused under a legal hold. The audit log still holds."""
    from flows.steps import erase_prompts as erase

    erased = erase(enter_house(), job, reason)
    if as_json:
        print_json(erased)
    else:
        say(f"Erased the prompts of {plural(erased.shots, 'shot')} of {erased.job_id}.")


def hold(job: Job, *, reason: Reason, as_json: AsJson = False) -> None:
    """Place a legal hold: nothing of the job is erased until it is released."""
    from flows.steps import hold_job

    held = hold_job(enter_house(), job, reason)
    if as_json:
        print_json(held)
    else:
        say(f"{held.hold_id} holds {held.job_id}.")


def release(
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="Id of the hold.")],
    *,
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Release one legal hold; others of the job stay."""
    from flows.steps import release_hold

    freed = release_hold(enter_house(), hold_id, reason)
    if as_json:
        print_json(freed)
    else:
        say(f"Released {freed.hold_id} of {freed.job_id}.")


def holds(job: Job, *, as_json: AsJson = False) -> None:
    """List the legal holds of a job, released ones too."""
    from flows.steps import holds_of

    found = holds_of(enter_house(), job)
    if as_json:
        print_json(found)
        return
    print_table(
        ("hold", "since", "by", "because", "released"),
        [
            (one.hold_id, f"{one.held_at:%Y-%m-%d}", one.held_by, one.reason, one.released_because or "")
            for one in found
        ],
        empty="Nothing holds this job.",
    )
