"""Shipping as a deployment: the very transaction of ``rightstep ship``, asked for through Prefect."""

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed

from flows.bootstrap import open_house
from flows.overnight import Outcome
from flows.settings import load_settings
from flows.shipment import ship_job
from policy.clips import VideoKind
from policy.errors import RightstepError
from policy.wording import plural


@flow(name="ship", persist_result=False, validate_parameters=False)
def ship(
    job_id: str,
    recipients: list[str] | None = None,
    discharges: list[str] | None = None,
    videos: list[str] | None = None,
) -> Outcome:
    """Ship a finished job, or fail with every reason; a retry never ships half of it."""
    notes: list[str] = []
    try:
        house = open_house(load_settings())
        shipment = ship_job(
            house,
            job_id,
            tuple(recipients or ()),
            discharges=tuple(discharges or ()),
            videos=tuple(VideoKind(name) for name in videos or ()),
            tell=notes.append,
        )
    except RightstepError as error:
        return Failed(message=str(error))
    told = [
        f"# {shipment.shipment_id}",
        f"{plural(len(shipment.items), 'item')} of job {shipment.job_id}.",
        f"Audit row {shipment.audit_seq}.",
        *notes,
    ]
    create_markdown_artifact("\n\n".join(told), key="shipment", description=shipment.shipment_id)
    return Completed(message=f"Job {shipment.job_id} left as {shipment.shipment_id}.")
