"""Which licence a person concluded a pin to have: kept signed, and checked again at every reading."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from policy.approvals import Signer
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.conclusions import licence_conclusion_message
from policy.errors import WrongUse
from policy.identities import Identity
from policy.stacks import ModelPin
from registry.audit_log import AuditLog
from registry.evidence.keys import SigningKey
from registry.identities import Identities
from registry.kept_files import MAX_EVIDENCE_BYTES, evidence_json, keep_evidence, parse_evidence
from registry.licences.claims import Conclusion
from registry.tables import licence_conclusions
from registry.vouching import (
    MAY_APPROVE,
    ConclusionKind,
    SignedConclusion,
    id_of,
    is_vouched,
    signed_facts,
)


class Conclusions:
    """The licence conclusions of one database, inside one transaction."""

    __slots__ = ("_audit", "_connection", "_identities")

    def __init__(self, connection: Connection, audit: AuditLog, identities: Identities) -> None:
        self._connection = connection
        self._audit = audit
        self._identities = identities

    def sign(
        self,
        pin: ModelPin,
        drawn: Conclusion,
        approver: Identity,
        key: SigningKey,
        *,
        evidence: Sequence[tuple[str, bytes]],
        now: datetime,
    ) -> Conclusion:
        """Keep the evidence by content, sign over all of it, add the row, say so in the log."""
        _refuse(pin, drawn, approver, evidence, now)
        kept = keep_evidence(self._connection, evidence)
        signed = replace(drawn, concluded_by=approver.name, key_id=key.key_id, evidence=kept)
        message = _message(pin, signed, now)
        conclusion_id, signature = id_of("conclusion", message), key.sign(message).hex()
        row = {
            "conclusion_id": conclusion_id,
            "pin_id": pin.pin_id,
            "path": signed.scope,
            "licences_json": json.dumps(signed.licences),
            "reason": signed.reason,
            "evidence_json": evidence_json(kept),
            "concluded_by": signed.concluded_by,
            "concluded_at": now,
            "valid_until": signed.valid_until,
            "key_id": signed.key_id,
            "signature": signature,
        }
        self._connection.execute(insert(licence_conclusions), row)
        told = {
            "repo": pin.repo,
            "revision": pin.revision,
            "pin_id": pin.pin_id,
            "path": signed.scope,
            "licences": signed.licences,
            "conclusion": conclusion_id,
            "valid_until": signed.valid_until,
            "evidence": [one.sha256 for one in kept],
            **signed_facts(message, signature),
        }
        event = AuditEvent(
            tag="registry:licence:concluded",
            actor=approver.name,
            subject=pin.pin_id,
            payload=canonical_json(told),
        )
        self._audit.append(event, now)
        return _conclusion(pin, row, self._identities.by_key())

    def of(self, pin_id: str, pin: ModelPin) -> tuple[Conclusion, ...]:
        """What was concluded of a pin, the newest first; the keys are only asked for where there is any.

        ``pin_id`` is what the rows name; ``pin`` is what stands there now, and must be what was signed.
        """
        kept = licence_conclusions.c
        query = (
            select(licence_conclusions)
            .where(kept.pin_id == pin_id)
            .order_by(kept.concluded_at.desc(), kept.conclusion_id)
        )
        rows = self._connection.execute(query).mappings().all()
        keys = self._identities.by_key() if rows else {}
        return tuple(_conclusion(pin, row, keys) for row in rows)

    def signed(self, pin: ModelPin) -> tuple[SignedConclusion, ...]:
        """The conclusions on a pin that bear a signature, with the texts that were signed; oldest first."""
        kept = licence_conclusions.c
        query = (
            select(licence_conclusions)
            .where(kept.pin_id == pin.pin_id, kept.signature.is_not(None))
            .order_by(kept.concluded_at, kept.conclusion_id)
        )
        return tuple(
            SignedConclusion(
                kind=ConclusionKind.LICENCE,
                name=row["conclusion_id"],
                text=_message(pin, _bare(row), row["concluded_at"]).decode(),
                key_id=row["key_id"],
                signature=row["signature"],
            )
            for row in self._connection.execute(query).mappings()
        )


def _conclusion(pin: ModelPin, row: Any, keys: dict[str, Identity]) -> Conclusion:
    at: datetime = row["concluded_at"]
    bare = _bare(row)
    message = _message(pin, bare, at)
    holds = is_vouched(_signer(bare), message, row["signature"], at, keys, MAY_APPROVE)
    return replace(bare, is_claimed=not holds or row["conclusion_id"] != id_of("conclusion", message))


def _bare(row: Any) -> Conclusion:
    """What a row says, before any key is asked."""
    return Conclusion(
        licences=tuple(json.loads(row["licences_json"])),
        reason=row["reason"],
        concluded_by=row["concluded_by"],
        concluded_on=row["concluded_at"].date(),
        valid_until=row["valid_until"],
        scope=row["path"],
        evidence=parse_evidence(row["evidence_json"]),
        key_id=row["key_id"] or "",
    )


def _message(pin: ModelPin, conclusion: Conclusion, at: datetime) -> bytes:
    """What an approver signs, and must have signed."""
    return licence_conclusion_message(
        pin,
        licences=conclusion.licences,
        scope=conclusion.scope,
        reason=conclusion.reason,
        evidence=conclusion.evidence,
        signer=_signer(conclusion),
        concluded_at=at,
        valid_until=conclusion.valid_until,
    )


def _signer(conclusion: Conclusion) -> Signer:
    return Signer(name=conclusion.concluded_by, key_id=conclusion.key_id)


def _refuse(
    pin: ModelPin,
    drawn: Conclusion,
    approver: Identity,
    evidence: Sequence[tuple[str, bytes]],
    now: datetime,
) -> None:
    """Everything that would keep a conclusion from counting is refused before it is written."""
    until = drawn.valid_until
    doubts = (
        (
            approver.role not in MAY_APPROVE,
            f"{approver.name} is no approver: the key is a {approver.role.value}'s.",
            "Sign as an approver; rightstep identity list names them.",
        ),
        (not drawn.licences, "A conclusion names a licence.", "See: rightstep licence list."),
        (not drawn.reason.strip(), "A conclusion gives its reason.", "Say why."),
        (not evidence, "A conclusion rests on evidence.", "Attach a file: a mail, a page, a text."),
        (
            any(len(body) > MAX_EVIDENCE_BYTES for _, body in evidence),
            "A file of evidence is at most 16 MB.",
            "Attach what shows it.",
        ),
        (
            bool(drawn.scope) and not any(drawn.covers(file.path) for file in pin.files),
            f"{drawn.scope} matches no pinned file of {pin.repo}.",
            f"See its files: rightstep model show {pin.repo}.",
        ),
        (
            until is not None and until < now.date(),
            f"It would be over before it begins: {until} has passed.",
            "Give a later day, or none.",
        ),
    )
    for applies, sentence, remedy in doubts:
        if applies:
            raise WrongUse(sentence, remedy)
