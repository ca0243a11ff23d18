"""The steps, by the name a surface calls them: plain functions; importing them imports no engine."""

from flows.access import CreatedKey, create_key, key_of, list_keys, record_use, revoke_key, show_key
from flows.approving import (
    ApprovalRecords,
    ApprovalShown,
    Question,
    ask_for_approval,
    ask_for_grant,
    barred_by_licence,
    give_approval,
    list_approvals,
    open_questions,
    show_approval,
    show_request,
    withdraw_approval,
)
from flows.audit_kit import KitWritten, export_kit
from flows.audit_reports import make_audit_report, write_report_page, write_report_table
from flows.auditing import (
    audit_check,
    audit_export,
    audit_report,
    make_checkpoint,
    prove_event,
    prove_growth,
    reseal,
)
from flows.concluding import conclude_licence
from flows.doctor import Finding, FindingState, doctor
from flows.drift import DriftLook, conclude_drift, look_for_drift
from flows.erasing import erase_prompts, hold_job, holds_of, release_hold
from flows.exporting import Exported, export_job
from flows.identities import create_identity, list_identities, revoke_identity, show_identity
from flows.licensed_models import LicensedModel, licensed_model, licensed_models
from flows.orders import require_standing_house, start_job
from flows.pinning import ImportedModel, import_model, pin_model
from flows.planning import Overrides, Preflight, plan_manifest, preflight
from flows.progress import Progress
from flows.readiness import look_at_ledger
from flows.recalling import affected, affected_csv, reevaluate, revoke_model
from flows.rendering import (
    artefact_of,
    cancel_job,
    job_of,
    list_jobs,
    render_job,
    reopen_job,
    resume_job,
    rounds_of,
    shot_of,
    shots_after,
    shots_of,
    watch_job,
)
from flows.schedules import ScheduleRecord, add_schedule, list_schedules, remove_schedule
from flows.shipment import ship_job
from flows.standing_house import HouseStatus, ServiceStatus, bring_up, status, take_down
from flows.stocktaking import (
    explain_licences,
    list_models,
    method_as_run,
    show_model,
    upgrade_ledger,
    verify_models,
)
from flows.submitting import job_of_request, refuse_order, submit_plan
from flows.whatif import Supposition, WhatIf, what_if

__all__ = [
    "DriftLook",
    "ApprovalRecords",
    "ApprovalShown",
    "CreatedKey",
    "Exported",
    "Finding",
    "FindingState",
    "HouseStatus",
    "LicensedModel",
    "ImportedModel",
    "KitWritten",
    "Overrides",
    "Preflight",
    "Question",
    "Progress",
    "ScheduleRecord",
    "ServiceStatus",
    "Supposition",
    "WhatIf",
    "add_schedule",
    "affected",
    "ask_for_approval",
    "ask_for_grant",
    "barred_by_licence",
    "affected_csv",
    "artefact_of",
    "audit_check",
    "audit_export",
    "audit_report",
    "bring_up",
    "cancel_job",
    "conclude_drift",
    "conclude_licence",
    "create_identity",
    "create_key",
    "doctor",
    "erase_prompts",
    "explain_licences",
    "export_job",
    "import_model",
    "export_kit",
    "give_approval",
    "hold_job",
    "holds_of",
    "job_of",
    "job_of_request",
    "key_of",
    "licensed_model",
    "licensed_models",
    "list_approvals",
    "list_identities",
    "list_jobs",
    "list_keys",
    "list_models",
    "list_schedules",
    "look_at_ledger",
    "look_for_drift",
    "make_checkpoint",
    "make_audit_report",
    "method_as_run",
    "open_questions",
    "pin_model",
    "plan_manifest",
    "preflight",
    "prove_event",
    "prove_growth",
    "record_use",
    "reevaluate",
    "refuse_order",
    "release_hold",
    "remove_schedule",
    "render_job",
    "reopen_job",
    "require_standing_house",
    "reseal",
    "resume_job",
    "revoke_identity",
    "revoke_key",
    "revoke_model",
    "rounds_of",
    "ship_job",
    "shot_of",
    "shots_after",
    "shots_of",
    "show_approval",
    "show_identity",
    "show_key",
    "show_model",
    "show_request",
    "start_job",
    "status",
    "submit_plan",
    "take_down",
    "upgrade_ledger",
    "verify_models",
    "watch_job",
    "withdraw_approval",
    "write_report_page",
    "write_report_table",
    "what_if",
]
