"""The night: a deployment whose schedules bring orders round by themselves.

A flow run reads the manifest as it stands when it fires, and walks the path of
``rightstep render``: plan, gate, submit, render, export.
"""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.states import Completed, Failed

from flows.announcing import announce_refusal
from flows.bootstrap import House, open_house
from flows.orders import cancel_order, deliver, submit_order
from flows.planning import Overrides
from flows.render_batch import render_batch
from flows.rendering import job_of
from flows.settings import load_settings
from policy.errors import RightstepError
from policy.uses import Act
from registry.records import JobRecord, JobState

Outcome = State[Any]


def relay_cancellation(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """A night that is cancelled in Prefect cancels its job, which reaches the workers at the next step."""
    del flow, state  # Prefect passes them by name
    given = flow_run.parameters
    house = open_house(load_settings())
    cancel_order(house, Path(given["manifest_path"]), overnight_overrides(given.get("use")))


@flow(name="overnight", persist_result=False, validate_parameters=False, on_cancellation=[relay_cancellation])
def overnight(manifest_path: str, use: str | None = None) -> Outcome:
    """Render a manifest at its own service level, and export it to ``out/JOB`` below the home."""
    return render_order(Path(manifest_path), overnight_overrides(use))


def overnight_overrides(use: str | None) -> Overrides:
    """What a schedule says over its manifest."""
    return Overrides(use=None if use is None else Act(use))


def render_order(path: Path, overrides: Overrides, key: str | None = None) -> Outcome:
    """An order from file to exported pictures; a refusal or fault is a Failed state that says why.

    The same ``key`` is the same job, however often its event comes.
    """
    house = open_house(load_settings())
    try:
        job = submit_order(house, path, overrides, key)
    except RightstepError as error:
        announce_refusal(house, path, error)
        return Failed(message=str(error))
    try:
        return render_submitted(house, job)
    except RightstepError as error:
        return Failed(message=str(error))


def render_submitted(house: House, job: JobRecord) -> Outcome:
    """A job from the ledger to exported pictures."""
    if not job.state.is_at_rest:
        render_batch(job.job_id)
        job = job_of(house, job.job_id)
    deliver(house, job.job_id)
    told = f"Job {job.job_id} is {job.state.value}: {job.counts.made:,} of {job.counts.shots:,} shots made."
    if job.state is JobState.FINISHED:
        return Completed(message=told)
    return Failed(message=f"{told} {job.detail}".strip())
