"""The steps, by the name a surface calls them: plain functions; importing them imports no engine."""

from flows.doctor import Finding, FindingState, doctor
from flows.drift import DriftLook, conclude_drift, look_for_drift
from flows.exporting import Exported, export_job
from flows.pinning import ImportedModel, import_model, pin_model
from flows.planning import Overrides, Preflight, plan_manifest, preflight
from flows.progress import Progress
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
from flows.shipping import ship_job
from flows.standing_house import HouseStatus, ServiceStatus, bring_up, status, take_down
from flows.stocktaking import (
    affected,
    audit_check,
    audit_export,
    audit_report,
    explain_licences,
    list_models,
    method_as_run,
    show_model,
    upgrade_ledger,
    verify_models,
)
from flows.submitting import refuse_order, submit_plan

__all__ = [
    "DriftLook",
    "Exported",
    "Finding",
    "FindingState",
    "HouseStatus",
    "ImportedModel",
    "Overrides",
    "Preflight",
    "Progress",
    "ScheduleRecord",
    "ServiceStatus",
    "add_schedule",
    "affected",
    "audit_check",
    "audit_export",
    "audit_report",
    "bring_up",
    "cancel_job",
    "conclude_drift",
    "doctor",
    "explain_licences",
    "export_job",
    "import_model",
    "job_of",
    "list_jobs",
    "list_models",
    "list_schedules",
    "look_for_drift",
    "method_as_run",
    "pin_model",
    "plan_manifest",
    "preflight",
    "refuse_order",
    "remove_schedule",
    "render_job",
    "resume_job",
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
]
