"""``python -m flows.serve``: keeps the deployments of the standing house, and runs what is due.

The stored schedules become those of the overnight deployment when this starts. A night that
was missed while the house was down is not made up for.
"""

from typing import Any

from flows.bootstrap import open_house
from flows.posting import postman
from flows.prefect_requests import (
    DRIFT_WATCH,
    ON_DEMAND,
    OVERNIGHT,
    SHIP,
    SUBMITTED,
    WEEKLY_AUDIT,
    ask,
    deployment_of,
)
from flows.prefect_server import standing_server, use_server
from flows.schedules import load_schedules
from flows.settings import load_settings
from policy.errors import ServiceFault

CHECKPOINT = "checkpoint"
CHECKPOINT_CRON = "7 * * * *"  # every hour; while a night renders it waits, and each shipment signs by itself
POLL_SECONDS = 2  # Prefect's own ten are long for somebody who waits
JOBS_AT_ONCE = 4  # one of them renders; the others stand in the queue for the workers (flows.turns)
DRIFT_TIMES = "40 5 * * *"  # once a day, when the nights are over


def main() -> None:
    """Serve until ended; ServiceFault where no standing server answers."""
    settings = load_settings()
    home = settings.home
    server = standing_server(settings)
    if server is None:
        raise ServiceFault(
            "No standing Prefect server answers.",
            "Start the house: rightstep up; or look at RIGHTSTEP_PREFECT_API_URL.",
        )
    schedules = load_schedules(home)
    # Runs that were planned before and are overdue go with the deployment that planned them.
    for name in (OVERNIGHT, WEEKLY_AUDIT):
        if (stale := deployment_of(server, name)) is not None:
            ask(server, "DELETE", f"/deployments/{stale['id']}")
    use_server(home, server)
    from prefect import serve
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from flows.checkpointing import checkpoint
    from flows.drift_watch import drift_watch
    from flows.on_demand import event_trigger, on_demand
    from flows.overnight import overnight
    from flows.ship import ship
    from flows.submitted import submitted
    from flows.weekly_audit import CRON, weekly_audit

    nights = [
        Cron(one.cron, timezone=one.timezone, parameters=one.parameters, slug=one.name) for one in schedules
    ]
    night: Any = overnight.to_deployment(
        OVERNIGHT, schedules=nights, entrypoint_type=EntrypointType.MODULE_PATH
    )
    seal: Any = checkpoint.to_deployment(
        CHECKPOINT, cron=CHECKPOINT_CRON, entrypoint_type=EntrypointType.MODULE_PATH
    )
    demand: Any = on_demand.to_deployment(
        ON_DEMAND, triggers=[event_trigger()], entrypoint_type=EntrypointType.MODULE_PATH
    )
    handed_in: Any = submitted.to_deployment(SUBMITTED, entrypoint_type=EntrypointType.MODULE_PATH)
    watch: Any = drift_watch.to_deployment(
        DRIFT_WATCH,
        schedules=[] if settings.hub_offline else [Cron(DRIFT_TIMES, timezone="UTC")],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    shipping: Any = ship.to_deployment(SHIP, entrypoint_type=EntrypointType.MODULE_PATH)
    audit: Any = weekly_audit.to_deployment(
        WEEKLY_AUDIT, schedules=[Cron(CRON, slug="monday")], entrypoint_type=EntrypointType.MODULE_PATH
    )
    with postman(open_house(settings)):  # what could not be sent when it was due
        serve(
            night,
            demand,
            handed_in,
            watch,
            seal,
            shipping,
            audit,
            pause_on_shutdown=False,
            print_starting_message=False,
            limit=JOBS_AT_ONCE,
            query_seconds=POLL_SECONDS,
        )


if __name__ == "__main__":
    main()
