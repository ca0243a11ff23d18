"""Crews in the ledger: how many workers a job has on each device, and how many somebody added to it.

Workers that were added belong to the job: whichever driver sees them first starts them, and
the next one does when it is gone. How many take work is the driver's to tell: a place that
was closed or drained counts no more, so that nobody plans with it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from policy.steering import Word
from registry.ledger_closing import lock_for
from registry.records import JobRecord
from registry.worker_tables import added_workers, crews

Crew = tuple[tuple[str, int], ...]  # device class and workers, by device


def add(connection: Connection, job_id: str, device: str, workers: int) -> JobRecord:
    """More workers of a device class for an unfinished job."""
    record = lock_for(connection, job_id, Word.WORKERS)
    last = select(func.max(added_workers.c.number)).where(added_workers.c.job_id == record.job_id)
    number = (connection.execute(last).scalar_one_or_none() or 0) + 1
    row = {"job_id": record.job_id, "number": number, "device": device, "workers": workers, "holder": None}
    connection.execute(insert(added_workers), [row])
    return record


def awaited(connection: Connection, job_id: str) -> Crew:
    """Workers that were added and that no driver has taken up."""
    return _summed(
        connection, added_workers, added_workers.c.job_id == job_id, added_workers.c.holder.is_(None)
    )


def take_up(connection: Connection, job_id: str, holder: str, devices: Collection[str]) -> Crew:
    """Those of them on devices that a driver has, its own from now on."""
    open_rows = (
        select(added_workers.c.number, added_workers.c.device, added_workers.c.workers)
        .where(
            added_workers.c.job_id == job_id,
            added_workers.c.holder.is_(None),
            added_workers.c.device.in_(devices),
        )
        .order_by(added_workers.c.number)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(open_rows).all()
    if found:
        numbers = [number for number, _, _ in found]
        connection.execute(
            update(added_workers)
            .where(added_workers.c.job_id == job_id, added_workers.c.number.in_(numbers))
            .values(holder=holder)
        )
    return tuple((device, workers) for _, device, workers in found)


def tell(connection: Connection, holder: str, job_id: str, crew: Mapping[str, int]) -> None:
    """Write how many workers of each device take work of a driver now."""
    connection.execute(delete(crews).where(crews.c.holder == holder))
    rows = [
        {"holder": holder, "device": device, "job_id": job_id, "workers": workers}
        for device, workers in sorted(crew.items())
    ]
    if rows:
        connection.execute(insert(crews), rows)


def at_work(connection: Connection, job_id: str) -> Crew:
    """Who takes work of a job, over all of its drivers; a device may have nobody. Empty: no driver told."""
    return _summed(connection, crews, crews.c.job_id == job_id)


def let_go(connection: Connection, holders: Sequence[str]) -> None:
    """Drivers are done: what was added to their jobs waits for the next ones."""
    connection.execute(delete(crews).where(crews.c.holder.in_(holders)))
    connection.execute(update(added_workers).where(added_workers.c.holder.in_(holders)).values(holder=None))


def forget(connection: Connection, is_gone: Callable[[str], bool]) -> None:
    """The same for drivers that are gone."""
    holders = set(connection.scalars(select(crews.c.holder))) | set(
        connection.scalars(select(added_workers.c.holder).where(added_workers.c.holder.is_not(None)))
    )
    if gone := [holder for holder in holders if holder is not None and is_gone(holder)]:
        let_go(connection, gone)


def _summed(connection: Connection, table: Any, *where: Any) -> Crew:
    query = select(table.c.device, func.sum(table.c.workers)).where(*where)
    rows = connection.execute(query.group_by(table.c.device).order_by(table.c.device))
    return tuple((device, int(workers)) for device, workers in rows)
