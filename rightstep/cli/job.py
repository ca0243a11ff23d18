"""``rightstep job``: submitted orders, from the first picture to the report."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.tasks import TakeState
from policy.wording import duration, plural
from rightstep.cli import steering
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson, Job, Videos
from rightstep.cli.output import ExitCode, print_json, print_pairs, print_table, say
from rightstep.cli.progress import Ticker
from rightstep.cli.shapes import Files, JobAnswer, ReportAnswer

if TYPE_CHECKING:
    from flows.reports.predictions import Prediction
    from flows.steps import Exported
    from registry.records import JobRecord, ReplanningRecord, ShotRecord

REASONS = 3  # that are said of a failed job

app = typer.Typer(no_args_is_help=True, help="Submitted orders, from the first picture to the report.")


@app.command("list")
def list_jobs(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the latest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the latest jobs with their state and counts."""
    from flows.steps import list_jobs as found

    jobs = found(enter_house(), limit)
    if as_json:
        print_json(jobs)
        return
    print_table(
        ("job", "name", "state", "tier", "shots", "done", "reused", "given up", "submitted"),
        [
            (
                job.job_id,
                job.name,
                job.state.value,
                job.tier,
                f"{job.counts.shots:,}",
                f"{job.counts.done:,}",
                f"{job.counts.reused:,}",
                f"{job.counts.dead:,}",
                f"{job.submitted_at:%Y-%m-%d %H:%M}",
            )
            for job in jobs
        ],
        right=(4, 5, 6, 7),
        empty="No job yet: `rightstep render MANIFEST` makes one.",
    )


