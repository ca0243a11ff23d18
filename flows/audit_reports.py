"""The audit report: does the log hold, what was shipped, what would not ship today; as values and pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from flows.auditing import audit_check, audit_report
from flows.bootstrap import House
from flows.recalling import known_now, reevaluate
from flows.reports.pages import Clock, write_page
from flows.reports.tables import write_table
from flows.stocktaking import verify_models
from policy.audit import ChainedEvent
from policy.errors import RightstepError
from policy.quarantine import Revocation
from policy.verdicts import Reason
from policy.wording import plural
from registry.audit_walk import AuditCheck
from registry.evidence.papers import MANIFEST
from registry.reevaluation import Known
from registry.shipment_records import ShipmentRecord
from registry.unit_of_work import unit_of_work
from registry.verification import sha256_file

SHIPMENTS = 200  # the newest ones are judged again
EVENTS = 50
REFUSED = "shipment:gate:refused"
HEADS = (
    "shipment",
    "shipped_at",
    "job",
    "shipped_by",
    "act",
    "items",
    "recipients",
    "licences",
    "obligations",
    "today",
    "against_it_now",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShipmentLine:
    """A shipment in the report, with what today says of it."""

    shipment_id: str
    shipped_at: datetime
    job_id: str
    actor: str
    act: str
    items: int
    recipients: tuple[str, ...]
    licences: tuple[str, ...]
    obligations: tuple[str, ...]  # "attribution: notices:SHA256"
    today: str  # permit, review or deny; "" where it cannot be judged again
    against: tuple[str, ...]  # what speaks against it today and did not then
    folder: str  # "" where its files are not here


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditReport:
    """Everything that an officer asks once a week."""

    made_at: datetime
    check: AuditCheck
    findings: tuple[str, ...]  # sentences: what needs a person; none is good
    shipments: tuple[ShipmentLine, ...]  # newest first
    revocations: tuple[Revocation, ...]
    events: tuple[ChainedEvent, ...]  # newest first


def make_audit_report(house: House, *, events: int = EVENTS, verify: bool = False) -> AuditReport:
    """Walk the log and judge what was shipped again; ``verify`` also hashes pinned files and papers."""
    with unit_of_work(house.engine, read_only=True) as work:
        shipments = work.shipments.latest(SHIPMENTS)
        revocations = work.revocations.all()
    check = audit_check(house)
    known = known_now(house)
    lines = tuple(_line(house, one, known) for one in shipments)
    return AuditReport(
        made_at=house.clock(),
        check=check,
        findings=(
            *_findings(check, lines),
            *((*_broken_models(house), *_changed_papers(house, shipments)) if verify else ()),
        ),
        shipments=lines,
        revocations=revocations,
        events=audit_report(house, events),
    )


def _line(house: House, shipment: ShipmentRecord, known: Known) -> ShipmentLine:
    folder = house.settings.shipments / shipment.shipment_id
    try:
        again = reevaluate(house, shipment.shipment_id, known=known)
        today, against = again.today.ruling.value, tuple(_said(reason) for reason in again.worse)
    except RightstepError as fault:
        today, against = "", (str(fault),)
    return ShipmentLine(
        shipment_id=shipment.shipment_id,
        shipped_at=shipment.shipped_at,
        job_id=shipment.job_id,
        actor=shipment.actor,
        act=shipment.use.act.value,
        items=len(shipment.items),
        recipients=shipment.recipients,
        licences=tuple(sorted({used.licence for used in shipment.licences})),
        obligations=tuple(
            dict.fromkeys(f"{met.obligation.id}: {met.discharged_by}" for met in shipment.obligations)
        ),
        today=today,
        against=against,
        folder=str(folder) if (folder / MANIFEST).is_file() else "",
    )


def _said(reason: Reason) -> str:
    return f"{reason.component}: {reason.detail}" if reason.component else reason.detail


def _findings(check: AuditCheck, lines: Sequence[ShipmentLine]) -> list[str]:
    found = [] if check.ok else [f"The audit log does not hold: {check.detail}"]
    found += [
        f"{line.shipment_id} would not ship today: {_first(line.against)}"
        for line in lines
        if line.today not in {"permit", ""} and line.against
    ]
    lost = [line.shipment_id for line in lines if not line.folder]
    if lost:
        found.append(
            f"The files of {plural(len(lost), 'shipment')} are not in this house: {', '.join(lost)}."
        )
    return found


def _first(reasons: Sequence[str]) -> str:
    """The first reason; the shipment itself lists the others."""
    more = f" ({len(reasons) - 1} more below.)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}"


def _broken_models(house: House) -> list[str]:
    return [
        f"{check.repo} is not what was pinned: {fault.path}, {fault.detail}."
        for check in verify_models(house)
        for fault in check.faults
    ]


def _changed_papers(house: House, shipments: Sequence[ShipmentRecord]) -> list[str]:
    """Papers that are not what the database says was shipped; a folder that is gone is told elsewhere."""
    found = []
    for shipment in shipments:
        folder = house.settings.shipments / shipment.shipment_id
        for paper in shipment.papers if folder.is_dir() else ():
            path = folder / paper.name
            if not path.is_file():
                found.append(f"{paper.name} of {shipment.shipment_id} is missing.")
            elif sha256_file(path) != paper.sha256:
                found.append(f"{paper.name} of {shipment.shipment_id} was changed since it was shipped.")
    return found


def markdown_of(report: AuditReport, page: str) -> str:
    """The report in a few lines, for Prefect's own pages."""
    findings = [f"- {finding}" for finding in report.findings] or ["Nothing needs a person."]
    state = "holds" if report.check.ok else "DOES NOT HOLD"
    log = f"{plural(report.check.rows, 'event')} in the log, which {state}."
    return "\n".join(
        [
            f"# Audit of {report.made_at:%Y-%m-%d}",
            "",
            f"{log} {plural(len(report.shipments), 'shipment')} judged again.",
            "",
            *findings,
            "",
            f"Head `{report.check.head}`. The page: `{page}`",
        ]
    )


def write_report_page(house: House, report: AuditReport, out: Path) -> Path:
    """The report of this house as a page."""
    return draw_report(report, house.settings.organisation, out)


def draw_report(report: AuditReport, organisation: str, out: Path) -> Path:
    """The report as one page without a script and without anything from elsewhere."""
    facts: dict[str, object] = {
        "report": report,
        "clock": Clock("UTC"),
        "organisation": organisation,
        "version": version("rightstep"),
        "refused": [event for event in report.events if event.event.tag == REFUSED],
    }
    return write_page("audit-report.html.j2", out, facts)


def write_report_table(report: AuditReport, out: Path) -> Path:
    """The shipments of the report for a spreadsheet."""
    rows = (
        (
            line.shipment_id,
            line.shipped_at.isoformat(),
            line.job_id,
            line.actor,
            line.act,
            line.items,
            "; ".join(line.recipients),
            "; ".join(line.licences),
            "; ".join(line.obligations),
            line.today,
            "; ".join(line.against),
        )
        for line in report.shipments
    )
    return write_table(out, HEADS, rows)
