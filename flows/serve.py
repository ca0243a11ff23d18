"""``python -m flows.serve``: keeps the deployments of the standing house, and runs what is due.

The stored schedules become those of the overnight deployment when this starts. A night that
was missed while the house was down is not made up for.
"""

from typing import Any

from flows.prefect_requests import ON_DEMAND, OVERNIGHT, ask, deployment_of
from flows.prefect_server import standing_server, use_server
from flows.schedules import load_schedules
from flows.settings import load_settings
from policy.errors import ServiceFault

POLL_SECONDS = 2  # Prefect's own ten are long for somebody who waits
JOBS_AT_ONCE = 4  # one of them renders; the others stand in the queue for the workers (flows.turns)


def main() -> None:
    """Serve until ended; ServiceFault where no standing server answers."""
    home = load_settings().home
    server = standing_server(home)
    if server is None:
        raise ServiceFault("No standing Prefect server answers.", "Start the house: rightstep up.")
    schedules = load_schedules(home)
    # Runs that were planned before and are overdue go with the deployment that planned them.
    if (stale := deployment_of(server.api_url, OVERNIGHT)) is not None:
        ask(server.api_url, "DELETE", f"/deployments/{stale['id']}")
    use_server(home, server.api_url)
    from prefect import serve
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from flows.on_demand import on_demand
    from flows.overnight import overnight

    nights = [
        Cron(one.cron, timezone=one.timezone, parameters=one.parameters, slug=one.name) for one in schedules
    ]
    night: Any = overnight.to_deployment(
        OVERNIGHT, schedules=nights, entrypoint_type=EntrypointType.MODULE_PATH
    )
    demand: Any = on_demand.to_deployment(ON_DEMAND, entrypoint_type=EntrypointType.MODULE_PATH)
    serve(
        night,
        demand,
        pause_on_shutdown=False,
        print_starting_message=False,
        limit=JOBS_AT_ONCE,
        query_seconds=POLL_SECONDS,
    )


if __name__ == "__main__":
    main()