@app.command("show")
def show(
    job: Job,
    *,
    shots: Annotated[bool, typer.Option("--shots", help="List every shot as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a job: its state, its counts, its promise; with --shots every shot."""
    from flows.steps import job_of, rounds_of, shots_of

    house = enter_house()
    record = job_of(house, job)
    listed = shots_of(house, record.job_id) if shots else ()
    rounds = rounds_of(house, record.job_id)
    if as_json:
        print_json(JobAnswer(job=record, shots=listed if shots else None, rounds=rounds))
        return
    show_record(record)
    show_rounds(rounds)
    if shots:
        print_table(
            ("shot", "state", "attempts", "seconds", "sha256", "detail"),
            [
                (
                    shot.name,
                    shot.state.value,
                    shot.attempts,
                    f"{shot.seconds:.2f}" if shot.seconds is not None else "",
                    shot.artefact.sha256[:12] if shot.artefact else "",
                    shot.detail,
                )
                for shot in listed
            ],
            right=(2, 3),
        )


def show_record(record: "JobRecord") -> None:
    """A job as pairs."""
    counts = record.counts
    print_pairs(
        [
            ("job", record.job_id),
            ("name", record.name),
            ("state", record.state.value),
            *((("detail", record.detail),) if record.detail else ()),
            ("shots", counts.shots),
            ("done", counts.done),
            ("reused", counts.reused),
            ("waiting", counts.open),
            ("given up", counts.dead),
            *((("eaten", counts.eaten),) if counts.eaten else ()),
            ("tier", record.tier),
            *((("priority", record.priority),) if record.priority else ()),
            *((("deadline", f"{record.deadline:%Y-%m-%d %H:%M %Z}"),) if record.deadline else ()),
            ("for", record.act),
            ("owner", record.owner or "nobody named"),
            ("plan", record.plan_hash),
        ]
    )


def show_rounds(rounds: "Sequence[ReplanningRecord]") -> None:
    """How the night was planned anew, and whether its deadline is at risk now."""
    if not rounds:
        return
    print_table(
        ("planned anew", "left", "finish p95", "shots", "what and why"),
        [
            (
                f"{one.at:%Y-%m-%d %H:%M:%S %Z}",
                duration(max(one.left_seconds, 0.0)),
                duration(one.p95),
                f"{sum(change.shots for change in one.changes):,}",
                " ".join(
                    [
                        *(change.reason for change in one.changes),
                        *(["The deadline is at risk."] if one.at_risk else []),
                    ]
                )
                or "The deadline is safe again.",
            )
            for one in rounds
        ],
        right=(1, 2, 3),
    )


@app.command("watch")
def watch(job: Job, *, as_json: AsJson = False) -> None:
    """Watch a job that another process runs until it ends; Ctrl-C stops watching, not the job."""
    from flows.steps import watch_job

    house = enter_house()
    with Ticker() as ticker:
        record = watch_job(house, job, ticker)
    leave(record, as_json=as_json)


@app.command("resume")
def resume(job: Job, *, as_json: AsJson = False) -> None:
    """Go on with a job that was stopped, killed, held or paused; finished shots are never rendered again."""
    from flows.steps import resume_job, shots_of

    house = enter_house()
    with kept_when_stopped(job), Ticker() as ticker:
        record = resume_job(house, job, ticker)
    if record.counts.dead:
        say_why(shots_of(house, record.job_id))
    leave(record, as_json=as_json)


@contextmanager
def kept_when_stopped(job: str) -> Generator[None]:
    """Ctrl-C ends the command and not the job: say how it goes on."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"Stopped. What is finished is kept; `rightstep job resume {job}` goes on.")
        raise


@contextmanager
def goes_on_when_left(job: str) -> Generator[None]:
    """Ctrl-C ends the waiting and nothing else: say how the job is found again, and how it is ended."""
    try:
        yield
    except KeyboardInterrupt:
        say(
            f"Stopped waiting; the house goes on with job {job}. "
            f"`rightstep job watch {job}` waits again, `rightstep job cancel {job}` ends it."
        )
        raise


@app.command("report")
def report(
    job: Job,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the pages and pictures go.")
    ] = Path("out"),
    video: Videos = None,
    as_json: AsJson = False,
) -> None:
    """Write a job's pictures, contact sheet and morning report into a folder."""
    from flows.steps import export_job

    exported = export_job(enter_house(), job, out, videos=tuple(dict.fromkeys(video or ())))
    if as_json:
        print_json(ReportAnswer(files=files_of(exported), prediction=exported.prediction))
    else:
        print_files(exported)
        print_pairs(predicted(exported.prediction))


def files_of(exported: "Exported") -> Files:
    """What was written for people, as data."""
    return Files(
        folder=str(exported.out),
        pictures=exported.pictures,
        contact_sheet=str(exported.contact_sheet),
        report=str(exported.report),
        notices=str(exported.notices) if exported.notices else None,
    )


def predicted(prediction: "Prediction") -> list[tuple[str, str]]:
    """What was predicted beside what happened, a line each."""
    if not prediction.courses:
        return []
    took, planned = duration(prediction.device_real), duration(prediction.device_p50)
    lines = [("Device time", f"{took}, predicted {planned} ({prediction.device_error:.0%} off)")]
    for label, told in (("Told at submit", prediction.submitted), ("Told early", prediction.early)):
        if told is not None:
            when = f", with {told.share:.0%} made" if told.share else ""
            band = f"an end after {duration(told.p50)} (p95 {duration(told.p95)}){when}"
            lines.append((label, f"{band}; it was {duration(told.real)} ({told.error:.0%} off)"))
    return lines


def print_files(exported: "Exported") -> None:
    """What was written for people, in lines."""
    print_pairs(
        [
            ("Pictures", f"{exported.pictures:,} in {exported.out}"),
            ("Contact sheet", exported.contact_sheet),
            ("Morning report", exported.report),
            *((("Notices", exported.notices),) if exported.notices else ()),
        ]
    )


def say_why(shots: "Sequence[ShotRecord]") -> None:
    """Why shots were given up, the most frequent reason first, and how to go on."""
    lost = [shot for shot in shots if shot.state is TakeState.DEAD]
    for detail, count in Counter(shot.detail for shot in lost).most_common(REASONS):
        say(f"Given up: {plural(count, 'shot')}: {detail}")
    for job_id in {shot.job_id for shot in lost}:
        say(f"Next: put that right, then `rightstep job resume {job_id}`.")


def leave(record: "JobRecord", *, as_json: bool) -> None:
    """Say how a job ended, and exit with 3 where shots are missing."""
    if as_json:
        print_json(JobAnswer(job=record))
    else:
        say(ending(record))
    if record.counts.missing:
        raise typer.Exit(ExitCode.BROKEN)


def ending(record: "JobRecord") -> str:
    """How a job ended, in a sentence."""
    counts = record.counts
    took = ""
    if record.started_at and record.ended_at:
        took = f" in {duration((record.ended_at - record.started_at).total_seconds())}"
    made = f"{counts.made:,} of {plural(counts.shots, 'shot')} made{took}"
    parts = [made, *((f"{counts.reused:,} reused",) if counts.reused else ())]
    parts += [f"{counts.dead:,} given up"] if counts.dead else []
    parts += [f"{counts.eaten:,} eaten"] if counts.eaten else []
    return f"Job {record.job_id} {record.state.value}: {', '.join(parts)}."


steering.add_words(app)
