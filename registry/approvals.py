"""Requests, approvals, waivers and grants: kept with their signatures, which are checked at every reading."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL, Connection, insert, select, update

from policy.approvals import (
    Approval,
    ApprovalKind,
    ApprovalRequest,
    Grant,
    Purchase,
    Signer,
    approval_message,
    request_message,
)
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.codec import decode, encode
from policy.errors import UnknownName, WrongUse
from policy.identities import Identity
from policy.uses import Act
from registry.audit_log import AuditLog
from registry.evidence.keys import SigningKey
from registry.identities import Identities
from registry.instants import instant_text
from registry.kept_files import (
    MAX_EVIDENCE_BYTES,
    evidence_json,
    keep_evidence,
    kept_file,
    parse_evidence,
)
from registry.trust_tables import approval_requests, approvals
from registry.vouching import MAY_APPROVE, MAY_ASK, id_of, is_vouched, signed_facts

_EVERYTHING = (
    select(approvals, approval_requests)
    .join(approval_requests, approvals.c.request_id == approval_requests.c.request_id)
    .order_by(approvals.c.valid_from, approvals.c.approval_id)
    .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedApproval:
    """An answer as it was signed: both texts, both signatures, both keys."""

    approval_id: str
    kind: str
    request: str
    request_key_id: str
    request_signature: str
    approval: str  # holds the request again
    key_id: str
    signature: str
    withdrawn_at: str | None


class Approvals:
    """Requests and their answers in one database, inside one transaction."""

    __slots__ = ("_audit", "_connection", "_identities")

    def __init__(self, connection: Connection, audit: AuditLog, identities: Identities) -> None:
        self._connection = connection
        self._audit = audit
        self._identities = identities

    def ask(self, request: ApprovalRequest, key: SigningKey | None) -> ApprovalRequest:
        """Keep a request; without a key its requester is only claimed, and nobody can approve it."""
        message = request_message(request)
        signature = None if key is None else key.sign(message).hex()
        request_id = id_of("ask", message)
        row = {
            "request_id": request_id,
            "kind": request.kind.value,
            "stack_id": request.stack_id,
            "act": request.act.value,
            "answers_json": json.dumps(request.answers),
            "paid_json": None if request.paid is None else json.dumps(encode(request.paid)),
            "reason": request.reason,
            "requester": request.requester.name,
            "requester_key_id": request.requester.key_id or None,
            "signature": signature,
            "requested_at": request.requested_at,
        }
        self._connection.execute(insert(approval_requests), row)
        told = {"stack_id": request.stack_id, "act": request.act, "answers": request.answers}
        tag = f"{request.kind.value}:request:{'signed' if signature else 'claimed'}"
        self._tell(tag, request.requester.name, request_id, (message, signature), told, request.requested_at)
        return self.request(request_id)

    def request(self, request_id: str) -> ApprovalRequest:
        """A request by its id or the beginning of it; else UnknownName."""
        kept = approval_requests.c
        query = select(approval_requests).where(kept.request_id.startswith(request_id, autoescape=True))
        rows = self._connection.execute(query.limit(2)).mappings().all()
        if len(rows) != 1:
            raise UnknownName(f"There is no request {request_id!r}.", "See: rightstep approve list.")
        return _request(rows[0], self._identities.by_key())

    def requests(self, *, is_open: bool = False) -> tuple[ApprovalRequest, ...]:
        """Every request, oldest first; or those that nobody has answered."""
        query = select(approval_requests).order_by(
            approval_requests.c.requested_at, approval_requests.c.request_id
        )
        if is_open:
            query = query.where(approval_requests.c.request_id.not_in(select(approvals.c.request_id)))
        keys = self._identities.by_key()
        return tuple(_request(row, keys) for row in self._connection.execute(query).mappings().all())

    def sign(
        self,
        request: ApprovalRequest,
        approver: Identity,
        key: SigningKey,
        *,
        reason: str,
        evidence: Sequence[tuple[str, bytes]],
        valid_until: datetime,
        now: datetime,
    ) -> Approval | Grant:
        """Answer a request: keep the evidence by content, sign over all of it, say so in the log.

        WrongUse where the request is only claimed, the key is the requester's or no approver's,
        nothing is attached, or the end has passed.
        """
        _refuse(request, approver, reason, evidence, valid_until, now)
        kept = keep_evidence(self._connection, evidence)
        signer = Signer(name=approver.name, key_id=key.key_id)
        message = approval_message(
            request, reason=reason, evidence=kept, approver=signer, valid_from=now, valid_until=valid_until
        )
        approval_id, signature = id_of(request.kind.value, message), key.sign(message).hex()
        row = {
            "approval_id": approval_id,
            "request_id": request.request_id,
            "reason": reason,
            "evidence_json": evidence_json(kept),
            "approver": approver.name,
            "approver_key_id": key.key_id,
            "valid_from": now,
            "valid_until": valid_until,
            "signature": signature,
        }
        self._connection.execute(insert(approvals), row)
        told = {
            "request_id": request.request_id,
            "stack_id": request.stack_id,
            "act": request.act,
            "valid_until": valid_until,
            "evidence": [one.sha256 for one in kept],
        }
        tag = f"{request.kind.value}:request:granted"
        self._tell(tag, approver.name, approval_id, (message, signature), told, now)
        return self.approval(approval_id)

    def withdraw(self, approval_id: str, *, actor: str, reason: str, now: datetime) -> Approval | Grant:
        """End an approval at once; the record of it stays."""
        found = self.approval(approval_id)
        if found.withdrawn_at is not None:
            raise WrongUse(f"{found.approval_id} is withdrawn already.", "Nothing is left to do.")
        self._connection.execute(
            update(approvals)
            .where(approvals.c.approval_id == found.approval_id)
            .values(withdrawn_at=now, withdrawn_by=actor, withdrawn_because=reason)
        )
        event = AuditEvent(
            tag="approval:record:withdrawn",
            actor=actor,
            subject=found.approval_id,
            payload=canonical_json({"reason": reason, "stack_id": found.stack_id, "act": found.act}),
        )
        self._audit.append(event, now)
        return self.approval(found.approval_id)

    def approval(self, approval_id: str) -> Approval | Grant:
        """An approval, waiver or grant by its id or the beginning of it; else UnknownName."""
        found = [one for one in self.known() if one.approval_id.startswith(approval_id)]
        if len(found) != 1:
            raise UnknownName(f"There is no approval {approval_id!r}.", "See: rightstep approve list.")
        return found[0]

    def known(self, stack_id: str | None = None) -> tuple[Approval | Grant, ...]:
        """Every approval, waiver and grant, oldest first; of one stack, or of all."""
        query = _EVERYTHING
        if stack_id is not None:
            query = query.where(approval_requests.c.stack_id == stack_id)
        keys = self._identities.by_key()
        return tuple(_approval(row, keys) for row in self._connection.execute(query).mappings().all())

    def signed(self) -> tuple[SignedApproval, ...]:
        """Every answer with the very texts that were signed, for whoever checks them elsewhere."""
        return tuple(_signed(row) for row in self._connection.execute(_EVERYTHING).mappings().all())

    def evidence(self, sha256: str) -> bytes:
        """An attached file by its digest; else UnknownName."""
        return kept_file(self._connection, sha256)

    def _tell(
        self,
        tag: str,
        actor: str,
        subject: str,
        signed: tuple[bytes, str | None],
        facts: Mapping[str, Any],
        now: datetime,
    ) -> None:
        """An event that binds what was signed: its digest and its signature."""
        payload = canonical_json({**facts, **signed_facts(*signed)})
        event = AuditEvent(tag=tag, actor=actor, subject=subject, payload=payload)
        self._audit.append(event, now)


def _refuse(
    request: ApprovalRequest,
    approver: Identity,
    reason: str,
    evidence: Sequence[tuple[str, bytes]],
    valid_until: datetime,
    now: datetime,
) -> None:
    """Everything that would keep an approval from standing is refused before it is written."""
    asked = request.requester
    doubts = (
        (not asked.is_signed, f"{asked.name} only claims to have asked: the request is not signed."),
        (asked.key_id == approver.key_id, "Whoever asked cannot approve: it is the same key."),
        (asked.name == approver.name, "Whoever asked cannot approve: it is the same name."),
        (
            approver.role not in MAY_APPROVE,
            f"{approver.name} is no approver: the key is a {approver.role.value}'s.",
        ),
        (not reason.strip(), "An approval gives its reason."),
        (not evidence, "An approval rests on evidence: attach a file."),
        (any(len(body) > MAX_EVIDENCE_BYTES for _, body in evidence), "A file of evidence is at most 16 MB."),
        (valid_until <= now, "It would be over before it begins."),
    )
    for applies, sentence in doubts:
        if applies:
            raise WrongUse(sentence, "See: rightstep approve show and rightstep identity list.")


def _request(row: Any, keys: Mapping[str, Identity]) -> ApprovalRequest:
    bare = ApprovalRequest(
        request_id=row["request_id"],
        kind=ApprovalKind(row["kind"]),
        stack_id=row["stack_id"],
        act=Act(row["act"]),
        answers=tuple(json.loads(row["answers_json"])),
        paid=None if row["paid_json"] is None else decode(Purchase, json.loads(row["paid_json"])),
        reason=row["reason"],
        requester=Signer(name=row["requester"], key_id=row["requester_key_id"] or ""),
        requested_at=row["requested_at"],
    )
    holds = is_vouched(
        bare.requester, request_message(bare), row["signature"], bare.requested_at, keys, MAY_ASK
    )
    return replace(bare, requester=replace(bare.requester, is_signed=holds))


def _parted(row: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The request's columns and the answer's."""
    asked = {name.removeprefix("approval_requests_"): value for name, value in row.items()}
    given = {name.removeprefix("approvals_"): value for name, value in row.items()}
    return asked, given


