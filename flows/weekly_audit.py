"""The weekly audit: walk the log, hash the models, judge what was shipped again, say what needs a person."""

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed

from flows.audit_reports import AuditReport, make_audit_report, markdown_of, write_report_page
from flows.bootstrap import House, open_house
from flows.overnight import Outcome
from flows.settings import load_settings
from policy.errors import RightstepError
from policy.wording import plural

CRON = "0 6 * * 1"  # Monday morning, before anybody ships


@flow(name="weekly-audit", persist_result=False, validate_parameters=False)
def weekly_audit() -> Outcome:
    """Write the report below the home and keep it as an artifact; a broken log is a Failed state."""
    try:
        house = open_house(load_settings())
        report = make_audit_report(house, verify=True)
        page = write_weekly_report(house, report)
    except RightstepError as error:
        return Failed(message=str(error))
    create_markdown_artifact(
        markdown_of(report, page), key="weekly-audit", description=f"{report.made_at:%Y-%m-%d}"
    )
    told = f"{plural(len(report.findings), 'finding')}; the report is in {page}."
    return Completed(message=told) if report.check.ok else Failed(message=f"The log does not hold. {told}")


def write_weekly_report(house: House, report: AuditReport) -> str:
    """The page of the week, below the home."""
    out = house.settings.home / "reports" / f"audit-{report.made_at:%Y-%m-%d}.html"
    return str(write_report_page(house, report, out))
