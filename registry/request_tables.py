"""What a client may send twice: its own key for a request, and the job that came of it."""

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Named, Table, TypedColumns

from registry.instants import Instant
from registry.tables import metadata


class RequestColumns(TypedColumns):
    client: Named[str] = Column(primary_key=True)  # whose key it is: two clients may choose the same
    key: Named[str] = Column(primary_key=True)  # as the client sent it
    fingerprint: Named[str]  # digest of what was asked
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"))
    made_at: Named[datetime] = Column(Instant)


requests = Table("requests", metadata, RequestColumns)
