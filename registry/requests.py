"""Requests that may come twice: the same key of the same client is the same job."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from policy.errors import RequestKeyReused
from registry.bulk import insert_unknown
from registry.request_tables import requests


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestKey:
    """A client's own name for a request, and what it asked for by it."""

    client: str
    key: str
    fingerprint: str  # digest of what was asked


class Requests:
    """Requests of one database, inside one transaction; kept as long as their jobs."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def job_of(self, request: RequestKey) -> str | None:
        """The job that came of this request before; RequestKeyReused where another was asked by its key."""
        query = select(requests.c.fingerprint, requests.c.job_id).where(
            requests.c.client == request.client, requests.c.key == request.key
        )
        found = self._connection.execute(query).first()
        if found is None:
            return None
        fingerprint, job_id = found
        if fingerprint != request.fingerprint:
            raise RequestKeyReused(
                f"The idempotency key {request.key!r} stands for another request, which made job {job_id}.",
                "Send a new key with a new request.",
            )
        return job_id

    def forget(self, request: RequestKey) -> None:
        """Let a key stand for nothing again."""
        self._connection.execute(
            delete(requests).where(requests.c.client == request.client, requests.c.key == request.key)
        )

    def keep(self, request: RequestKey, job_id: str, now: datetime) -> None:
        """Remember what came of a request; RequestKeyReused where another one was quicker."""
        row = {
            "client": request.client,
            "key": request.key,
            "fingerprint": request.fingerprint,
            "job_id": job_id,
            "made_at": now,
        }
        statement = insert_unknown(self._connection, requests).returning(requests.c.key)
        if self._connection.execute(statement, row).first() is None:
            self.job_of(request)
