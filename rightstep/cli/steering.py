"""``rightstep job pause|cancel|requeue|eat|priority|deadline|budget``: a word to a job under way."""

from typing import Annotated

import typer

from policy.errors import WrongUse
from policy.limits import BudgetEnd
from policy.wording import duration, names, plural
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson, Job
from rightstep.cli.output import print_json, say
from rightstep.cli.shapes import DeadlineAnswer, JobAnswer, ShotsAnswer

NONE = "none"  # no deadline, no budget

Shots = Annotated[
    list[str],
    typer.Argument(metavar="SHOT...", help="Names of shots of the job.", show_default=False),
]
MaybeShots = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SHOT...]",
        help="Names of shots; all that were given up where none is named.",
        show_default=False,
    ),
]


def add_words(app: typer.Typer) -> None:
    """Put every word among the commands of ``rightstep job``."""
    app.command("pause")(pause)
    app.command("cancel")(cancel)
    app.command("requeue")(requeue)
    app.command("eat")(eat)
    app.command("priority")(priority)
    app.command("deadline")(deadline)
    app.command("budget")(budget)


def pause(
    job: Job,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; the job and the audit log say it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Pause a job: nothing more of it is begun, what is in flight ends; `rightstep job resume` goes on."""
    from flows.steps import pause_job

    record = pause_job(enter_house(), job, reason)
    if as_json:
        print_json(JobAnswer(job=record))
        return
    flying = f"; {plural(record.counts.leased, 'shot')} in flight will end" if record.counts.leased else ""
    say(f"Paused job {record.job_id}{flying}. `rightstep job resume {record.job_id}` goes on.")


def cancel(job: Job, *, as_json: AsJson = False) -> None:
    """Cancel a job: workers stop at the next step, finished pictures are kept."""
    from flows.steps import cancel_job

    record = cancel_job(enter_house(), job)
    if as_json:
        print_json(JobAnswer(job=record))
    else:
        say(f"Cancelled job {record.job_id}; {plural(record.counts.made, 'picture')} kept.")


def requeue(job: Job, shots: MaybeShots = None, *, as_json: AsJson = False) -> None:
    """Give shots that were given up another attempt, or eaten ones that you name."""
    from flows.steps import requeue_shots

    found = requeue_shots(enter_house(), job, shots or ())
    if as_json:
        print_json(ShotsAnswer(job=found.job, shots=found.shots))
    elif not found.shots:
        say(f"Nothing changed in job {found.job.job_id}: they wait already.")
    else:
        job_id = found.job.job_id
        say(
            f"Queued {plural(len(found.shots), 'shot')} of job {job_id} again: {names(found.shots)}. "
            f"Whoever renders it takes them up; where nobody does: rightstep job resume {job_id}."
        )


def eat(
    job: Job,
    shots: Shots,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; report and audit log name you and it.")],
    as_json: AsJson = False,
) -> None:
    """Close shots unmade, on your word: neither done nor failed, and the report says who and why."""
    from flows.steps import eat_shots

    found = eat_shots(enter_house(), job, shots, reason)
    if as_json:
        print_json(ShotsAnswer(job=found.job, shots=found.shots))
    elif not found.shots:
        say(f"Nothing changed in job {found.job.job_id}: they were eaten before.")
    else:
        say(
            f"Ate {plural(len(found.shots), 'shot')} of job {found.job.job_id}: {names(found.shots)}. "
            f"The job is {found.job.state.value}."
        )


def priority(
    job: Job,
    number: Annotated[
        int, typer.Argument(metavar="PRIORITY", min=-1000, max=1000, help="0 is where all begin.")
    ],
    *,
    shots: Annotated[
        list[str] | None,
        typer.Option("--shot", metavar="SHOT", help="Of this shot instead; may be given again."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a job before others of its tier on a shared fleet; with --shot, shots before the rest of it."""
    from flows.steps import put_job_before, put_shots_before

    if shots:
        found = put_shots_before(enter_house(), job, shots, number)
        if as_json:
            print_json(ShotsAnswer(job=found.job, shots=found.shots))
        else:
            say(f"{plural(len(found.shots), 'shot')} of job {found.job.job_id} at priority {number}.")
        return
    record = put_job_before(enter_house(), job, number)
    if as_json:
        print_json(JobAnswer(job=record))
    else:
        say(f"Job {record.job_id} at priority {number} among jobs of tier {record.tier}.")


def deadline(
    job: Job,
    when: Annotated[
        str,
        typer.Argument(
            metavar="WHEN",
            help="An ISO time, HH:MM in the zone of the order, or none for no deadline.",
            show_default=False,
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Move the deadline of a job; queued shots get fewer or more steps where the order allows it."""
    from flows.steps import move_deadline

    moved = move_deadline(enter_house(), job, None if when == NONE else when)
    if as_json:
        print_json(DeadlineAnswer(job=moved.job, round=moved.round))
        return
    job_id = moved.job.job_id
    if moved.job.deadline is None:
        say(f"Job {job_id} has no deadline any more.")
        return
    say(f"Job {job_id} is due {moved.job.deadline:%Y-%m-%d %H:%M %Z}.")
    if moved.round is not None:
        for change in moved.round.changes:
            say(f"{plural(change.shots, 'shot')}: {change.reason}")
        if moved.round.at_risk:
            left = duration(max(moved.round.left_seconds, 0.0))
            say(f"The deadline is at risk: {duration(moved.round.p95)} of work (p95) for {left}.")


def budget(
    job: Job,
    seconds: Annotated[
        str,
        typer.Argument(
            metavar="SECONDS", help="Of workers, loads included; or none for no budget.", show_default=False
        ),
    ],
    *,
    then: Annotated[
        BudgetEnd | None,
        typer.Option("--then", help="What becomes of the job when it is spent.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give a job a budget of worker seconds; spent, it is held, ends with what is in flight, or stops."""
    from flows.steps import set_budget

    record = set_budget(enter_house(), job, _seconds(seconds), then)
    if as_json:
        print_json(JobAnswer(job=record))
    elif record.budget_seconds is None:
        say(f"Job {record.job_id} has no budget any more.")
    else:
        told = f"{duration(record.budget_seconds)} of workers, then {record.budget_end.value}"
        say(f"Job {record.job_id} has {told}.")


def _seconds(text: str) -> float | None:
    if text == NONE:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise WrongUse(f"{text!r} is no number of seconds.", "Write 3600, or none.") from error
