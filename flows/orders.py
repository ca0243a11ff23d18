"""An order from its file to its job and out again, as a flow or a waiting caller starts it."""

import time
from pathlib import Path
from typing import Any

from flows.announcing import announce_job
from flows.bootstrap import House
from flows.exporting import Exported, export_job
from flows.handing_in import EVENTS, hand_in, order_of_file
from flows.judging import judge_job
from flows.manifest_files import load_manifest
from flows.planning import Overrides, apply_overrides
from flows.prefect_requests import ON_DEMAND, SUBMITTED, PrefectApi, ask, deployment_of
from flows.prefect_server import standing_server
from flows.progress import OnProgress, report_stage, watched
from flows.rendering import WATCH_SECONDS, job_of, list_jobs
from flows.steering import cancel_job
from flows.submitting import error_of, job_key
from flows.turns import is_driven
from policy.errors import ServiceFault
from policy.manifest import RenderManifest
from policy.plan import PlanRefusal
from policy.tiers import ServiceTier
from registry.records import JobRecord

FINAL_STATES = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})  # of a flow run


def submit_order(house: House, path: Path, overrides: Overrides, key: str | None = None) -> JobRecord:
    """Plan a manifest as it is now and submit it; a refusal is audited once and raised as Refused.

    The same unfinished order is taken up where it stands; the same ``key`` of an event is the same job.
    """
    found = hand_in(house, order_of_file(house, path, overrides, client=EVENTS, key=key))
    if isinstance(found, PlanRefusal):
        raise error_of(found)
    return found


def deliver(house: House, job_id: str) -> Exported:
    """Write pictures and pages where a standing house keeps them: ``RIGHTSTEP_HOME/out/JOB``."""
    return export_job(house, job_id, house.settings.home / "out" / job_id)


def cancel_order(house: House, path: Path, overrides: Overrides) -> None:
    """Cancel what is under way of an order; nothing where nothing is."""
    key = job_key(_order(house, path, overrides))
    for job in list_jobs(house):
        if job.job_key == key and not job.state.is_finished:
            cancel_job(house, job.job_id)


def run_on_demand(house: House, path: Path, *, tier: ServiceTier = ServiceTier.INTERACTIVE) -> str:
    """Ask the standing house for a job now; returns the id of the flow run. ServiceFault where none is up.

    The same order asked for twice is one flow run, until its job is over.
    """
    server, deployment = _standing(house, ON_DEMAND)
    key = job_key(_order(house, path, Overrides(tier=tier)))
    over = sum(job.job_key == key and job.state.is_finished for job in list_jobs(house))
    parameters = {"manifest_path": str(path.expanduser().absolute()), "tier": tier.value}
    return _run(server, deployment, parameters, f"{key}-{over}")


def require_standing_house(house: House) -> None:
    """ServiceFault where nobody would take a submitted job now."""
    _standing(house, SUBMITTED)


def start_job(house: House, job_id: str, *, again: bool = False) -> str | None:
    """Ask the standing house to render what is open of a submitted job; ServiceFault where none is up.

    Asked twice it is one flow run; ``again`` starts another where the driver of the first is
    gone. A job whose shots are all made is judged here and now. Returns the id of the flow run,
    None where none was asked for.
    """
    job = job_of(house, job_id)
    if _is_at_rest(job):
        return None
    if not job.counts.open:
        judge_job(house, job.job_id)
        announce_job(house, job_of(house, job.job_id))
        return None
    server, deployment = _standing(house, SUBMITTED)
    if again and is_driven(house, job.job_id):
        return None
    return _run(server, deployment, {"job_id": job.job_id}, None if again else job.job_id)


def render_by_house(house: House, job_id: str, on_progress: OnProgress) -> JobRecord:
    """Have the standing house render a job, and wait until it is over or held.

    Whoever stops waiting stops nothing else. ServiceFault where no house is up, or where the
    flow run has ended and the job goes on nowhere.
    """
    run = start_job(house, job_id)
    if run is not None and _has_ended(house, run):  # of a driver that is gone
        run = start_job(house, job_id, again=True)
    report_stage("waiting for the standing house")
    with watched(house, job_id, on_progress):
        while not _is_at_rest(job := job_of(house, job_id)):
            if run is not None and _has_ended(house, run) and not is_driven(house, job_id):
                break
            time.sleep(WATCH_SECONDS)
    job = job_of(house, job_id)  # it may have ended between the two looks
    if not _is_at_rest(job):
        raise ServiceFault(
            f"The standing house has ended its flow run {run}, and job {job_id} is not over.",
            f"Look at logs/flows.log under RIGHTSTEP_HOME, then: rightstep job resume {job_id}.",
        )
    return job


def _is_at_rest(job: JobRecord) -> bool:
    return job.state.is_at_rest


def _has_ended(house: House, run: str) -> bool:
    """Whether a flow run is over; ServiceFault where the house is gone."""
    server, _ = _standing(house, SUBMITTED)
    found = ask(server, "GET", f"/flow_runs/{run}")
    return found is None or found["state"]["type"] in FINAL_STATES


def _standing(house: House, name: str) -> tuple[PrefectApi, dict[str, Any]]:
    """The standing server and a deployment that it serves."""
    server = standing_server(house.settings)
    deployment = None if server is None else deployment_of(server, name)
    if server is None or deployment is None:
        raise ServiceFault("No standing house takes orders.", "Start it: rightstep up.")
    return server, deployment


def _run(server: PrefectApi, deployment: dict[str, Any], parameters: dict[str, str], key: str | None) -> str:
    """Ask for a flow run; the same key is the same run. Returns its id."""
    run = ask(
        server,
        "POST",
        f"/deployments/{deployment['id']}/create_flow_run",
        {"parameters": parameters, "idempotency_key": key, "state": {"type": "SCHEDULED"}},
    )
    return str(run["id"])


def _order(house: House, path: Path, overrides: Overrides) -> RenderManifest:
    return apply_overrides(house, load_manifest(path, now=house.clock()), overrides)
