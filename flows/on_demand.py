"""On demand: the very job of a night at another service level, for somebody who waits."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow

from flows.bootstrap import open_house
from flows.orders import cancel_order
from flows.overnight import Outcome, render_order
from flows.planning import Overrides
from flows.settings import load_settings
from policy.tiers import ServiceTier


def relay_cancellation(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """An order that is cancelled in Prefect cancels its job."""
    del flow, state  # Prefect passes them by name
    given = flow_run.parameters
    tier = ServiceTier(given.get("tier", ServiceTier.INTERACTIVE))
    cancel_order(open_house(load_settings()), Path(given["manifest_path"]), Overrides(tier=tier))


@flow(name="on-demand", persist_result=False, validate_parameters=False, on_cancellation=[relay_cancellation])
def on_demand(manifest_path: str, tier: str = "interactive") -> Outcome:
    """Render a manifest at another tier; the same order under way is joined, never made twice."""
    return render_order(Path(manifest_path), Overrides(tier=ServiceTier(tier)))
