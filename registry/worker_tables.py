"""Tables of workers that drivers have at work, and of crews: part of the schema of ``registry.tables``."""

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Index, Named, Table, Text, TypedColumns

from registry.instants import Instant
from registry.tables import metadata


class WorkerColumns(TypedColumns):
    worker: Named[str] = Column(primary_key=True)  # host:pid
    holder: Named[str]  # the driver that started it
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"))
    device: Named[str]  # class
    stack_id: Named[str]  # what it holds; "" for nothing yet
    in_flight: Named[int]  # chunks
    batches: Named[int]  # finished
    seen_at: Named[datetime] = Column(Instant)
    drained_by: Named[str | None]  # who asked it to leave
    drained_because: Named[str] = Column(Text)
    barred_at: Named[datetime | None] = Column(Instant)  # since when it takes no more work of its job
    barred_because: Named[str] = Column(Text, server_default="")
    readmitted_by: Named[str | None]  # who let it back, until its driver hears of it


workers = Table("workers", metadata, WorkerColumns, Index(None, "holder"))


class AddedColumns(TypedColumns):
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"), primary_key=True)
    number: Named[int] = Column(primary_key=True)  # of the word that added them
    device: Named[str]  # class
    workers: Named[int]
    holder: Named[str | None]  # the driver that took them up


class CrewColumns(TypedColumns):
    holder: Named[str] = Column(primary_key=True)  # the driver
    device: Named[str] = Column(primary_key=True)  # class
    job_id: Named[str] = Column(ForeignKey("jobs.job_id"), index=True)
    workers: Named[int]  # that take work now


added_workers = Table("added_workers", metadata, AddedColumns)
crews = Table("crews", metadata, CrewColumns)
