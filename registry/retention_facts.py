"""What the ledger says of stored artefacts, for whoever decides which may go.

Nothing here looks at a file: when each was last written is the store's to say.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, and_, bindparam, func, select, text

from policy.retention import RestingJob, StoredArtefact
from policy.tasks import TakeState
from registry import tables
from registry.audit_guards import LOCK_HEAD
from registry.records import JobState
from registry.trust_tables import legal_holds

artefacts, takes, shots, jobs = tables.artefacts, tables.takes, tables.shots, tables.jobs
DIGESTS: BindParameter[Any] = bindparam("digests", expanding=True)
PAGE = (
    select(artefacts.c.sha256)
    .where(artefacts.c.sha256 > bindparam("after"), artefacts.c.removed_at.is_(None))
    .distinct()
    .order_by(artefacts.c.sha256)
    .limit(bindparam("count"))
)
ROWS = select(
    artefacts.c.sha256, artefacts.c.size, artefacts.c.sound_sha256, artefacts.c.job_id, artefacts.c.made_at
).where(artefacts.c.sha256.in_(DIGESTS), artefacts.c.removed_at.is_(None))
TAKEN_AS = (
    select(artefacts.c.sha256, takes.c.job_id, takes.c.ordinal)
    .join(shots, shots.c.shot_key == artefacts.c.shot_key)
    .join(
        takes,
        and_(
            takes.c.job_id == shots.c.job_id,
            takes.c.ordinal == shots.c.ordinal,
            takes.c.artefact_sha256 == artefacts.c.sha256,
        ),
    )
    .where(
        artefacts.c.sha256.in_(DIGESTS),
        takes.c.state.in_([TakeState.DONE.value, TakeState.REUSED.value]),
    )
)
JOBS = select(jobs.c.job_id, jobs.c.owner, jobs.c.state, jobs.c.ended_at).where(
    jobs.c.job_id.in_(bindparam("jobs", expanding=True))
)
HELD_JOBS = select(legal_holds.c.job_id).where(
    legal_holds.c.job_id.in_(bindparam("jobs", expanding=True)), legal_holds.c.released_at.is_(None)
)
IN_REVIEW = select(tables.quality_holds.c.job_id, tables.quality_holds.c.ordinal).where(
    tables.quality_holds.c.job_id.in_(bindparam("jobs", expanding=True)),
    tables.quality_holds.c.released_at.is_(None),
)
SHIPPED = (
    select(tables.shipment_items.c.artefact_sha256)
    .where(tables.shipment_items.c.artefact_sha256.in_(DIGESTS))
    .distinct()
)
STILL_HEARD = (
    select(artefacts.c.sound_sha256)
    .where(
        artefacts.c.sound_sha256.in_(bindparam("sounds", expanding=True)), artefacts.c.removed_at.is_(None)
    )
    .distinct()
)
NAMED = select(artefacts.c.sha256, artefacts.c.removed_at).where(artefacts.c.sha256.in_(DIGESTS))
BESIDE = select(artefacts.c.provenance_sha256, artefacts.c.sound_sha256, artefacts.c.removed_at)
# The end of the audit chain first, and then nothing is waited for: whoever orders or ships takes these in
# either order, and of two who wait for each other one would lose.
STAND_STILL = (
    f"SELECT seq FROM {LOCK_HEAD}",  # noqa: S608 - a constant of ours
    "LOCK TABLE jobs, legal_holds, quality_holds, shipment_items IN SHARE MODE NOWAIT",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerArtefact:
    """An artefact as far as the ledger knows it."""

    sha256: str
    size: int  # bytes, of the picture or clip alone
    sounds: tuple[str, ...]  # digests of what is heard with it
    made_at: datetime
    is_shipped: bool
    jobs: tuple[RestingJob, ...]

    def stored(self, touched_at: datetime | None, sound_size: int) -> StoredArtefact:
        """The same with what the store says."""
        return StoredArtefact(
            sha256=self.sha256,
            size=self.size + sound_size,
            made_at=self.made_at,
            touched_at=touched_at,
            is_shipped=self.is_shipped,
            jobs=self.jobs,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedBeside:
    """Files that lie beside artefacts, by the bytes of their digests: 32 bytes each, for millions of them."""

    kept: frozenset[bytes]  # statements of everything, sounds of what was not removed
    removed: frozenset[bytes]  # sounds of what was removed


class RetentionFacts:
    """Artefacts and the claims on them, of one database, inside one transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def stand_still(self) -> None:
        """Let nobody order, hold or ship until this transaction ends; LedgerFault where somebody just does.

        In SQLite a transaction that writes has the database to itself as it is.
        """
        if self._connection.dialect.name == "postgresql":
            for statement in STAND_STILL:
                self._connection.execute(text(statement))

    def page(self, after: str, count: int) -> tuple[str, ...]:
        """Digests of artefacts that were not removed, in order, those that come after one."""
        return tuple(self._connection.execute(PAGE, {"after": after, "count": count}).scalars())

    def artefacts(self, digests: Sequence[str]) -> tuple[LedgerArtefact, ...]:
        """Every claim on these artefacts; those that were removed meanwhile are left out."""
        asked = {"digests": list(digests)}
        rows: dict[str, list[Any]] = defaultdict(list)
        rests: dict[str, dict[str, set[int]]] = {}
        for row in self._connection.execute(ROWS, asked):
            rows[row.sha256].append(row)
            rests.setdefault(row.sha256, {}).setdefault(
                row.job_id, set()
            )  # its maker, with a take or without
        for sha256, job_id, ordinal in self._connection.execute(TAKEN_AS, asked):
            if sha256 in rests:
                rests[sha256].setdefault(job_id, set()).add(ordinal)
        claimants = self._claimants({job_id for claims in rests.values() for job_id in claims})
        sounds = {sha256: {row.sound_sha256 for row in of_it} - {None} for sha256, of_it in rows.items()}
        shipped = self._shipped({*rows, *(sound for heard in sounds.values() for sound in heard)})
        return tuple(
            LedgerArtefact(
                sha256=sha256,
                size=of_it[0].size,
                sounds=tuple(sorted(sounds[sha256])),
                made_at=max(row.made_at for row in of_it),
                is_shipped=not shipped.isdisjoint({sha256, *sounds[sha256]}),
                jobs=tuple(claimants[job_id].resting(ordinals) for job_id, ordinals in rests[sha256].items()),
            )
            for sha256, of_it in sorted(rows.items())
        )

    def still_heard(self, sounds: Collection[str]) -> frozenset[str]:
        """Those of these sounds that an artefact which was not removed is heard with."""
        found = self._connection.execute(STILL_HEARD, {"sounds": sorted(sounds)}).scalars()
        return frozenset(sound for sound in found if sound is not None)

    def named(self, digests: Collection[str]) -> Mapping[str, bool]:
        """Which of these digests are an artefact's: True where it is kept, False where it was removed."""
        found: dict[str, bool] = {}
        for sha256, removed_at in self._connection.execute(NAMED, {"digests": sorted(digests)}):
            found[sha256] = found.get(sha256, False) or removed_at is None
        return found

    def named_beside(self) -> NamedBeside:
        """Every statement and every sound: one pass over all artefacts, for which there is no index."""
        kept: set[bytes] = set()
        removed: set[bytes] = set()
        rows = self._connection.execution_options(yield_per=10_000).execute(BESIDE)
        for statement, sound, removed_at in rows:
            if statement is not None:
                kept.add(bytes.fromhex(statement))
            if sound is not None:
                (kept if removed_at is None else removed).add(bytes.fromhex(sound))
        return NamedBeside(kept=frozenset(kept), removed=frozenset(removed - kept))

    def audit_rows(self) -> int:
        """How many events the audit log holds: its head counts them, and none ever goes."""
        return self._connection.execute(select(tables.audit_head.c.seq)).scalar_one()

    def database_bytes(self) -> int:
        """How large the whole database is on its disk, indexes included, the newest changes perhaps not."""
        if self._connection.dialect.name == "postgresql":
            found = self._connection.execute(select(func.pg_database_size(func.current_database())))
            return int(found.scalar_one())
        pages = (self._connection.exec_driver_sql(f"PRAGMA {name}") for name in ("page_count", "page_size"))
        count, size = (int(row.scalar_one()) for row in pages)
        return count * size

    def _claimants(self, job_ids: Collection[str]) -> dict[str, "_Claimant"]:
        asked = {"jobs": sorted(job_ids)}
        held = set(self._connection.execute(HELD_JOBS, asked).scalars())
        in_review: dict[str, set[int]] = defaultdict(set)
        for job_id, ordinal in self._connection.execute(IN_REVIEW, asked):
            in_review[job_id].add(ordinal)
        return {
            row.job_id: _Claimant(
                job_id=row.job_id,
                owner=row.owner,
                ended_at=row.ended_at if JobState(row.state).is_finished else None,
                is_held=row.job_id in held,
                in_review=frozenset(in_review[row.job_id]),
            )
            for row in self._connection.execute(JOBS, asked)
        }

    def _shipped(self, digests: Collection[str]) -> frozenset[str]:
        return frozenset(self._connection.execute(SHIPPED, {"digests": sorted(digests)}).scalars())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Claimant:
    """A job that artefacts rest with."""

    job_id: str
    owner: str
    ended_at: datetime | None
    is_held: bool
    in_review: frozenset[int]  # places in its plan

    def resting(self, ordinals: Collection[int]) -> RestingJob:
        """The job as the claimant of an artefact that these of its shots are."""
        return RestingJob(
            job_id=self.job_id,
            owner=self.owner,
            ended_at=self.ended_at,
            is_held=self.is_held,
            is_in_review=not self.in_review.isdisjoint(ordinals),
        )
