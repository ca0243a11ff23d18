"""Keeping house: what nobody has a claim on leaves the store, on record first and from the disk after it.

Artefacts go a page at a time, each page in one transaction with its audit event. Files are removed when it
is committed: a kill between the two leaves files that the next run finds. Statements of provenance stay, and
so does every row: what was made, with what and for whom can be told for ever.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flows.bootstrap import House
from flows.retention import load_retention
from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.errors import LedgerFault
from policy.retention import (
    CLAIMS,
    TOUCHED_SECONDS,
    Claim,
    MayGo,
    Retention,
    Stays,
    StoredArtefact,
    make_retention_verdict,
)
from registry.retention_facts import LedgerArtefact, NamedBeside
from registry.unit_of_work import UnitOfWork, unit_of_work
from workers.artefacts import StoredFile

PATIENCE_SECONDS = 30.0  # for a moment in which nobody orders or ships
PAUSE_SECONDS = 0.25
PAGE = 500  # artefacts of one transaction, and so digests of one audit event


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptFor:
    """Artefacts that stay for one reason."""

    claim: Claim
    artefacts: int
    bytes: int
    example: str  # a digest
    told: str  # why that one stays


@dataclass(frozen=True, kw_only=True, slots=True)
class StrayFiles:
    """Files of the store that no artefact is any more."""

    orphans: tuple[str, ...]  # digests that the ledger does not know
    leftovers: tuple[str, ...]  # removed on record, by a run that was ended before it got to the disk
    empty: tuple[str, ...]  # files without a byte, which count as none
    drafts: int  # temporary files of writers that were killed
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseSize:
    """How large the ledger is; keeping house makes it no smaller."""

    bytes: int
    audit_events: int  # none ever goes


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """What left the store or, of a dry run, what would."""

    dry_run: bool
    going: tuple[MayGo, ...]
    staying: tuple[KeptFor, ...]
    stray: StrayFiles
    bytes: int  # of all that goes
    database: DatabaseSize


@dataclass(kw_only=True)
class _Tally:
    """What stays, added up while the pages go by."""

    artefacts: dict[Claim, int] = field(default_factory=lambda: defaultdict(int))
    bytes: dict[Claim, int] = field(default_factory=lambda: defaultdict(int))
    first: dict[Claim, Stays] = field(default_factory=dict[Claim, Stays])

    def add(self, one: Stays) -> None:
        self.artefacts[one.claim] += 1
        self.bytes[one.claim] += one.size
        self.first.setdefault(one.claim, one)

    def told(self) -> tuple[KeptFor, ...]:
        return tuple(
            KeptFor(
                claim=claim,
                artefacts=self.artefacts[claim],
                bytes=self.bytes[claim],
                example=self.first[claim].sha256,
                told=self.first[claim].told,
            )
            for claim, _ in CLAIMS
            if claim in self.first
        )


@dataclass(frozen=True, kw_only=True)
class _Sweep:
    """One run: for whom it acts, by which rules, at which moment."""

    house: House
    retention: Retention
    now: datetime
    page: int

    @property
    def untouched_since(self) -> datetime:
        return self.now - timedelta(seconds=TOUCHED_SECONDS)


def collect(house: House, *, dry_run: bool, page: int = PAGE) -> Collection:
    """Remove what may go; of a dry run nothing is written anywhere.

    What was shipped, is under a legal hold, waits for review or belongs to a job that is not over never goes,
    nor does a file that somebody wrote within the last day. WrongUse where the retention file cannot be used.
    """
    sweep = _Sweep(house=house, retention=load_retention(house.settings), now=house.clock(), page=page)
    tally, going, after = _Tally(), list[MayGo](), ""
    while digests := _page(sweep, after):
        after = digests[-1]
        with unit_of_work(house.engine, read_only=True) as work:
            verdicts = _judged(sweep, work, digests)
        may_go = [one for one in verdicts if isinstance(one, MayGo)]
        if may_go and not dry_run:
            verdicts = [*(one for one in verdicts if isinstance(one, Stays)), *_when_quiet(sweep, may_go)]
        for one in verdicts:
            if isinstance(one, Stays):
                tally.add(one)
            else:
                going.append(one)
    stray = _stray(sweep, dry_run=dry_run)
    with unit_of_work(house.engine, read_only=True) as work:
        database = DatabaseSize(
            bytes=work.retention.database_bytes(), audit_events=work.retention.audit_rows()
        )
    return Collection(
        dry_run=dry_run,
        going=tuple(going),
        staying=tally.told(),
        stray=stray,
        bytes=sum(one.size for one in going) + stray.bytes,
        database=database,
    )


def _page(sweep: _Sweep, after: str) -> tuple[str, ...]:
    with unit_of_work(sweep.house.engine, read_only=True) as work:
        return work.retention.page(after, sweep.page)


def _judged(sweep: _Sweep, work: UnitOfWork, digests: Sequence[str]) -> list[Stays | MayGo]:
    return [
        make_retention_verdict(_as_stored(sweep, one), sweep.retention, sweep.now)
        for one in work.retention.artefacts(digests)
    ]


def _as_stored(sweep: _Sweep, known: LedgerArtefact) -> StoredArtefact:
    store = sweep.house.store
    file = store.file_of(known.sha256)
    sounds = [found for sound in known.sounds if (found := store.file_of(sound)) is not None]
    return known.stored(None if file is None else file.touched_at, sum(sound.size for sound in sounds))


def _when_quiet(sweep: _Sweep, may_go: Sequence[MayGo]) -> list[Stays | MayGo]:
    """Remove a page when nobody is just ordering or shipping; LedgerFault where somebody always is."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with suppress(LedgerFault):
            return _removed(sweep, may_go)
        time.sleep(PAUSE_SECONDS)
    return _removed(sweep, may_go)


