"""``rightstep render``: an order from manifest to pictures, with everything said on the way."""

from typing import TYPE_CHECKING, Annotated

import typer

from policy.errors import Refused, WrongUse
from policy.plan import PlanRefusal
from policy.wording import duration, plural
from rightstep.cli.door import enter_house
from rightstep.cli.job import ending, files_of, goes_on_when_left, kept_when_stopped, print_files, say_why
from rightstep.cli.options import AsJson, Context, Deadline, Folder, Manifest, Tier, Use
from rightstep.cli.output import ExitCode, print_data, print_json, say
from rightstep.cli.plan import show_refusal
from rightstep.cli.progress import Ticker
from rightstep.cli.shapes import RenderAnswer

if TYPE_CHECKING:
    from flows.steps import Exported, Preflight
    from policy.plan import ExecutionPlan
    from registry.records import JobRecord
    from registry.shipment_records import ShipmentRecord

STOPPED = frozenset({"finished", "failed", "cancelled", "held", "paused"})  # nobody is rendering it any more


def render(
    manifest: Manifest,
    *,
    tier: Tier = None,
    deadline: Deadline = None,
    use: Use = None,
    context: Context = None,
    out: Folder = None,
    ship: Annotated[bool, typer.Option("--ship", help="Ship the job when every shot is made.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Submit and return; a process of its own renders it.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Let the standing house render it, and wait; Ctrl-C stops waiting only."),
    ] = False,
    once: Annotated[
        str | None,
        typer.Option(
            "--once",
            metavar="KEY",
            help="A name for this request: given again with the same file, it is the same job.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Render an order: plan it, ask the licences, run it, write pictures, contact sheet and report.

    The same unfinished order is taken up where it stands; shots that were made before are reused. Ctrl-C
    leaves a job that `rightstep job resume` finishes. Exits with 1 when policy or a licence refuses, with 3
    when shots could not be made.
    """
    from flows.steps import (
        Overrides,
        export_job,
        hand_in,
        order_of_file,
        preflight,
        render_by_house,
        render_job,
        require_standing_house,
        ship_job,
        shots_of,
    )

    if wait and detach:
        raise WrongUse("--wait and --detach cannot both be meant.", "Give one of them.")
    house = enter_house()
    if wait:
        require_standing_house(house)
    overrides = Overrides(tier=tier, deadline=deadline, use=use, context=context)
    order = order_of_file(house, manifest, overrides, key=once)
    job = hand_in(house, order, lambda plan: show_preflight(plan, preflight(house, plan)))
    if isinstance(job, PlanRefusal):
        raise typer.Exit(show_refusal(job, as_json=as_json))
    say(f"Job {job.job_id}{known_as(job)}.")
    if detach:
        job = render_job(house, job.job_id, detach=True)
        say(f"It runs by itself: `rightstep job watch {job.job_id}` shows how far it is.")
        finish(job, None, None, as_json=as_json)
        return
    if wait:
        with goes_on_when_left(job.job_id), Ticker() as ticker:
            job = render_by_house(house, job.job_id, ticker)
    else:
        with kept_when_stopped(job.job_id), Ticker() as ticker:
            job = render_job(house, job.job_id, ticker)
    shipment, refusal = None, None
    if ship and job.counts.made and not job.counts.missing:
        try:
            shipment = ship_job(house, job.job_id, tell=say)
        except Refused as refused:  # what was made is still worth a look
            refusal = refused
    exported = export_job(house, job.job_id, out) if out is not None else None
    if refusal is not None:
        raise refusal
    if job.counts.dead:
        say_why(shots_of(house, job.job_id))
    finish(job, shipment, exported, as_json=as_json)


def known_as(job: "JobRecord") -> str:
    """What is said of a job that was there before this order came."""
    if not job.attached:
        return ""
    return f", {job.state.value} already" if job.state in STOPPED else ", taken up where it stands"


def finish(
    job: "JobRecord", shipment: "ShipmentRecord | None", exported: "Exported | None", *, as_json: bool
) -> None:
    """Say what came of it, and exit with 3 where a job has ended without all of its shots."""
    if as_json:
        print_json(RenderAnswer(job=job, shipment=shipment, files=files_of(exported) if exported else None))
    else:
        print_data(ending(job))
        if shipment is not None:
            items = plural(len(shipment.items), "item")
            print_data(f"Shipped {items} as {shipment.shipment_id}, notices {shipment.notices_sha256[:12]}.")
        if exported is not None:
            print_files(exported)
    if job.state in STOPPED and job.counts.missing:
        raise typer.Exit(ExitCode.BROKEN)


def show_preflight(plan: "ExecutionPlan", checked: "Preflight") -> None:
    """What the order will take, before anything is started."""
    say(
        f"{plan.manifest.name}: {plural(plan.totals.shots, 'shot')}, "
        f"{plural(checked.forward_passes, 'forward pass')}. Plan {plan.plan_hash[:12]}."
    )
    price = f", {checked.price:,.2f} {checked.currency}" if checked.price is not None else ""
    say(
        f"Predicted: {duration(checked.seconds_p50)} (p95 {duration(checked.seconds_p95)}), "
        f"{duration(checked.device_seconds)} of device time{price}; "
        f"{checked.disk_needed / 1e6:,.1f} MB of {checked.disk_free / 1e9:,.1f} GB free disk."
    )
    for warning in checked.warnings:
        say(f"Note: {warning}")
