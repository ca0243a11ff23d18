"""The registry of models: exact pins, what is said about their licences, and what was concluded.

Claims are only ever added. A conclusion is another row, signed by a named person; it never
changes the claims it was drawn from. Licence texts are kept as the bytes that were read.
"""

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from policy.audit import AuditEvent
from policy.canonical import canonical_json, digest
from policy.errors import IntegrityFault, UnknownName
from policy.identities import Identity
from policy.stacks import FilePin, ModelPin, Role
from registry import tables
from registry.audit_log import AuditLog
from registry.bulk import insert_unknown
from registry.conclusions import Conclusions
from registry.evidence.keys import SigningKey
from registry.identities import Identities
from registry.licences.claims import Claim, ClaimKind, Conclusion
from registry.licences.texts import normalised_sha256
from registry.upstream_tables import pin_snapshots
from registry.vouching import SignedConclusion

_SNAPSHOTS = pin_snapshots
_PINS = select(
    tables.pins,
    _SNAPSHOTS.c.endpoint,
    _SNAPSHOTS.c.resolved_repo,
    _SNAPSHOTS.c.gated,
    _SNAPSHOTS.c.taken_by,
).outerjoin(_SNAPSHOTS, _SNAPSHOTS.c.pin_id == tables.pins.c.pin_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class PinRecord:
    """A pinned repository with everything that bears on its licence."""

    pin: ModelPin
    source: str
    pinned_by: str
    pinned_at: datetime
    claims: tuple[Claim, ...]
    conclusions: tuple[Conclusion, ...]  # newest first
    endpoint: str = ""  # the hub it came from; "" for a folder
    upstream_repo: str = ""  # how that hub called it: another name where it was renamed
    gated: str = ""  # "auto", "manual", or "" where it was open to all
    gate_passed_by: str = ""  # whose account the hub let in


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenceText:
    """A licence text as it was read."""

    sha256: str
    normalised_sha256: str
    body: bytes


class ModelRegistry:
    """Pins, claims, conclusions and texts of one database, inside one transaction."""

    __slots__ = ("_audit", "_conclusions", "_connection")

    def __init__(self, connection: Connection, audit: AuditLog, identities: Identities) -> None:
        self._connection = connection
        self._audit = audit
        self._conclusions = Conclusions(connection, audit, identities)

    def save_pin(
        self,
        pin: ModelPin,
        *,
        source: str,
        claims: Sequence[Claim],
        texts: Sequence[bytes],
        actor: str,
        now: datetime,
    ) -> PinRecord:
        """Keep a pin with its claims and licence texts; saving it again adds only what is new.

        The same file of the same commit under another digest is an IntegrityFault: one of
        the two readings is not what was published.
        """
        self._refuse_other_bytes(pin)
        row = {
            "pin_id": pin.pin_id,
            "repo": pin.repo,
            "revision": pin.revision,
            "role": pin.role.value,
            "source": source,
            "pinned_by": actor,
            "pinned_at": now,
        }
        statement = insert_unknown(self._connection, tables.pins).returning(tables.pins.c.pin_id)
        if self._connection.execute(statement, row).first() is not None:
            self._save_files(pin)
            self._tell("registry:pin:saved", pin, {"source": source, "files": len(pin.files)}, actor, now)
        self._save_texts(texts, now)
        self._save_claims(pin, claims, source, actor, now)
        return self.pin_of(pin.repo, pin.revision)

    def _refuse_other_bytes(self, pin: ModelPin) -> None:
        query = (
            select(tables.pin_files.c.path, tables.pin_files.c.sha256)
            .join(tables.pins, tables.pins.c.pin_id == tables.pin_files.c.pin_id)
            .where(tables.pins.c.repo == pin.repo, tables.pins.c.revision == pin.revision)
        )
        known = dict(self._connection.execute(query).all())
        for file in pin.files:
            if known.get(file.path, file.sha256) != file.sha256:
                raise IntegrityFault(
                    f"{pin.repo}/{file.path} at {pin.revision[:12]} is pinned with other bytes.",
                    "Find out which source was tampered with; nothing was pinned.",
                )

    def _save_files(self, pin: ModelPin) -> None:
        rows = [
            {"pin_id": pin.pin_id, "path": file.path, "sha256": file.sha256, "size": file.size}
            for file in pin.files
        ]
        if rows:
            self._connection.execute(insert(tables.pin_files), rows)

    def _save_texts(self, texts: Sequence[bytes], now: datetime) -> None:
        rows = [
            {
                "sha256": hashlib.sha256(body).hexdigest(),
                "normalised_sha256": normalised_sha256(body),
                "body": body,
                "first_read_at": now,
            }
            for body in texts
        ]
        if rows:
            self._connection.execute(insert_unknown(self._connection, tables.licence_texts), rows)

    def _save_claims(
        self, pin: ModelPin, claims: Sequence[Claim], source: str, actor: str, now: datetime
    ) -> None:
        rows = [
            {
                "claim_id": digest("licence-claim", {"pin": pin.pin_id, "claim": claim}),
                "pin_id": pin.pin_id,
                "path": claim.path,
                "kind": claim.kind.value,
                "value": claim.value,
                "text_sha256": claim.text_sha256,
                "source": source,
                "read_by": actor,
                "read_at": now,
            }
            for claim in claims
        ]
        if rows:
            self._connection.execute(insert_unknown(self._connection, tables.licence_claims), rows)

    def conclude(
        self,
        pin: ModelPin,
        conclusion: Conclusion,
        approver: Identity,
        key: SigningKey,
        *,
        evidence: Sequence[tuple[str, bytes]],
        now: datetime,
    ) -> Conclusion:
        """Record, signed, what an approver concluded about a pin, or about the files in its scope.

        WrongUse where the key is no approver's, no licence, reason or evidence is given, the
        scope matches no pinned file, or the end has passed.
        """
        return self._conclusions.sign(pin, conclusion, approver, key, evidence=evidence, now=now)

    def _tell(self, tag: str, pin: ModelPin, facts: dict[str, Any], actor: str, now: datetime) -> None:
        payload = canonical_json({"repo": pin.repo, "revision": pin.revision, "pin_id": pin.pin_id, **facts})
        self._audit.append(AuditEvent(tag=tag, actor=actor, subject=pin.pin_id, payload=payload), now)

    def pins(self) -> tuple[PinRecord, ...]:
        """Every pin, by repository, the newest of each first."""
        pins_table = tables.pins
        query = _PINS.order_by(pins_table.c.repo, pins_table.c.pinned_at.desc(), pins_table.c.pin_id)
        return tuple(self._record(row) for row in self._connection.execute(query).mappings().all())

    def pin_of(self, repo: str, revision: str | None = None) -> PinRecord:
        """The newest pin of a repository, at a commit where one is given; else UnknownName."""
        pins_table = tables.pins
        query = (
            _PINS.where(pins_table.c.repo == repo)
            .order_by(pins_table.c.pinned_at.desc(), pins_table.c.pin_id)
            .limit(1)
        )
        if revision is not None:
            query = query.where(pins_table.c.revision == revision)
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            name = repo if revision is None else f"{repo}@{revision}"
            raise UnknownName(f"{name} is not pinned.", self._hint(repo, name))
        return self._record(row)

    def _hint(self, repo: str, name: str) -> str:
        known = self._connection.execute(select(tables.pins.c.repo).distinct()).scalars()
        near = difflib.get_close_matches(repo, sorted(known), n=3, cutoff=0.5)
        pin = f"Pin it with: rightstep model pin {name}."
        return f"Did you mean {' or '.join(near)}? Otherwise: {pin}" if near else pin

    def _record(self, row: Any) -> PinRecord:
        files = self._connection.execute(
            select(tables.pin_files.c.path, tables.pin_files.c.sha256, tables.pin_files.c.size).where(
                tables.pin_files.c.pin_id == row["pin_id"]
            )
        )
        pin = ModelPin(
            repo=row["repo"],
            revision=row["revision"],
            role=Role(row["role"]),
            files=tuple(
                FilePin(path=path, sha256=sha256, size=size) for path, sha256, size in sorted(files.all())
            ),
        )
        return PinRecord(
            pin=pin,
            source=row["source"],
            pinned_by=row["pinned_by"],
            pinned_at=row["pinned_at"],
            claims=self._claims(row["pin_id"]),
            conclusions=self._conclusions.of(row["pin_id"], pin),
            endpoint=row["endpoint"] or "",
            upstream_repo=row["resolved_repo"] or "",
            gated=row["gated"] or "",
            gate_passed_by=(row["taken_by"] or "") if row["gated"] else "",
        )

    def _claims(self, pin_id: str) -> tuple[Claim, ...]:
        claims = tables.licence_claims
        query = (
            select(claims.c.kind, claims.c.value, claims.c.path, claims.c.text_sha256)
            .where(claims.c.pin_id == pin_id)
            .order_by(claims.c.path, claims.c.kind, claims.c.value, claims.c.claim_id)
        )
        return tuple(
            Claim(kind=ClaimKind(kind), value=value, path=path, text_sha256=text_sha256)
            for kind, value, path, text_sha256 in self._connection.execute(query)
        )

    def signed_conclusions(self) -> tuple[SignedConclusion, ...]:
        """Every licence conclusion that bears a signature, by repository and pin."""
        return tuple(signed for record in self.pins() for signed in self._conclusions.signed(record.pin))

    def licence_text(self, sha256: str) -> LicenceText:
        """A kept text by the digest of its bytes, or of its normalised words; else UnknownName."""
        texts = tables.licence_texts
        query = (
            select(texts.c.sha256, texts.c.normalised_sha256, texts.c.body)
            .where((texts.c.sha256 == sha256) | (texts.c.normalised_sha256 == sha256))
            .order_by(texts.c.first_read_at, texts.c.sha256)
            .limit(1)
        )
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise UnknownName(f"No licence text {sha256[:12]} is kept.", "Pin the model that carries it.")
        return LicenceText(sha256=row[0], normalised_sha256=row[1], body=row[2])
