"""Can this house work right now? Two quick looks, for whoever sends it requests."""

from flows.bootstrap import House
from flows.doctor_findings import Finding, FindingState
from policy.errors import RightstepError
from registry.database import newest_version, schema_version
from registry.unit_of_work import unit_of_work


def look_at_ledger(house: House) -> Finding:
    """Whether the database answers, and has the schema of this version."""
    try:
        with unit_of_work(house.engine, read_only=True) as work:
            work.ledger.jobs(limit=1)
        found = schema_version(house.engine)
    except RightstepError as error:
        return Finding(
            check="ledger", state=FindingState.PROBLEM, detail=error.message, next_step=error.next_step
        )
    if found != newest_version():
        told = f"The schema is {found} and not {newest_version()}."
        step = "Run: rightstep db upgrade."
        return Finding(check="ledger", state=FindingState.PROBLEM, detail=told, next_step=step)
    return Finding(check="ledger", state=FindingState.OK, detail="answers, with the schema of this version")
