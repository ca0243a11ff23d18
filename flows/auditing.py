"""The audit log as an officer asks it: does it hold, what happened, prove it. And signing it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.bootstrap import House
from flows.identities import house_signatory
from policy.audit import AuditEvent, ChainedEvent
from policy.canonical import canonical_json
from policy.checkpoints import RESEAL_TAG, Checkpoint, Reseal, reseal_facts, reseal_message
from policy.codec import encode
from policy.errors import AuditFault, UnknownName, WrongUse
from registry.audit_walk import AuditCheck, verify
from registry.checkpoints import keep_copy, load_copies
from registry.instants import instant_text
from registry.merkle import consistency_ranges, inclusion_ranges, is_consistent, is_included, range_roots
from registry.unit_of_work import UnitOfWork, unit_of_work


@dataclass(frozen=True, kw_only=True, slots=True)
class InclusionProof:
    """That an event is in the log that a checkpoint signed: small, and checked without the log."""

    event: ChainedEvent
    checkpoint: Checkpoint
    path: tuple[str, ...]  # hashes from the leaf to the root (RFC 6962, 2.1.1)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsistencyProof:
    """That the log of one checkpoint is the beginning of the log of another."""

    first: Checkpoint
    second: Checkpoint
    path: tuple[str, ...]  # RFC 6962, 2.1.2


def audit_check(house: House, folders: Sequence[Path] = ()) -> AuditCheck:
    """Walk the whole chain; compare it with the checkpoints of the home, and of further folders."""
    return verify(house.engine, copies=load_copies((house.settings.checkpoints, *folders)))


def audit_report(house: House, limit: int = 50) -> tuple[ChainedEvent, ...]:
    """The latest events, newest first."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.audit.latest(limit)


def audit_export(house: House) -> Iterator[str]:
    """The chain as JSON lines, oldest first."""
    after = 0
    while True:
        with unit_of_work(house.engine, read_only=True) as work:
            page = work.audit.events(after=after)
        if not page:
            return
        yield from (json.dumps(encode(event), ensure_ascii=False) for event in page)
        after = page[-1].seq


def make_checkpoint(house: House) -> Checkpoint:
    """Sign the log as it stands, and keep a copy outside the database; nothing new, nothing signed."""
    signatory = house_signatory(house)
    with unit_of_work(house.engine) as work:
        checkpoint = work.checkpoints.make(signatory.key, house.clock())
        work.commit()
    keep_copy(house.settings.checkpoints, checkpoint)
    return checkpoint


def reseal(house: House, reason: str, folders: Sequence[Path] = ()) -> Reseal:
    """Say in the log itself that it was restored from a backup: which head was lost, which one goes on.

    Only for a log that is the beginning of what was signed: one that holds in itself and with every
    checkpoint it still covers. Anything else is no backup of this log, and is AuditFault.
    """
    if not reason.strip():
        raise WrongUse("A reseal gives its reason.", "Say what happened, and which backup was restored.")
    signatory = house_signatory(house)
    copies = load_copies((house.settings.checkpoints, *folders))
    check = verify(house.engine)
    known = {one for earlier in check.restored for one in earlier.abandoned}
    lost = [one for one in copies if one.size > check.rows and (one.size, one.root) not in known]
    covered = verify(house.engine, copies=[one for one in copies if one not in lost])
    if not covered.ok:
        raise AuditFault(
            f"This is no backup of the log that was signed: {covered.detail}", "Run: rightstep audit verify."
        )
    if not lost:
        raise WrongUse(
            "No checkpoint says that anything was lost.", "Name the folder of the copies: --checkpoints DIR."
        )
    now = house.clock()
    bare = Reseal(
        seq=check.rows + 1,
        at=instant_text(now),
        actor=house.settings.actor,
        reason=reason,
        old_head=(lost[-1].size, lost[-1].head),
        new_head=(covered.rows, covered.head),
        abandoned=tuple((one.size, one.root) for one in lost),
        key_id=signatory.key.key_id,
        signature="",
    )
    made = replace(bare, signature=signatory.key.sign(reseal_message(bare)).hex())
    payload = canonical_json({**reseal_facts(made), "signature": made.signature})
    event = AuditEvent(tag=RESEAL_TAG, actor=made.actor, subject="audit", payload=payload)
    with unit_of_work(house.engine) as work:
        if work.audit.append(event, now).seq != made.seq:
            raise AuditFault("Somebody wrote to the log meanwhile.", "Stop the house, then reseal again.")
        checkpoint = work.checkpoints.make(signatory.key, now)
        work.commit()
    keep_copy(house.settings.checkpoints, checkpoint)
    return made


def prove_event(house: House, seq: int) -> InclusionProof:
    """Prove an event by the newest checkpoint that covers it; WrongUse where none does yet."""
    with unit_of_work(house.engine, read_only=True) as work:
        event, known = work.audit.event(seq), work.checkpoints.known()
        if event is None:
            raise UnknownName(f"There is no event {seq}.", "See: rightstep audit report.")
        if not known or known[-1].size < seq:
            raise WrongUse(f"No checkpoint covers event {seq} yet.", "Make one: rightstep audit checkpoint.")
        checkpoint = known[-1]
        path = range_roots(inclusion_ranges(seq - 1, checkpoint.size), _leaves(work, checkpoint.size))
    leaf, root = bytes.fromhex(event.hash), bytes.fromhex(checkpoint.root)
    if not is_included(leaf, seq - 1, checkpoint.size, path, root):
        raise _not_the_signed_log(checkpoint)
    return InclusionProof(event=event, checkpoint=checkpoint, path=_hex(path))


def prove_growth(house: House, first: int, second: int) -> ConsistencyProof:
    """Prove that the log of the checkpoint at ``first`` events begins that of the one at ``second``."""
    with unit_of_work(house.engine, read_only=True) as work:
        by_size = {one.size: one for one in work.checkpoints.known()}
        for size in (first, second):
            if size not in by_size:
                sizes = ", ".join(str(one) for one in sorted(by_size)) or "none"
                raise UnknownName(f"No checkpoint was made at {size} events.", f"There are: {sizes}.")
        if first > second:
            raise WrongUse("The first checkpoint is the smaller one.", "Turn the two around.")
        path = range_roots(consistency_ranges(first, second), _leaves(work, second))
    small, large = by_size[first], by_size[second]
    if not is_consistent(first, second, bytes.fromhex(small.root), bytes.fromhex(large.root), path):
        raise _not_the_signed_log(small)
    return ConsistencyProof(first=small, second=large, path=_hex(path))


def _leaves(work: UnitOfWork, upto: int) -> Iterator[bytes]:
    return (bytes.fromhex(found) for found in work.checkpoints.hashes(upto=upto))


def _hex(path: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(step.hex() for step in path)


def _not_the_signed_log(checkpoint: Checkpoint) -> AuditFault:
    return AuditFault(
        f"The log is not the one that the checkpoint of {checkpoint.size:,} events signed.",
        "Run: rightstep audit verify.",
    )
