"""Workers in the ledger: what drivers tell of theirs, who was asked to leave, and who was barred.

A driver writes its workers with the heartbeat that renews its leases, and reads there whom
it has to let go or to take back. Rows are the driver's: they end with it. That of a barred
worker stays until then, though its process is gone, so that somebody can see why.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from policy.errors import UnknownName, WrongMoment
from registry import tables
from registry.bulk import write_many
from registry.instants import Instant
from registry.worker_tables import workers


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerStanding:
    """One worker as its driver tells it."""

    worker: str  # host:pid
    device: str
    stack_id: str  # "" for nothing yet
    in_flight: int  # chunks
    batches: int  # finished


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerAtWork:
    """A worker, whose it is, and whether it was asked to leave."""

    worker: str  # host:pid
    holder: str  # the driver: host:pid:start
    job_id: str
    device: str  # class
    stack: str  # name of what it holds; "" for nothing yet
    in_flight: int  # chunks
    batches: int  # finished
    seen_at: datetime
    drained_by: str | None
    drained_because: str
    barred_at: datetime | None = None  # since when it takes no more work of this job; null where it does
    barred_because: str = ""
    readmitted_by: str | None = None  # who let it back, until its driver hears of it

    @property
    def is_draining(self) -> bool:
        return self.drained_by is not None

    @property
    def is_barred(self) -> bool:
        return self.barred_at is not None


TELL_AGAIN = (
    update(workers)
    .where(workers.c.worker == bindparam("b_worker"))
    .values(
        stack_id=bindparam("b_stack_id"),
        in_flight=bindparam("b_in_flight"),
        batches=bindparam("b_batches"),
        seen_at=bindparam("b_seen_at", type_=Instant),
    )
)


def tell(
    connection: Connection, holder: str, job_id: str, standing: Sequence[WorkerStanding], now: datetime
) -> tuple[str, ...]:
    """Write the workers of a driver as they stand, and read which of them were asked to leave.

    One that is barred stays on record.
    """
    known = _of(connection, holder)
    here = {one.worker for one in standing}
    gone = set(known) - here - _barred(connection, holder)
    if gone:
        connection.execute(delete(workers).where(workers.c.worker.in_(gone)))
    write_many(connection, TELL_AGAIN, [_again(one, now) for one in standing if one.worker in known])
    fresh = [_row(one, holder, job_id, now) for one in standing if one.worker not in known]
    if fresh:
        names = [row["worker"] for row in fresh]  # a process id comes round: the row is of one that is gone
        connection.execute(delete(workers).where(workers.c.worker.in_(names)))
        connection.execute(insert(workers), fresh)
    return tuple(worker for worker, drained_by in known.items() if drained_by is not None and worker in here)


def at_work(connection: Connection) -> tuple[WorkerAtWork, ...]:
    """Every worker that a driver told of, by job and name."""
    stacks = tables.stacks
    query = (
        select(workers, stacks.c.name)
        .outerjoin(stacks, stacks.c.stack_id == workers.c.stack_id)
        .order_by(workers.c.job_id, workers.c.worker)
    )
    return tuple(
        WorkerAtWork(
            worker=row["worker"],
            holder=row["holder"],
            job_id=row["job_id"],
            device=row["device"],
            stack=row["name"] or "",
            in_flight=row["in_flight"],
            batches=row["batches"],
            seen_at=row["seen_at"],
            drained_by=row["drained_by"],
            drained_because=row["drained_because"],
            barred_at=row["barred_at"],
            barred_because=row["barred_because"],
            readmitted_by=row["readmitted_by"],
        )
        for row in connection.execute(query).mappings()
    )


def drain(connection: Connection, worker: str, actor: str, reason: str) -> bool:
    """Ask a worker to leave, once its chunks are done; False where it was asked before."""
    query = select(workers.c.drained_by).where(workers.c.worker == worker).with_for_update()
    found = connection.execute(query).one_or_none()
    if found is None:
        raise UnknownName(f"There is no worker {worker!r} at work.", "See: rightstep worker list.")
    if found[0] is not None:
        return False
    connection.execute(
        update(workers).where(workers.c.worker == worker).values(drained_by=actor, drained_because=reason)
    )
    return True


def bar(
    connection: Connection, holder: str, job_id: str, one: WorkerStanding, because: str, now: datetime
) -> bool:
    """Put on record that a worker of a driver takes no more work; False where that is known."""
    if one.worker in _barred(connection, holder):
        return False
    connection.execute(delete(workers).where(workers.c.worker == one.worker))
    row = _row(one, holder, job_id, now) | {"barred_at": now, "barred_because": because}
    connection.execute(insert(workers), [row])
    return True


def readmit(connection: Connection, worker: str, actor: str) -> bool:
    """Ask the driver of a barred worker to let it back; False where somebody asked before."""
    query = select(workers.c.barred_at, workers.c.readmitted_by).where(workers.c.worker == worker)
    found = connection.execute(query.with_for_update()).one_or_none()
    if found is None:
        raise UnknownName(f"There is no worker {worker!r} at work.", "See: rightstep worker list.")
    if found[0] is None:
        raise WrongMoment(f"Worker {worker} is not barred.", "See: rightstep worker list.")
    if found[1] is not None:
        return False
    connection.execute(update(workers).where(workers.c.worker == worker).values(readmitted_by=actor))
    return True


def take_back(connection: Connection, holder: str) -> tuple[str, ...]:
    """The barred workers of a driver that somebody let back; their records end."""
    mine = (workers.c.holder == holder, workers.c.readmitted_by.is_not(None))
    found = tuple(connection.scalars(select(workers.c.worker).where(*mine)))
    if found:
        connection.execute(delete(workers).where(workers.c.worker.in_(found)))
    return found


def dismiss(connection: Connection, holder: str) -> int:
    """Drop every row of a driver that is done; returns how many."""
    return connection.execute(delete(workers).where(workers.c.holder == holder)).rowcount


def forget(connection: Connection, is_gone: Callable[[str], bool]) -> int:
    """Drop the rows of drivers that are gone; returns how many."""
    holders = connection.scalars(select(workers.c.holder).distinct()).all()
    gone = [holder for holder in holders if is_gone(holder)]
    return connection.execute(delete(workers).where(workers.c.holder.in_(gone))).rowcount if gone else 0


def _of(connection: Connection, holder: str) -> dict[str, str | None]:
    query = select(workers.c.worker, workers.c.drained_by).where(workers.c.holder == holder)
    return dict(connection.execute(query).all())


def _barred(connection: Connection, holder: str) -> set[str]:
    query = select(workers.c.worker).where(workers.c.holder == holder, workers.c.barred_at.is_not(None))
    return set(connection.scalars(query))


def _again(one: WorkerStanding, now: datetime) -> dict[str, Any]:
    return {
        "b_worker": one.worker,
        "b_stack_id": one.stack_id,
        "b_in_flight": one.in_flight,
        "b_batches": one.batches,
        "b_seen_at": now,
    }


def _row(one: WorkerStanding, holder: str, job_id: str, now: datetime) -> dict[str, Any]:
    return {
        "worker": one.worker,
        "holder": holder,
        "job_id": job_id,
        "device": one.device,
        "stack_id": one.stack_id,
        "in_flight": one.in_flight,
        "batches": one.batches,
        "seen_at": now,
        "drained_by": None,
        "drained_because": "",
        "barred_at": None,
        "barred_because": "",
        "readmitted_by": None,
    }
