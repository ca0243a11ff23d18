"""Live sessions on record: begun, fed with segments, ended; the audit log vouches for each of these."""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from policy.audit import AuditEvent
from policy.canonical import canonical_json
from policy.errors import UnknownName
from policy.segments import Segment
from registry.audit_log import AuditLog
from registry.ledger_submission import write_stack
from registry.live_records import LiveDraft, LiveSession
from registry.live_tables import live_segments, live_sessions
from registry.recall import DIGEST
from registry.tables import stack_files, stack_parts


class LiveSessions:
    """The live sessions of one database, inside one transaction."""

    __slots__ = ("_audit", "_connection")

    def __init__(self, connection: Connection, audit: AuditLog) -> None:
        self._connection = connection
        self._audit = audit

    def begin(self, draft: LiveDraft, now: datetime) -> LiveSession:
        """Record a session before its first frame leaves."""
        write_stack(self._connection, draft.stack)
        session_id = f"live-{now:%Y%m%d}-{secrets.token_hex(4)}"
        facts: dict[str, Any] = {
            "actor": draft.actor,
            "recipient": draft.recipient,
            "act": draft.act,
            "plan_hash": draft.plan_hash,
            "stack_id": draft.stack.stack_id,
            "method": draft.method,
            "worker": draft.worker,
        }
        row = facts | {
            "session_id": session_id,
            "holder": draft.holder,
            "loaded_json": json.dumps(draft.loaded),
            "started_at": now,
            "ended_at": None,
            "ended_because": "",
            "frames": 0,
            "dropped": 0,
            "bytes_sent": 0,
            "segments": 0,
            "head": "",
        }
        self._connection.execute(insert(live_sessions), row)
        self._append("live:session:began", draft.actor, session_id, facts, now)
        return _session(row)

    def note(self, session: LiveSession, segment: Segment, now: datetime) -> None:
        """Record frames that were delivered, and chain their digests into the audit log."""
        row = {
            "session_id": session.session_id,
            "number": segment.number,
            "frames_json": json.dumps(segment.frames),
            "bytes_sent": segment.bytes_sent,
            "previous": segment.previous,
            "hash": segment.hash,
            "written_at": now,
        }
        self._connection.execute(insert(live_segments), row)
        known = live_sessions.c
        self._connection.execute(
            update(live_sessions)
            .where(known.session_id == session.session_id)
            .values(
                frames=known.frames + len(segment.frames),
                bytes_sent=known.bytes_sent + segment.bytes_sent,
                segments=known.segments + 1,
                head=segment.hash,
            )
        )
        facts = {
            "number": segment.number,
            "first_frame": segment.frames[0][0],
            "last_frame": segment.frames[-1][0],
            "frames": len(segment.frames),
            "hash": segment.hash,
        }
        self._append("live:segment:delivered", session.actor, session.session_id, facts, now)

    def end(self, session_id: str, because: str, now: datetime, *, dropped: int = 0) -> LiveSession:
        """Record the end of a session with what it came to; one that has ended stays as it is."""
        known = self.session(session_id)
        if known.ended_at is not None:
            return known
        self._connection.execute(
            update(live_sessions)
            .where(live_sessions.c.session_id == session_id)
            .values(ended_at=now, ended_because=because, dropped=dropped)
        )
        facts = {
            "because": because,
            "frames": known.frames,
            "dropped": dropped,
            "bytes_sent": known.bytes_sent,
            "segments": known.segments,
            "head": known.head,
        }
        self._append("live:session:ended", known.actor, session_id, facts, now)
        return self.session(session_id)

    def session(self, session_id: str) -> LiveSession:
        """One session; UnknownName where there is none."""
        query = select(live_sessions).where(live_sessions.c.session_id == session_id)
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            raise UnknownName(f"There is no live session {session_id!r}.", "See: rightstep audit report.")
        return _session(dict(row))

    def open_ones(self) -> tuple[LiveSession, ...]:
        """Sessions that are not over, the oldest first."""
        query = select(live_sessions).where(live_sessions.c.ended_at.is_(None))
        rows = self._connection.execute(query.order_by(live_sessions.c.started_at)).mappings()
        return tuple(_session(dict(row)) for row in rows)

    def segments_of(self, session_id: str) -> tuple[Segment, ...]:
        """What a session delivered, in order."""
        query = select(live_segments).where(live_segments.c.session_id == session_id)
        rows = self._connection.execute(query.order_by(live_segments.c.number)).mappings()
        return tuple(
            Segment(
                number=row["number"],
                frames=tuple((frame, sha256) for frame, sha256 in json.loads(row["frames_json"])),
                bytes_sent=row["bytes_sent"],
                previous=row["previous"],
                hash=row["hash"],
            )
            for row in rows
        )

    def touched_by(self, needle: str) -> tuple[LiveSession, ...]:
        """Sessions that a repository, pin, stack or file was in, or that delivered a frame; newest first.

        A frame is looked for by its sha256, in every segment there is.
        """
        parts, files = stack_parts.c, stack_files.c
        if DIGEST.fullmatch(needle):
            ways = [
                live_sessions.c.stack_id == needle,
                live_sessions.c.stack_id.in_(select(parts.stack_id).where(parts.pin_id == needle)),
                live_sessions.c.stack_id.in_(select(files.stack_id).where(files.sha256 == needle)),
                live_sessions.c.session_id.in_(
                    select(live_segments.c.session_id).where(live_segments.c.frames_json.contains(needle))
                ),
            ]
        else:
            ways = [live_sessions.c.stack_id.in_(select(parts.stack_id).where(parts.repo == needle))]
        query = select(live_sessions).where(or_(*ways)).order_by(live_sessions.c.started_at.desc())
        return tuple(_session(dict(row)) for row in self._connection.execute(query).mappings())

    def _append(self, tag: str, actor: str, session_id: str, facts: Mapping[str, Any], now: datetime) -> None:
        payload = canonical_json(dict(facts))
        self._audit.append(AuditEvent(tag=tag, actor=actor, subject=session_id, payload=payload), now)


def _session(row: Mapping[str, Any]) -> LiveSession:
    return LiveSession(**{name: row[name] for name in LiveSession.__slots__})
