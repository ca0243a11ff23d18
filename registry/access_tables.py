"""The table of the keys to the HTTP API: part of the schema of ``registry.tables``, and under its rules."""

from datetime import datetime

from sqlalchemy import Column, Named, Table, Text, TypedColumns

from registry.instants import Instant
from registry.tables import metadata


class AccessKeyColumns(TypedColumns):
    key_id: Named[str] = Column(primary_key=True)
    secret_sha256: Named[str]  # under a domain tag; the secret itself is nowhere
    owner: Named[str]
    scopes_json: Named[str] = Column(Text)
    per_minute: Named[int]
    at_once: Named[int]
    created_at: Named[datetime] = Column(Instant)
    created_by: Named[str]
    expires_at: Named[datetime | None] = Column(Instant)
    revoked_at: Named[datetime | None] = Column(Instant)
    revoked_because: Named[str] = Column(Text)


access_keys = Table("access_keys", metadata, AccessKeyColumns)
