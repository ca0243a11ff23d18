"""What hubs said of pinned repositories, and every finding of drift until it is concluded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from policy.approvals import Signer
from policy.audit import AuditEvent
from policy.canonical import canonical_json, digest
from policy.codec import decode, encode
from policy.conclusions import drift_conclusion_message
from policy.errors import WrongUse
from policy.identities import Identity
from policy.stacks import ModelPin
from registry import tables
from registry.audit_log import AuditLog
from registry.bulk import insert_unknown
from registry.drift import DriftFinding, DriftKind, DriftSeverity
from registry.evidence.keys import SigningKey
from registry.identities import Identities
from registry.upstream import UpstreamFacts
from registry.upstream_tables import drift_findings, pin_snapshots
from registry.vouching import MAY_APPROVE, ConclusionKind, SignedConclusion, is_vouched, signed_facts

_FINDINGS = (
    select(drift_findings, tables.pins.c.repo, tables.pins.c.revision)
    .join(tables.pins, tables.pins.c.pin_id == drift_findings.c.pin_id)
    .order_by(drift_findings.c.found_at.desc(), tables.pins.c.repo, drift_findings.c.finding_id)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PinSnapshot:
    """What a hub said of a repository when it was pinned."""

    pin_id: str
    facts: UpstreamFacts
    texts: tuple[tuple[str, str], ...]  # (path, sha256) of the archived licences, notices and card
    taken_by: str  # whose account the hub let in: a gate that was passed was passed by it
    taken_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundDrift:
    """A finding with its state."""

    finding_id: str
    pin_id: str
    repo: str
    revision: str  # 40 hex
    finding: DriftFinding
    found_at: datetime
    concluded_by: str | None
    concluded_at: datetime | None
    concluded_because: str | None
    key_id: str = ""  # of the key that signed the conclusion
    is_signed: bool = False  # an approver's key that counts vouches for the conclusion: it is not open

    @property
    def is_open(self) -> bool:
        """Until somebody concluded it whose key counts; one that was only claimed to be stays open."""
        return not self.is_signed

    @property
    def standing(self) -> str:
        """What it asks for while it is open, else that it is concluded."""
        if not self.is_open:
            return "concluded"
        claimed = f", concluded by {self.concluded_by} (claimed)" if self.concluded_by else ""
        return f"{self.finding.severity.value}{claimed}"


class UpstreamRecords:
    """Snapshots and findings of one database, inside one transaction."""

    __slots__ = ("_audit", "_connection", "_identities")

    def __init__(self, connection: Connection, audit: AuditLog, identities: Identities) -> None:
        self._connection = connection
        self._audit = audit
        self._identities = identities

    def save_snapshot(
        self,
        pin: ModelPin,
        facts: UpstreamFacts,
        texts: Sequence[tuple[str, str]],
        *,
        actor: str,
        now: datetime,
    ) -> None:
        """Keep what was said at the first pin of these bytes; later words are for the drift watch."""
        row = {
            "pin_id": pin.pin_id,
            "endpoint": facts.endpoint,
            "resolved_repo": facts.repo,
            "asked_revision": facts.asked_revision,
            "gated": facts.gated,
            "facts_json": json.dumps(encode(facts)),
            "texts_json": json.dumps(tuple(texts)),
            "taken_by": actor,
            "taken_at": now,
        }
        table = pin_snapshots
        statement = insert_unknown(self._connection, table).returning(table.c.pin_id)
        if self._connection.execute(statement, row).first() is None:
            return
        told = {
            "repo": pin.repo,
            "revision": pin.revision,
            "endpoint": facts.endpoint,
            "upstream": facts.repo,
            "gated": facts.gated,
            "alarms": [[one.path, one.alarm.value] for one in facts.alarms],
            "facts": digest("upstream-facts", encode(facts)),
        }
        self._tell("registry:upstream:read", pin.pin_id, told, actor, now)

    def snapshots(self) -> dict[str, PinSnapshot]:
        """Every snapshot, by pin."""
        rows = self._connection.execute(select(pin_snapshots)).mappings()
        return {row["pin_id"]: _snapshot(row) for row in rows}

    def save_findings(
        self, pin: ModelPin, findings: Sequence[DriftFinding], *, actor: str, now: datetime
    ) -> tuple[FoundDrift, ...]:
        """Keep what is new with an audit event each; returns the new ones.

        A finding is the same as long as upstream says the same: it is told once, and stays
        concluded once it was.
        """
        table = drift_findings
        statement = insert_unknown(self._connection, table).returning(table.c.finding_id)
        new = []
        for finding in findings:
            facts = {"pin": pin.pin_id, "kind": finding.kind, "subject": finding.subject}
            row = {
                "finding_id": digest("drift-finding", {**facts, "upstream": finding.upstream}),
                "pin_id": pin.pin_id,
                "kind": finding.kind.value,
                "severity": finding.severity.value,
                "subject": finding.subject,
                "pinned": finding.pinned,
                "upstream": finding.upstream,
                "detail": finding.detail,
                "found_at": now,
            }
            if self._connection.execute(statement, row).first() is None:
                continue
            told = {**encode(finding), "repo": pin.repo, "revision": pin.revision, "pin_id": pin.pin_id}
            self._tell("model:drift:found", pin.pin_id, told, actor, now)
            new.append(row["finding_id"])
        return tuple(found for found in self.findings() if found.finding_id in new)

    def findings(self, *, open_only: bool = False) -> tuple[FoundDrift, ...]:
        """Every finding, the newest first; ``open_only`` leaves out those whose conclusion counts."""
        rows = self._connection.execute(_FINDINGS).mappings().all()
        keys = self._identities.by_key() if any(row["signature"] for row in rows) else {}
        found = (_found(row, keys) for row in rows)
        return tuple(one for one in found if one.is_open or not open_only)

    def signed_conclusions(self) -> tuple[SignedConclusion, ...]:
        """The standing conclusion of every finding, where it bears a signature, as it was signed."""
        rows = self._connection.execute(_FINDINGS.where(drift_findings.c.signature.is_not(None)))
        return tuple(_signed(row) for row in rows.mappings().all())

    def conclude(
        self, found: FoundDrift, approver: Identity, key: SigningKey, *, because: str, now: datetime
    ) -> None:
        """Record, signed, that an approver looked at a finding and why it holds nothing back any more.

        It takes the place of a conclusion that does not count; the log keeps both. WrongUse where
        the key is no approver's, no reason is given, or somebody else concluded it meanwhile.
        """
        if approver.role not in MAY_APPROVE:
            raise WrongUse(
                f"{approver.name} is no approver: the key is a {approver.role.value}'s.",
                "Sign as an approver; rightstep identity list names them.",
            )
        if not because.strip():
            raise WrongUse("A conclusion gives its reason.", "Say why it holds nothing back any more.")
        signer = Signer(name=approver.name, key_id=key.key_id)
        message = _message(found, because, signer, now)
        signature = key.sign(message).hex()
        table = drift_findings
        written = self._connection.execute(
            update(table)
            .where(
                table.c.finding_id == found.finding_id,
                table.c.concluded_at.is_not_distinct_from(found.concluded_at),
            )
            .values(
                concluded_by=approver.name,
                concluded_at=now,
                concluded_because=because,
                key_id=key.key_id,
                signature=signature,
            )
        )
        if written.rowcount != 1:
            raise WrongUse(
                f"Somebody else concluded this of {found.repo} meanwhile.", "See: rightstep model drift."
            )
        told = {
            "finding": found.finding_id,
            "repo": found.repo,
            "pin_id": found.pin_id,
            "because": because,
            **signed_facts(message, signature),
        }
        self._tell("model:drift:concluded", found.pin_id, told, approver.name, now)

    def _tell(self, tag: str, subject: str, facts: dict[str, Any], actor: str, now: datetime) -> None:
        self._audit.append(
            AuditEvent(tag=tag, actor=actor, subject=subject, payload=canonical_json(facts)), now
        )


def _snapshot(row: Any) -> PinSnapshot:
    return PinSnapshot(
        pin_id=row["pin_id"],
        facts=decode(UpstreamFacts, json.loads(row["facts_json"])),
        texts=tuple((path, sha256) for path, sha256 in json.loads(row["texts_json"])),
        taken_by=row["taken_by"],
        taken_at=row["taken_at"],
    )


def _message(found: FoundDrift, because: str, signer: Signer, concluded_at: datetime) -> bytes:
    """What an approver signs of a finding: everything that its row says of it."""
    told: dict[str, object] = {
        **encode(found.finding),
        "finding_id": found.finding_id,
        "pin_id": found.pin_id,
        "repo": found.repo,
        "revision": found.revision,
        "found_at": found.found_at,
    }
    return drift_conclusion_message(told, because=because, signer=signer, concluded_at=concluded_at)


def _signed(row: Any) -> SignedConclusion:
    signer = Signer(name=row["concluded_by"], key_id=row["key_id"])
    text = _message(_bare(row), row["concluded_because"], signer, row["concluded_at"]).decode()
    return SignedConclusion(
        kind=ConclusionKind.DRIFT,
        name=row["finding_id"],
        text=text,
        key_id=row["key_id"],
        signature=row["signature"],
    )


def _bare(row: Any) -> FoundDrift:
    """What a row says, before any key is asked."""
    return FoundDrift(
        finding_id=row["finding_id"],
        pin_id=row["pin_id"],
        repo=row["repo"],
        revision=row["revision"],
        finding=DriftFinding(
            kind=DriftKind(row["kind"]),
            severity=DriftSeverity(row["severity"]),
            subject=row["subject"],
            pinned=row["pinned"],
            upstream=row["upstream"],
            detail=row["detail"],
        ),
        found_at=row["found_at"],
        concluded_by=row["concluded_by"],
        concluded_at=row["concluded_at"],
        concluded_because=row["concluded_because"],
        key_id=row["key_id"] or "",
    )


def _found(row: Any, keys: Mapping[str, Identity]) -> FoundDrift:
    bare = _bare(row)
    by, at, because = bare.concluded_by, bare.concluded_at, bare.concluded_because
    if by is None or at is None or because is None:
        return bare
    signer = Signer(name=by, key_id=bare.key_id)
    holds = is_vouched(signer, _message(bare, because, signer, at), row["signature"], at, keys, MAY_APPROVE)
    return replace(bare, is_signed=holds)
