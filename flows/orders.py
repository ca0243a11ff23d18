"""An order from its file to its job and out again, as a flow or a waiting caller starts it."""

from pathlib import Path

from flows.bootstrap import House
from flows.exporting import Exported, export_job
from flows.manifest_files import load_manifest
from flows.planning import Overrides, apply_overrides, plan_manifest
from flows.prefect_requests import ON_DEMAND, ask, deployment_of
from flows.prefect_server import standing_server
from flows.rendering import cancel_job, list_jobs
from flows.submitting import job_key, refuse_order, submit_plan
from policy.errors import ServiceFault
from policy.manifest import RenderManifest
from policy.plan import PlanRefusal
from policy.tiers import ServiceTier
from registry.records import JobRecord


def submit_order(house: House, path: Path, overrides: Overrides) -> JobRecord:
    """Plan a manifest as it is now and submit it; a refusal is audited once and raised as Refused.

    The same unfinished order is taken up where it stands.
    """
    manifest = load_manifest(path, now=house.clock())
    outcome = plan_manifest(house, manifest, overrides)
    if isinstance(outcome, PlanRefusal):
        raise refuse_order(house, apply_overrides(house, manifest, overrides), outcome)
    return submit_plan(house, outcome)


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
    server = standing_server(house.settings.home)
    deployment = None if server is None else deployment_of(server.api_url, ON_DEMAND)
    if server is None or deployment is None:
        raise ServiceFault("No standing house takes orders.", "Start it: rightstep up.")
    key = job_key(_order(house, path, Overrides(tier=tier)))
    over = sum(job.job_key == key and job.state.is_finished for job in list_jobs(house))
    run = ask(
        server.api_url,
        "POST",
        f"/deployments/{deployment['id']}/create_flow_run",
        {
            "parameters": {"manifest_path": str(path.expanduser().absolute()), "tier": tier.value},
            "idempotency_key": f"{key}-{over}",
            "state": {"type": "SCHEDULED"},
        },
    )
    return str(run["id"])


def _order(house: House, path: Path, overrides: Overrides) -> RenderManifest:
    return apply_overrides(house, load_manifest(path, now=house.clock()), overrides)
