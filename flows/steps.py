"""The steps, by the name a surface calls them: plain functions; importing them imports no engine."""

from flows.doctor import Finding, FindingState, doctor
from flows.exporting import Exported, export_job
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
    pin_model,
    show_model,
    upgrade_ledger,
    verify_models,
)
from flows.submitting import refuse_order, submit_plan
from flows.whatif import Supposition, WhatIf, what_if

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
    "Supposition",
    "WhatIf",
    "add_schedule",
    "affected",
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
    "what_if",
]
