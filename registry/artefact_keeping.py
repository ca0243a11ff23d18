"""Bytes that were deliberately not kept: of these the ledger alone tells what they were.

A row says why an artefact is not in the store. It is written in the transaction that records what left, so
that no picture is gone without a word; where the same bytes are made again they are simply there again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, exists, select, update

from policy.tasks import TakeState
from registry import tables
from registry.bulk import insert_unknown, write_many
from registry.instants import Instant
from registry.trust_tables import unkept_artefacts

REMOVED_OF_THE_JOB = (
    select(unkept_artefacts)
    .join(tables.takes, tables.takes.c.artefact_sha256 == unkept_artefacts.c.sha256)
    .where(tables.takes.c.job_id == bindparam("job_id"))
    .order_by(unkept_artefacts.c.removed_at)
)
REMOVED = (
    select(unkept_artefacts)
    .where(unkept_artefacts.c.sha256 == bindparam("sha256"))
    .order_by(unkept_artefacts.c.removed_at.desc())
    .limit(1)
)
MARK_REMOVED = (
    update(tables.artefacts)
    .where(tables.artefacts.c.sha256 == bindparam("b_sha256"))
    .values(removed_at=bindparam("b_removed_at", type_=Instant))
)
RESTED_ON = (  # by the artefact's digest to its shots, by these to takes: each an index
    select(tables.artefacts.c.sha256)
    .join(tables.shots, tables.shots.c.shot_key == tables.artefacts.c.shot_key)
    .join(
        tables.takes,
        and_(
            tables.takes.c.job_id == tables.shots.c.job_id,
            tables.takes.c.ordinal == tables.shots.c.ordinal,
            tables.takes.c.artefact_sha256 == tables.artefacts.c.sha256,
        ),
    )
    .where(
        tables.artefacts.c.sha256.in_(bindparam("digests", expanding=True)),
        tables.takes.c.job_id != bindparam("job_id"),
        tables.takes.c.state.in_([TakeState.DONE.value, TakeState.REUSED.value]),
        ~exists().where(
            unkept_artefacts.c.sha256 == tables.takes.c.artefact_sha256,
            unkept_artefacts.c.job_id == tables.takes.c.job_id,
        ),
    )
    .distinct()
)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnkeptArtefact:
    """Bytes that were removed on purpose."""

    sha256: str
    job_id: str
    actor: str
    because: str
    removed_at: datetime

    @property
    def told(self) -> str:
        """One sentence for whoever asks for the bytes."""
        return f"Not kept: provenance only ({self.because}, {self.removed_at.date()})."


class ArtefactKeeping:
    """What is not kept, in one database, inside one transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def others_rest_on(self, job_id: str, digests: Sequence[str]) -> frozenset[str]:
        """Those of these artefacts that a made take of another job is which has not left them unkept."""
        asked = {"job_id": job_id, "digests": list(digests)}
        return frozenset(self._connection.execute(RESTED_ON, asked).scalars())

    def note_removed(
        self, job_id: str, digests: Sequence[str], *, actor: str, because: str, now: datetime
    ) -> None:
        """Say of artefacts of a job that their bytes are removed; no later order reuses them."""
        rows = [
            {"sha256": sha256, "job_id": job_id, "actor": actor, "because": because, "removed_at": now}
            for sha256 in digests
        ]
        write_many(self._connection, insert_unknown(self._connection, unkept_artefacts), rows)
        marks = [{"b_sha256": sha256, "b_removed_at": now} for sha256 in sorted(set(digests))]
        write_many(self._connection, MARK_REMOVED, marks)

    def removed(self, sha256: str) -> UnkeptArtefact | None:
        """When an artefact's bytes were last removed on purpose, and why; None where nobody did that."""
        row = self._connection.execute(REMOVED, {"sha256": sha256}).mappings().one_or_none()
        return None if row is None else UnkeptArtefact(**row)

    def removed_of(self, job_id: str) -> Mapping[str, UnkeptArtefact]:
        """Artefacts of a job whose bytes were removed on purpose, by digest: when last, and why."""
        rows = self._connection.execute(REMOVED_OF_THE_JOB, {"job_id": job_id}).mappings()
        return {row["sha256"]: UnkeptArtefact(**row) for row in rows}