def _message(request: ApprovalRequest, given: Mapping[str, Any]) -> bytes:
    """What the approver must have signed."""
    return approval_message(
        request,
        reason=given["reason"],
        evidence=parse_evidence(given["evidence_json"]),
        approver=Signer(name=given["approver"], key_id=given["approver_key_id"]),
        valid_from=given["valid_from"],
        valid_until=given["valid_until"],
    )


def _signed(row: Any) -> SignedApproval:
    asked, given = _parted(row)
    request = _request(asked, {})
    withdrawn_at = given["withdrawn_at"]
    return SignedApproval(
        approval_id=given["approval_id"],
        kind=asked["kind"],
        request=request_message(request).decode(),
        request_key_id=asked["requester_key_id"],
        request_signature=asked["signature"],
        approval=_message(request, given).decode(),
        key_id=given["approver_key_id"],
        signature=given["signature"],
        withdrawn_at=None if withdrawn_at is None else instant_text(withdrawn_at),
    )


def _approval(row: Any, keys: Mapping[str, Identity]) -> Approval | Grant:
    asked, given = _parted(row)
    request = _request(asked, keys)
    approver = Signer(name=given["approver"], key_id=given["approver_key_id"])
    message = _message(request, given)
    holds = is_vouched(approver, message, given["signature"], given["valid_from"], keys, MAY_APPROVE)
    shared: dict[str, Any] = {
        "approval_id": given["approval_id"],
        "stack_id": request.stack_id,
        "act": request.act,
        "reason": given["reason"],
        "evidence": parse_evidence(given["evidence_json"]),
        "requester": request.requester,
        "approver": replace(approver, is_signed=holds),
        "valid_from": given["valid_from"],
        "valid_until": given["valid_until"],
        "withdrawn_at": given["withdrawn_at"],
        "withdrawn_because": given["withdrawn_because"] or "",
    }
    if request.paid is not None:
        return Grant(paid=request.paid, **shared)
    return Approval(kind=request.kind, answers=request.answers, **shared)
