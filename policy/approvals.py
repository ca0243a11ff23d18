"""Approvals, waivers and paid licences: what a named person signed for, for one stack and one act.

A review is a question to a person; an approval is the answer, and lifts the very reasons that it was
asked about. It binds nothing else: another stack, another act, a reason that came up later stay with
the gate. A denial is no question, and no approval lifts it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from policy.checkpoints import signed_text
from policy.uses import Act
from policy.verdicts import Reason, Ruling, Verdict, from_reasons

REQUEST_DOMAIN = "rightstep:approval-request/v1"
APPROVAL_DOMAIN = "rightstep:approval/v1"


class ApprovalKind(StrEnum):
    """What is asked for."""

    APPROVAL = "approval"  # a person decides what the evidence leaves open
    WAIVER = "waiver"  # a check that found something is set aside
    GRANT = "grant"  # a paid licence stands beside the published one


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A file that was attached, kept by content."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Signer:
    """Somebody who asked or approved."""

    name: str
    key_id: str = ""  # "" where nothing was signed
    is_signed: bool = False  # the signature holds, under a key that counted then and is not revoked

    @property
    def standing(self) -> str:
        """``signed``, or ``claimed``: a name that no key vouches for."""
        return "signed" if self.is_signed else "claimed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Purchase:
    """What was bought."""

    licensor: str
    licence: str  # id of the terms that it stands beside
    repos: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalRequest:
    """A question to an approver: may this stack be used for this act in spite of these reasons?"""

    request_id: str
    kind: ApprovalKind
    stack_id: str
    act: Act
    answers: tuple[str, ...]  # names of the reasons it is about
    paid: Purchase | None  # of a grant
    reason: str  # why it is asked for
    requester: Signer
    requested_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """A request that an approver signed: an approval, or a waiver."""

    approval_id: str
    kind: ApprovalKind
    stack_id: str
    act: Act
    answers: tuple[str, ...]  # names of the reasons that it lifts
    reason: str  # the approver's
    evidence: tuple[Evidence, ...]
    requester: Signer
    approver: Signer
    valid_from: datetime
    valid_until: datetime  # the first moment at which it does not stand any more
    withdrawn_at: datetime | None = None
    withdrawn_because: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """A paid licence that an approver signed for, with the agreement as evidence."""

    approval_id: str
    stack_id: str
    act: Act
    paid: Purchase
    reason: str
    evidence: tuple[Evidence, ...]  # the agreement first
    requester: Signer
    approver: Signer
    valid_from: datetime
    valid_until: datetime
    withdrawn_at: datetime | None = None
    withdrawn_because: str = ""


def stands(approval: Approval | Grant, stack_id: str, act: Act, at: datetime) -> bool:
    """Whether an approval counts for exactly this stack and act at this moment."""
    return not objections(approval, stack_id, act, at)


def objections(approval: Approval | Grant, stack_id: str, act: Act, at: datetime) -> tuple[str, ...]:
    """Every reason why it does not count, as sentences; none where it stands."""
    asked, signed = approval.requester, approval.approver
    doubts = (
        (approval.stack_id != stack_id, "It is for another stack."),
        (approval.act is not act, f"It is for {approval.act.value}."),
        (not approval.reason, "It gives no reason."),
        (not approval.evidence, "No evidence is attached."),
        (not signed.is_signed, f"{signed.name} only claims to have approved: no valid key signed it."),
        (not asked.is_signed, f"{asked.name} only claims to have asked: no valid key signed the request."),
        (asked.key_id == signed.key_id, "The same key asked and approved."),
        (asked.name == signed.name, "The same person asked and approved."),
        (at < approval.valid_from, "It is not valid yet."),
        (at >= approval.valid_until, f"It expired on {approval.valid_until.date().isoformat()}."),
        (approval.withdrawn_at is not None, f"It was withdrawn: {approval.withdrawn_because}"),
    )
    return tuple(sentence for applies, sentence in doubts if applies)


def reason_name(reason: Reason) -> str:
    """How an approval names a reason: what it is, of what, under which clause; not its wording."""
    return f"{reason.code}|{reason.component}|{reason.licence}|{reason.clause}"


def lift(verdict: Verdict, stack_id: str, act: Act, at: datetime, approvals: Iterable[Approval]) -> Verdict:
    """The verdict with every review that a standing approval answers turned into its permission.

    A denial stays what it is. An approval that answers a review and does not stand is said, with why.
    """
    known = tuple(one for one in approvals if one.stack_id == stack_id and one.act is act)
    if verdict.is_permit or not known:
        return verdict
    reasons = [lifted for reason in verdict.reasons for lifted in _answered(reason, at, known)]
    return from_reasons(reasons, verdict.obligations)


def relied_on(
    verdict: Verdict, stack_id: str, act: Act, at: datetime, approvals: Iterable[Approval]
) -> tuple[Approval, ...]:
    """The approvals without which ``lift`` would have left a review standing, each once."""
    known = tuple(one for one in approvals if one.stack_id == stack_id and one.act is act)
    used = (_standing_answer(reason, at, known) for reason in verdict.reasons)
    return tuple({one.approval_id: one for one in used if one is not None}.values())


def _answered(reason: Reason, at: datetime, approvals: Sequence[Approval]) -> tuple[Reason, ...]:
    if reason.ruling is not Ruling.REVIEW:
        return (reason,)
    one = _standing_answer(reason, at, approvals)
    if one is None:
        answers = [given for given in approvals if reason_name(reason) in given.answers]
        return (reason, *(_void(reason, given, at) for given in answers))
    word = "Waived" if one.kind is ApprovalKind.WAIVER else "Approved"
    told = (
        f"{reason.detail} {word} by {one.approver.name} until "
        f"{one.valid_until.date().isoformat()} ({one.approval_id}): {one.reason}"
    )
    return (replace(reason, ruling=Ruling.PERMIT, detail=told),)


def _standing_answer(reason: Reason, at: datetime, approvals: Sequence[Approval]) -> Approval | None:
    """The first approval that answers a review and counts."""
    if reason.ruling is not Ruling.REVIEW:
        return None
    answers = (one for one in approvals if reason_name(reason) in one.answers)
    return next((one for one in answers if stands(one, one.stack_id, one.act, at)), None)


def _void(reason: Reason, approval: Approval, at: datetime) -> Reason:
    doubts = " ".join(objections(approval, approval.stack_id, approval.act, at))
    return Reason(
        code="approval_void",
        ruling=Ruling.REVIEW,
        detail=f"{approval.approval_id} does not count: {doubts}",
        component=reason.component,
        licence=reason.licence,
    )


# What is signed


def request_message(request: ApprovalRequest) -> bytes:
    """The bytes that a requester signs."""
    return signed_text(
        REQUEST_DOMAIN,
        {
            "kind": request.kind,
            "stack_id": request.stack_id,
            "act": request.act,
            "answers": request.answers,
            "paid": request.paid,
            "reason": request.reason,
            "requester": request.requester.name,
            "key_id": request.requester.key_id,
            "requested_at": request.requested_at,
        },
    )


def approval_message(
    request: ApprovalRequest,
    *,
    reason: str,
    evidence: Sequence[Evidence],
    approver: Signer,
    valid_from: datetime,
    valid_until: datetime,
) -> bytes:
    """The bytes that an approver signs: the whole request again, the answer, the evidence by digest."""
    return signed_text(
        APPROVAL_DOMAIN,
        {
            "request": request_message(request).decode(),
            "reason": reason,
            "evidence": [[one.name, one.sha256] for one in evidence],
            "approver": approver.name,
            "key_id": approver.key_id,
            "valid_from": valid_from,
            "valid_until": valid_until,
        },
    )
