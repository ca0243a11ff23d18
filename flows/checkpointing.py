"""The log, signed from time to time: what was signed an hour ago cannot be rewritten unnoticed today."""

from prefect import flow
from prefect.states import Completed, Failed

from flows.auditing import make_checkpoint
from flows.bootstrap import open_house
from flows.overnight import Outcome
from flows.settings import load_settings
from policy.errors import RightstepError


@flow(name="checkpoint", persist_result=False)
def checkpoint() -> Outcome:
    """Sign the log as it stands; where nothing was added since, nothing is signed."""
    house = open_house(load_settings())
    try:
        made = make_checkpoint(house)
    except RightstepError as error:
        return Failed(message=str(error))
    finally:
        house.engine.dispose()
    return Completed(message=f"{made.size:,} events are signed, as of {made.at}.")
