"""Small files kept by content: term files, licence texts, what a signature or a discharge rests on."""

import hashlib
import json
from collections.abc import Sequence

from sqlalchemy import Connection, select

from policy.approvals import Evidence
from policy.errors import UnknownName
from registry.bulk import insert_unknown, write_many
from registry.evidence_tables import kept_files

MAX_EVIDENCE_BYTES = 16 << 20  # of one file: a scan of a contract, not a film of its signing


def keep_files(connection: Connection, bodies: Sequence[bytes]) -> list[str]:
    """Keep small files by content; their digests, in order."""
    digests = [hashlib.sha256(body).hexdigest() for body in bodies]
    rows = dict(zip(digests, bodies, strict=True))
    statement = insert_unknown(connection, kept_files)
    write_many(connection, statement, [{"sha256": sha256, "body": body} for sha256, body in rows.items()])
    return digests


def keep_evidence(connection: Connection, files: Sequence[tuple[str, bytes]]) -> tuple[Evidence, ...]:
    """Keep files that somebody attached, under the names that they came with."""
    digests = keep_files(connection, [body for _, body in files])
    return tuple(Evidence(name=name, sha256=sha256) for (name, _), sha256 in zip(files, digests, strict=True))


def kept_file(connection: Connection, sha256: str) -> bytes:
    """The bytes of a kept file; else UnknownName."""
    body = connection.execute(
        select(kept_files.c.body).where(kept_files.c.sha256 == sha256)
    ).scalar_one_or_none()
    if body is None:
        raise UnknownName(f"No file {sha256[:12]} is kept.", "What names a kept file shows its whole digest.")
    return body


def evidence_json(evidence: Sequence[Evidence]) -> str:
    """How a row names its files: ``[[name, sha256], ...]``."""
    return json.dumps([[one.name, one.sha256] for one in evidence])


def parse_evidence(text: str) -> tuple[Evidence, ...]:
    """The files that a row names."""
    return tuple(Evidence(name=name, sha256=sha256) for name, sha256 in json.loads(text))
