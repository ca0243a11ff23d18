"""Checkpoints of the log: each goes on from the last one; kept in the database and in files outside it."""

import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select

from policy.checkpoints import Checkpoint, checkpoint_message
from policy.codec import decode, encode
from policy.errors import AuditFault, FormatFault, StorageFault, WrongUse
from registry.bulk import insert_unknown
from registry.evidence.keys import SigningKey
from registry.instants import instant_text
from registry.merkle import GrowingTree
from registry.tables import audit_events
from registry.trust_tables import audit_checkpoints

PAGE = 50_000


class Checkpoints:
    """The checkpoints of one database, inside one transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self) -> tuple[Checkpoint, ...]:
        """Every checkpoint, the smallest first."""
        kept = audit_checkpoints.c
        query = select(kept.size, kept.root, kept.head, kept.at, kept.key_id, kept.signature)
        rows = self._connection.execute(query.order_by(kept.size, kept.key_id)).mappings()
        return tuple(Checkpoint(**row) for row in rows)

    def make(self, key: SigningKey, now: datetime) -> Checkpoint:
        """Sign the log as it stands in this transaction; where nothing was added, the last one is it.

        A log that is not what the last checkpoint signed is an AuditFault: nothing is signed over it.
        """
        tree, newest = self._resumed()
        head = "" if newest is None else newest.head
        for head in self.hashes(after=tree.size):
            tree.add(bytes.fromhex(head))
        if tree.size == 0:
            raise WrongUse("The audit log is empty: there is nothing to sign.", "Do something first.")
        if newest is not None and (newest.size, newest.key_id) == (tree.size, key.key_id):
            return newest
        facts = {"root": tree.root().hex(), "head": head, "at": instant_text(now), "key_id": key.key_id}
        signature = key.sign(checkpoint_message(size=tree.size, **facts)).hex()
        peaks = json.dumps([peak.hex() for peak in tree.peaks])
        row = {"size": tree.size, "signature": signature, "peaks_json": peaks, **facts}
        self._connection.execute(insert_unknown(self._connection, audit_checkpoints), row)
        # Somebody else may have signed the same events just now: then theirs is the one.
        return next(one for one in self.known() if (one.size, one.key_id) == (tree.size, key.key_id))

    def _resumed(self) -> tuple[GrowingTree, Checkpoint | None]:
        """The tree of the newest checkpoint, after a look whether the log still begins with it."""
        kept = audit_checkpoints.c
        query = select(audit_checkpoints).order_by(kept.size.desc(), kept.at.desc()).limit(1)
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            return GrowingTree(), None
        facts = dict(row)
        peaks = [bytes.fromhex(peak) for peak in json.loads(facts.pop("peaks_json"))]
        newest = Checkpoint(**facts)
        query_head = select(audit_events.c.hash).where(audit_events.c.seq == newest.size)
        head = self._connection.execute(query_head).scalar_one_or_none()
        try:
            tree = GrowingTree(newest.size, peaks)
        except ValueError:
            tree = GrowingTree()
        if head != newest.head or tree.root().hex() != newest.root:
            raise AuditFault(
                f"The audit log is not what the checkpoint of {newest.size:,} events signed.",
                "Run: rightstep audit verify.",
            )
        return tree, newest

    def hashes(self, after: int = 0, upto: int | None = None) -> Iterator[str]:
        """The hashes of events in order, a page at a time."""
        while True:
            query = (
                select(audit_events.c.seq, audit_events.c.hash)
                .where(audit_events.c.seq > after)
                .order_by(audit_events.c.seq)
                .limit(PAGE)
            )
            if upto is not None:
                query = query.where(audit_events.c.seq <= upto)
            rows = self._connection.execute(query).all()
            if not rows:
                return
            yield from (found for _, found in rows)
            after = rows[-1][0]


# Copies outside the database


def keep_copy(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint beside the others; one that is there already is left as it is."""
    path = folder / checkpoint.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return path
        partial = path.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(encode(checkpoint), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as fault:
        raise StorageFault(
            f"The checkpoint cannot be kept in {folder}: {fault.strerror}.",
            "Make room there, then run: rightstep audit checkpoint.",
        ) from fault
    return path


def load_copies(folders: Iterable[Path]) -> tuple[Checkpoint, ...]:
    """Every checkpoint of these folders; a file that holds none is a FormatFault that names it."""
    found: set[Checkpoint] = set()
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            try:
                found.add(decode(Checkpoint, json.loads(path.read_text(encoding="utf-8"))))
            except (OSError, ValueError, FormatFault) as fault:
                raise FormatFault(
                    f"{path} holds no checkpoint: {fault}", "Restore it from another copy."
                ) from fault
    return tuple(sorted(found, key=lambda one: (one.size, one.root, one.at, one.key_id)))
