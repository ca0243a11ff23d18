"""The steps, by the name a surface calls them: plain functions; importing them imports no engine."""

from flows.auditing import make_audit_report, write_report_page, write_report_table
from flows.doctor import Finding, FindingState, doctor
from flows.exporting import Exported, export_job
from flows.planning import Overrides, Preflight, plan_manifest, preflight
from flows.progress import Progress
from flows.recalling import affected, affected_csv, reevaluate, revoke_model
from flows.rendering import (
    cancel_job,
    job_of,
    list_jobs,
    render_job,
    resume_job,
    rounds_of,
    shots_of,
    watch_job,
)
from flows.schedules import ScheduleRecord, add_schedule, list_schedules, remove_schedule
from flows.shipment import ship_job
from flows.standing_house import HouseStatus, ServiceStatus, bring_up, status, take_down
from flows.stocktaking import (
    audit_check,
    audit_export,
    audit_report,
    explain_licences,
    list_models,
    method_as_run,
    pin_model,
    show_model,
    upgrade_ledger,
    verify_models,
)
from flows.submitting import refuse_order, submit_plan

__all__ = [
    "Exported",
    "Finding",
    "FindingState",
    "HouseStatus",
    "Overrides",
    "Preflight",
    "Progress",
    "ScheduleRecord",
    "ServiceStatus",
    "add_schedule",
    "affected",
    "affected_csv",
    "audit_check",
    "audit_export",
    "audit_report",
    "bring_up",
    "cancel_job",
    "doctor",
    "explain_licences",
    "export_job",
    "job_of",
    "list_jobs",
    "list_models",
    "list_schedules",
    "make_audit_report",
    "method_as_run",
    "pin_model",
    "plan_manifest",
    "preflight",
    "reevaluate",
    "refuse_order",
    "remove_schedule",
    "render_job",
    "resume_job",
    "revoke_model",
    "rounds_of",
    "ship_job",
    "shots_of",
    "show_model",
    "status",
    "submit_plan",
    "take_down",
    "upgrade_ledger",
    "verify_models",
    "watch_job",
    "write_report_page",
    "write_report_table",
]
