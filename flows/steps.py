"""The steps, by the name a surface calls them: plain functions; importing them imports no engine."""

from flows.approving import (
    ApprovalRecords,
    ApprovalShown,
    ask_for_approval,
    ask_for_grant,
    give_approval,
    list_approvals,
    open_questions,
    show_approval,
    show_request,
    withdraw_approval,
)
from flows.audit_kit import KitWritten, export_kit
from flows.auditing import (
    audit_check,
    audit_export,
    audit_report,
    make_checkpoint,
    prove_event,
    prove_growth,
    reseal,
)
from flows.doctor import Finding, FindingState, doctor
from flows.erasing import erase_prompts, hold_job, holds_of, release_hold
from flows.exporting import Exported, export_job
from flows.identities import create_identity, list_identities, revoke_identity, show_identity
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
    "ApprovalRecords",
    "ApprovalShown",
    "Exported",
    "Finding",
    "FindingState",
    "HouseStatus",
    "KitWritten",
    "Overrides",
    "Preflight",
    "Progress",
    "ScheduleRecord",
    "ServiceStatus",
    "add_schedule",
    "affected",
    "ask_for_approval",
    "ask_for_grant",
    "audit_check",
    "audit_export",
    "audit_report",
    "bring_up",
    "cancel_job",
    "create_identity",
    "doctor",
    "erase_prompts",
    "explain_licences",
    "export_job",
    "export_kit",
    "give_approval",
    "hold_job",
    "holds_of",
    "job_of",
    "list_approvals",
    "list_identities",
    "list_jobs",
    "list_models",
    "list_schedules",
    "make_checkpoint",
    "method_as_run",
    "open_questions",
    "pin_model",
    "plan_manifest",
    "preflight",
    "prove_event",
    "prove_growth",
    "refuse_order",
    "release_hold",
    "remove_schedule",
    "render_job",
    "reseal",
    "resume_job",
    "revoke_identity",
    "rounds_of",
    "ship_job",
    "shots_of",
    "show_approval",
    "show_identity",
    "show_model",
    "show_request",
    "status",
    "submit_plan",
    "take_down",
    "upgrade_ledger",
    "verify_models",
    "watch_job",
    "withdraw_approval",
]
