"""A job that somebody else submitted, such as the HTTP API: rendered by the standing house."""

from prefect import flow
from prefect.states import Failed

from flows.bootstrap import open_house
from flows.overnight import Outcome, render_submitted
from flows.render_batch import relay_cancellation
from flows.rendering import job_of
from flows.settings import load_settings
from policy.errors import RightstepError


@flow(name="submitted", persist_result=False, validate_parameters=False, on_cancellation=[relay_cancellation])
def submitted(job_id: str) -> Outcome:
    """Render what is open of a job, and export it to ``out/JOB`` below the home."""
    house = open_house(load_settings())
    try:
        return render_submitted(house, job_of(house, job_id))
    except RightstepError as error:
        return Failed(message=str(error))
