"""``rightstep worker``: who renders now, and the words that add some, send one away or let one back."""

from typing import TYPE_CHECKING, Annotated

import typer

from policy.wording import duration, plural
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson, Job
from rightstep.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from registry.ledger_workers import WorkerAtWork

Worker = Annotated[
    str,
    typer.Argument(metavar="WORKER", help="host:pid, as the list names it.", show_default=False),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the audit log.")]

app = typer.Typer(
    no_args_is_help=True, help="Who renders now; words that add some, send one away, let one back."
)


@app.command("list")
def list_workers(*, as_json: AsJson = False) -> None:
    """List the workers of every job under way: what each holds, and what it has done."""
    from flows.steps import list_workers as found

    workers = found(enter_house())
    if as_json:
        print_json(workers)
        return
    print_table(
        ("worker", "job", "device", "stack", "chunks", "batches", "seen", "state", "why"),
        [
            (
                one.worker,
                one.job_id,
                one.device,
                one.stack,
                str(one.in_flight),
                f"{one.batches:,}",
                f"{one.seen_at:%H:%M:%S}",
                *_state(one),
            )
            for one in workers
        ],
        right=(4, 5),
        empty="No worker is at work: they start with a job and end with it.",
    )


@app.command("add")
def add(
    job: Job,
    workers: Annotated[int, typer.Argument(metavar="N", min=1, max=4096, help="How many more.")],
    *,
    device: Annotated[
        str | None,
        typer.Option("--device", help="Their class, where the fleet has several.", show_default="its first"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add workers to a job: its driver starts them within a second, and its end is foretold anew."""
    from flows.steps import add_workers

    found = add_workers(enter_house(), job, workers, device)
    if as_json:
        print_json(found)
        return
    more = f"{plural(found.workers, 'worker')} more on {found.device}"
    say(f"{more} for job {found.job.job_id}: it has {found.crew}.")
    if found.round is not None:
        risk = ", and the deadline is at risk" if found.round.at_risk else ""
        say(f"It takes {duration(found.round.p50)} more, {duration(found.round.p95)} at p95{risk}.")


@app.command("drain")
def drain(worker: Worker, *, reason: Reason, as_json: AsJson = False) -> None:
    """Send a worker away: it ends with what it has begun, and nobody takes its place in this job."""
    from flows.steps import drain_worker

    found = drain_worker(enter_house(), worker, reason)
    if as_json:
        print_json(found)
    else:
        left = f" after {plural(found.in_flight, 'chunk')}" if found.in_flight else ""
        say(f"Worker {found.worker} leaves job {found.job_id}{left}.")


@app.command("readmit")
def readmit(worker: Worker, *, reason: Reason, as_json: AsJson = False) -> None:
    """Let a barred worker back: its place gets a clean record, and a process where it had been closed."""
    from flows.steps import readmit_worker

    found = readmit_worker(enter_house(), worker, reason)
    if as_json:
        print_json(found)
    else:
        say(
            f"Worker {found.worker} is readmitted to job {found.job_id}; "
            "its driver hears of it within a second."
        )


def _state(one: "WorkerAtWork") -> tuple[str, str]:
    """In a word, and why."""
    if one.readmitted_by is not None:
        return "readmitted", f"by {one.readmitted_by}; {one.barred_because}"
    if one.is_barred:
        return "barred", one.barred_because
    if one.is_draining:
        return "leaves", f"{one.drained_because} ({one.drained_by})"
    return "works", ""
