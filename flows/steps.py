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
from flows.collecting import Collection, collect
from flows.concluding import conclude_licence
from flows.delivery import DeliveredPictures
from flows.doctor import doctor
from flows.doctor_findings import Finding, FindingState
from flows.draining import drain_worker, list_workers
from flows.drift import DriftLook, conclude_drift, look_for_drift
from flows.erasing import erase_prompts, hold_job, holds_of, release_hold
from flows.exporting import Exported, export_job
from flows.handing_in import GivenOrder, hand_in, order_of_file
from flows.identities import create_identity, list_identities, revoke_identity, show_identity
from flows.licensed_models import LicensedModel, licensed_model, licensed_models
from flows.live import LiveOrder, PlannedLive, begin_live, end_live, may_go_on, note_segments, plan_live
from flows.orders import render_by_house, require_standing_house, start_job
from flows.pictures import (
    PICTURE_LABEL,
    LeasedPictures,
    OrderedPictures,
    SettledPictures,
    abandon_pictures,
    deliver_pictures,
    lost_batch,
    order_pictures,
    settle_pictures,
)
from flows.pinning import ImportedModel, import_model, pin_model
from flows.planning import Overrides, Preflight, native_size, plan_manifest, preflight
from flows.posting import Posted, list_messages, post_due
from flows.progress import Progress
from flows.readiness import look_at_ledger
from flows.recalling import affected, affected_csv, reevaluate, revoke_model
from flows.rendering import (
    artefact_of,
    job_of,
    list_jobs,
    render_job,
    resume_job,
    rounds_of,
    shot_of,
    shots_after,
    shots_of,
    watch_job,
)
from flows.schedules import ScheduleRecord, add_schedule, list_schedules, remove_schedule
from flows.shipment import ship_job
from flows.stages import Stage, heard_by
from flows.standing_house import HouseStatus, ServiceStatus, bring_up, status, take_down
from flows.standing_work import count_work
from flows.steering import (
    MovedDeadline,
    cancel_job,
    eat_shots,
    move_deadline,
    pause_job,
    put_job_before,
    put_shots_before,
    reopen_job,
    requeue_shots,
    set_budget,
)
from flows.stocktaking import (
    explain_licences,
    list_models,
    method_as_run,
    show_model,
    upgrade_ledger,
    verify_models,
)
from flows.whatif import Supposition, WhatIf, what_if
from workers.sketches import read_sketch

__all__ = [
    "PICTURE_LABEL",
    "DeliveredPictures",
    "DriftLook",
    "ApprovalRecords",
    "ApprovalShown",
    "Collection",
    "CreatedKey",
    "Exported",
    "Finding",
    "FindingState",
    "GivenOrder",
    "HouseStatus",
    "LicensedModel",
    "LiveOrder",
    "ImportedModel",
    "KitWritten",
    "LeasedPictures",
    "OrderedPictures",
    "Overrides",
    "Preflight",
    "MovedDeadline",
    "Question",
    "PlannedLive",
    "Posted",
    "Progress",
    "ScheduleRecord",
    "ServiceStatus",
    "SettledPictures",
    "Stage",
    "Supposition",
    "WhatIf",
    "abandon_pictures",
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
    "begin_live",
    "bring_up",
    "cancel_job",
    "collect",
    "conclude_drift",
    "conclude_licence",
    "count_work",
    "create_identity",
    "create_key",
    "deliver_pictures",
    "doctor",
    "drain_worker",
    "eat_shots",
    "end_live",
    "erase_prompts",
    "explain_licences",
    "export_job",
    "import_model",
    "export_kit",
    "give_approval",
    "hand_in",
    "heard_by",
    "hold_job",
    "holds_of",
    "job_of",
    "key_of",
    "licensed_model",
    "licensed_models",
    "list_approvals",
    "list_identities",
    "list_jobs",
    "list_keys",
    "list_messages",
    "list_models",
    "list_schedules",
    "list_workers",
    "look_at_ledger",
    "lost_batch",
    "look_for_drift",
    "make_checkpoint",
    "make_audit_report",
    "may_go_on",
    "move_deadline",
    "method_as_run",
    "open_questions",
    "native_size",
    "note_segments",
    "order_of_file",
    "order_pictures",
    "pause_job",
    "pin_model",
    "plan_live",
    "plan_manifest",
    "post_due",
    "preflight",
    "prove_event",
    "prove_growth",
    "put_job_before",
    "put_shots_before",
    "read_sketch",
    "record_use",
    "reevaluate",
    "release_hold",
    "remove_schedule",
    "render_by_house",
    "render_job",
    "reopen_job",
    "requeue_shots",
    "require_standing_house",
    "reseal",
    "resume_job",
    "revoke_identity",
    "revoke_key",
    "revoke_model",
    "rounds_of",
    "set_budget",
    "settle_pictures",
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
    "take_down",
    "upgrade_ledger",
    "verify_models",
    "watch_job",
    "withdraw_approval",
    "write_report_page",
    "write_report_table",
    "what_if",
]
