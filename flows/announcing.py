"""What became of an order, as events on the standing Prefect server, for automations of anybody's own.

Nobody listens on the private server of a single command, so nothing is said there. The ledger is what
counts: where the server does not take the event, the job has ended all the same.
"""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flows.bootstrap import House
from flows.news import channels_of
from flows.posting import AT_THE_END, post_due
from flows.prefect_requests import ask
from flows.prefect_server import standing_server
from policy.errors import Refused, RightstepError
from registry.records import JobRecord, ReplanningRecord

RENDER_REQUESTED = "rightstep.render.requested"  # what an event is called that asks for a render
ORDER_REFUSED = "rightstep.order.refused"
DEADLINE_AT_RISK = "rightstep.job.at_risk"


def announce_job(house: House, job: JobRecord) -> None:
    """Say that a job has ended or is held: ``rightstep.job.STATE``; nothing of one that goes on.

    The same end said twice is one event, by its id.
    """
    if not job.state.is_at_rest:
        return
    if channels_of(house.settings):
        with suppress(RightstepError):
            post_due(house, AT_THE_END)  # it is in the outbox already: this is only to be quick
    counts = job.counts
    _announce(
        house,
        f"rightstep.job.{job.state.value}",
        _resource("job", job.job_id, job.name),
        {
            "job_id": job.job_id,
            "state": job.state.value,
            "detail": job.detail,
            "tier": job.tier,
            "shots": counts.shots,
            "made": counts.made,
            "dead": counts.dead,
            "deadline": job.deadline.isoformat() if job.deadline else None,
            "is_late": bool(job.deadline and job.ended_at and job.ended_at > job.deadline),
        },
        once=f"{job.job_id} {job.state.value} {job.ended_at} {counts.made} {counts.dead}",
    )


def announce_risk(house: House, round_: ReplanningRecord, name: str) -> None:
    """Say that the deadline of a job that renders is at risk: its round of re-planning in figures."""
    _announce(
        house,
        DEADLINE_AT_RISK,
        _resource("job", round_.job_id, name),
        {
            "job_id": round_.job_id,
            "round": round_.number,
            "seconds_left": round(round_.left_seconds, 3),
            "finish_p50": round(round_.p50, 3),
            "finish_p95": round(round_.p95, 3),
        },
        once=f"{round_.job_id} {round_.number}",
    )


def announce_refusal(house: House, path: Path, error: RightstepError) -> None:
    """Say that an order became no job, and why."""
    verdict = error.verdict if isinstance(error, Refused) else None
    payload = {
        "manifest": str(path),
        "error": type(error).__name__,
        "message": error.message,
        "next_step": error.next_step,
        "reasons": [reason.code for reason in verdict.against()] if verdict else [],
    }
    _announce(house, ORDER_REFUSED, _resource("order", path.stem, path.name), payload)


def _resource(kind: str, name: str, told: str) -> dict[str, str]:
    return {"prefect.resource.id": f"rightstep.{kind}.{name}", "prefect.resource.name": told}


def _announce(
    house: House, name: str, resource: Mapping[str, str], payload: Mapping[str, Any], once: str = ""
) -> None:
    with suppress(RightstepError):
        server = standing_server(house.settings)
        if server is None:
            return
        event = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {once}") if once else uuid.uuid4()),
            "event": name,
            "occurred": house.clock().isoformat(),
            "resource": dict(resource),
            "payload": dict(payload),
        }
        ask(server, "POST", "/events", [event])
