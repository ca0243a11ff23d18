"""An order from its file to its job and out again, as a flow or a waiting caller starts it."""

from pathlib import Path
from typing import Any

from flows.bootstrap import House
from flows.exporting import Exported, export_job
from flows.judging import judge_job
from flows.manifest_files import load_manifest
from flows.planning import Overrides, apply_overrides, plan_manifest
from flows.prefect_requests import ON_DEMAND, SUBMITTED, ask, deployment_of
from flows.prefect_server import PrefectServer, standing_server
from flows.rendering import cancel_job, job_of, list_jobs
from flows.submitting import job_key, refuse_order, submit_plan
from flows.turns import is_driven
from policy.errors import ServiceFault
from policy.manifest import RenderManifest
from policy.plan import PlanRefusal
from policy.tiers import ServiceTier
from registry.records import JobRecord, JobState


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
    server, deployment = _standing(house, ON_DEMAND)
    key = job_key(_order(house, path, Overrides(tier=tier)))
    over = sum(job.job_key == key and job.state.is_finished for job in list_jobs(house))
    parameters = {"manifest_path": str(path.expanduser().absolute()), "tier": tier.value}
    return _run(server, deployment, parameters, f"{key}-{over}")


def require_standing_house(house: House) -> None:
    """ServiceFault where nobody would take a submitted job now."""
    _standing(house, SUBMITTED)


def start_job(house: House, job_id: str, *, again: bool = False) -> None:
    """Ask the standing house to render what is open of a submitted job; ServiceFault where none is up.

    Asked twice it is one flow run; ``again`` starts another where the driver of the first is
    gone. A job whose shots are all made is judged here and now.
    """
    job = job_of(house, job_id)
    if job.state.is_finished or job.state is JobState.HELD:
        return
    if not job.counts.open:
        judge_job(house, job.job_id)
        return
    server, deployment = _standing(house, SUBMITTED)
    if not again or not is_driven(house, job.job_id):
        _run(server, deployment, {"job_id": job.job_id}, None if again else job.job_id)


def _standing(house: House, name: str) -> tuple[PrefectServer, dict[str, Any]]:
    """The standing server and a deployment that it serves."""
    server = standing_server(house.settings.home)
    deployment = None if server is None else deployment_of(server.api_url, name)
    if server is None or deployment is None:
        raise ServiceFault("No standing house takes orders.", "Start it: rightstep up.")
    return server, deployment


def _run(
    server: PrefectServer, deployment: dict[str, Any], parameters: dict[str, str], key: str | None
) -> str:
    """Ask for a flow run; the same key is the same run. Returns its id."""
    run = ask(
        server.api_url,
        "POST",
        f"/deployments/{deployment['id']}/create_flow_run",
        {"parameters": parameters, "idempotency_key": key, "state": {"type": "SCHEDULED"}},
    )
    return str(run["id"])


def _order(house: House, path: Path, overrides: Overrides) -> RenderManifest:
    return apply_overrides(house, load_manifest(path, now=house.clock()), overrides)
