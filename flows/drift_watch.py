"""The drift watch: once a day, every pin that came from a hub is compared with what its hub says now."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.bootstrap import open_house
from flows.drift import DriftLook, look_for_drift
from flows.settings import load_settings
from policy.errors import RightstepError
from policy.wording import plural


@flow(name="drift-watch", persist_result=False, validate_parameters=False)
def drift_watch(repo: str | None = None) -> State[Any]:
    """Look upstream; what moved is in the audit log, in an artifact, and on the way of shipments it holds."""
    house = open_house(load_settings())
    try:
        looked = look_for_drift(house, repo)
    except RightstepError as error:
        return Failed(message=str(error))
    create_markdown_artifact(
        key="drift", markdown=drift_table(looked), description="What moved upstream since the pins"
    )
    told = f"{plural(looked.looked_at, 'pin')} compared, {plural(looked.new, 'new finding')}."
    if looked.failures:
        return Failed(message=f"{told} {plural(len(looked.failures), 'pin')} could not be compared.")
    return Completed(message=told)


def drift_table(looked: DriftLook) -> str:
    """The findings as a Markdown table; names come from strangers, so bars are taken out."""
    rows = [(one.repo, one.standing, one.finding.detail) for one in looked.findings]
    rows += [(one.repo, "not compared", one.reason) for one in looked.failures]
    lines = ["| repository | severity | what moved |", "| --- | --- | --- |"]
    lines += [f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in row)} |" for row in rows]
    return "\n".join(lines) if rows else "Nothing moved since the pins."