def _removed(sweep: _Sweep, may_go: Sequence[MayGo]) -> list[Stays | MayGo]:
    """Look again where nothing changes meanwhile, say that they are removed, and then remove the files."""
    house = sweep.house
    with unit_of_work(house.engine) as work:
        work.retention.stand_still()
        verdicts = _judged(sweep, work, [one.sha256 for one in may_go])
        going = [one for one in verdicts if isinstance(one, MayGo)]
        if not going:
            return verdicts
        known = work.retention.artefacts([one.sha256 for one in going])
        for (job_id, because), digests in _by_job(going).items():
            work.keeping.note_removed(
                job_id, digests, actor=house.settings.actor, because=because, now=sweep.now
            )
        heard = {sound for one in known for sound in one.sounds}
        sounds = sorted(heard - work.retention.still_heard(heard))
        facts: dict[str, object] = {
            "artefacts": [[one.sha256, one.because] for one in going],
            "sounds": sounds,
            "bytes": sum(one.size for one in going),
        }
        _note(sweep, work, "store:artefacts:removed", facts)
        work.commit()
    for sha256 in (*(one.sha256 for one in going), *sounds):
        if (file := house.store.file_of(sha256)) is not None:
            house.store.retire(file, sweep.untouched_since)
    return verdicts


def _by_job(going: Iterable[MayGo]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in going:
        for job_id in one.jobs:
            found[job_id, one.because].append(one.sha256)
    return found


def _note(sweep: _Sweep, work: UnitOfWork, tag: str, facts: dict[str, object]) -> None:
    settings = sweep.house.settings
    event = AuditEvent(
        tag=tag, actor=settings.actor, subject=str(settings.artefacts), payload=canonical_json(facts)
    )
    work.audit.append(event, sweep.now)


def _stray(sweep: _Sweep, *, dry_run: bool) -> StrayFiles:
    """Files that no artefact is: of a run that was ended, of a writer that was killed, without a byte."""
    store = sweep.house.store
    with unit_of_work(sweep.house.engine, read_only=True) as work:
        beside = work.retention.named_beside()
    orphans, leftovers, empty = list[str](), list[str](), list[str]()
    freed = 0
    for folder in store.files():
        old = [file for file in folder if file.touched_at <= sweep.untouched_since]
        for start in range(0, len(old), sweep.page):
            found = _sorted(sweep, old[start : start + sweep.page], beside)
            if not dry_run:
                found = _swept(sweep, found)
            orphans += [file.sha256 for file in found.orphans]
            leftovers += [file.sha256 for file in found.leftovers]
            empty += [file.sha256 for file in found.empty]
            freed += sum(file.size for file in (*found.orphans, *found.leftovers))
    drafts = store.torn()
    freed += sum(path.stat().st_size for path in drafts if path.exists())
    if not dry_run:
        store.clean()
    return StrayFiles(
        orphans=tuple(orphans),
        leftovers=tuple(leftovers),
        empty=tuple(empty),
        drafts=len(drafts),
        bytes=freed,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sorted:
    """Stray files by what they are."""

    orphans: tuple[StoredFile, ...]
    leftovers: tuple[StoredFile, ...]
    empty: tuple[StoredFile, ...]


def _sorted(sweep: _Sweep, files: Sequence[StoredFile], beside: NamedBeside) -> _Sorted:
    with unit_of_work(sweep.house.engine, read_only=True) as work:
        named = work.retention.named({file.sha256 for file in files})
    orphans, leftovers, empty = list[StoredFile](), list[StoredFile](), list[StoredFile]()
    for file in files:
        raw = bytes.fromhex(file.sha256)
        if not file.size:
            empty.append(file)
        elif named.get(file.sha256, False) or raw in beside.kept:
            continue
        elif file.sha256 in named or raw in beside.removed:
            leftovers.append(file)
        else:
            orphans.append(file)
    return _Sorted(orphans=tuple(orphans), leftovers=tuple(leftovers), empty=tuple(empty))


def _swept(sweep: _Sweep, found: _Sorted) -> _Sorted:
    """Remove them; what the ledger never knew is told of in the log, so that nothing goes without a word."""
    if found.orphans:
        facts: dict[str, object] = {
            "files": [file.sha256 for file in found.orphans],
            "bytes": sum(file.size for file in found.orphans),
        }
        with unit_of_work(sweep.house.engine) as work:
            _note(sweep, work, "store:orphans:removed", facts)
            work.commit()
    return _Sorted(
        orphans=_retired(sweep, found.orphans),
        leftovers=_retired(sweep, found.leftovers),
        empty=_retired(sweep, found.empty),
    )


def _retired(sweep: _Sweep, files: Iterable[StoredFile]) -> tuple[StoredFile, ...]:
    store = sweep.house.store
    return tuple(file for file in files if store.retire(file, sweep.untouched_since))
