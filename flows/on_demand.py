"""On demand: an order now, at another service level than a night's, or because an event asked for it."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import DeploymentEventTrigger
from prefect.events.schemas.automations import Posture
from prefect.flows import Flow
from prefect.states import Failed

from flows.announcing import RENDER_REQUESTED
from flows.bootstrap import open_house
from flows.orders import cancel_order
from flows.overnight import Outcome, render_order
from flows.planning import Overrides
from flows.settings import load_settings
from policy.tiers import ServiceTier

# What an event says, as parameters of the flow; Prefect renders each once, and nothing in it again.
SAID_BY_EVENT = {
    "manifest_path": "{{ event.payload.manifest }}",
    "tier": "{{ event.payload.tier }}",
    "key": "{{ event.resource.id }}",
}


def relay_cancellation(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """An order that is cancelled in Prefect cancels its job."""
    del flow, state  # Prefect passes them by name
    given = flow_run.parameters
    house = open_house(load_settings())
    cancel_order(house, Path(given["manifest_path"]), _overrides(given.get("tier", ServiceTier.INTERACTIVE)))


@flow(name="on-demand", persist_result=False, validate_parameters=False, on_cancellation=[relay_cancellation])
def on_demand(manifest_path: str, tier: str = "interactive", key: str = "") -> Outcome:
    """Render a manifest at another tier, or at its own where ``tier`` is "".

    The same order under way is joined, never made twice; the same ``key`` is the same job while that is kept.
    """
    path = Path(manifest_path)
    if not path.is_absolute():
        return Failed(
            message=f"{manifest_path!r} is no absolute path, and a flow runs in a folder of its own."
        )
    if tier and tier not in {known.value for known in ServiceTier}:
        return Failed(message=f"{tier!r} is no tier; there are {', '.join(ServiceTier)}.")
    return render_order(path, _overrides(tier), key or None)


def _overrides(tier: str) -> Overrides:
    return Overrides(tier=ServiceTier(tier) if tier else None)


def event_trigger() -> DeploymentEventTrigger:
    """The automation that runs this flow once for each event that asks for a render.

    Prefect replaces those of a deployment whenever it is served, so there is always one.
    """
    return DeploymentEventTrigger(
        name="rightstep: render when asked by an event",
        description=f"An event {RENDER_REQUESTED} names a manifest; the id of its resource is the key.",
        expect={RENDER_REQUESTED},
        posture=Posture.Reactive,
        threshold=1,
        parameters={
            name: {"__prefect_kind": "jinja", "template": template}
            for name, template in SAID_BY_EVENT.items()
        },
    )
