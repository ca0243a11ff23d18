"""The act of barring: a worker that fails what others make gets no more of the job, and the log says why."""

import threading
from collections.abc import Sequence

from flows.bootstrap import House
from flows.suspicion import Suspicions
from policy.audit import AuditEvent
from policy.barring import Suspect, why_barred
from policy.canonical import canonical_json
from policy.errors import RightstepError
from policy.tasks import BatchResult
from registry.ledger_workers import WorkerStanding
from registry.records import LeasedChunk
from registry.unit_of_work import unit_of_work
from workers.pool import RenderPool, WorkerRecord


class Barring:
    """Looks at what a driver's workers failed, and bars whom the rules bar; several threads may tell."""

    def __init__(self, house: House, job_id: str, holder: str, pool: RenderPool) -> None:
        self._house, self._job_id, self._holder, self._pool = house, job_id, holder, pool
        self._suspicions = Suspicions()
        self._turn = threading.Lock()

    def begin(self, chunk: LeasedChunk) -> None:
        """A chunk is handed to a worker."""
        self._suspicions.begin(chunk.lease)

    def look(self, chunk: LeasedChunk, results: Sequence[BatchResult]) -> None:
        """Take over what became of a chunk, and bar whom that convicts.

        One that could not be put on record keeps its work until the next look: nobody is
        barred in silence.
        """
        self._suspicions.note(chunk, results)
        if self._suspicions.is_empty:
            return
        with self._turn:
            at_work = {
                one.name: one
                for one in self._pool.workers()
                if one.name and not one.is_gone and not one.is_draining
            }
            for suspect in self._suspicions.to_bar(at_work):
                try:
                    self._bar(suspect, at_work.pop(suspect.worker), alone=len(at_work) == 0)
                except RightstepError:
                    return

    def _bar(self, suspect: Suspect, one: WorkerRecord, *, alone: bool) -> None:
        if alone:  # the others were barred in this very look
            return
        ends = one.was_restarted
        because = (
            f"{why_barred(suspect)} {'Its place is closed.' if ends else 'Another process took its place.'}"
        )
        standing = standing_of(one)
        now = self._house.clock()
        with unit_of_work(self._house.engine) as work:
            if work.ledger.bar_worker(self._holder, self._job_id, standing, because=because, now=now):
                facts = {
                    "job": self._job_id,
                    "device": one.device,
                    "failures": len(suspect.failures),
                    "place": "closed" if ends else "another process",
                    "reason": because,
                }
                event = AuditEvent(
                    tag="worker:process:barred",
                    actor=self._house.settings.actor,
                    subject=one.name,
                    payload=canonical_json(facts),
                )
                work.audit.append(event, now)
            work.commit()
        self._pool.bar(one.name)


def standing_of(one: WorkerRecord) -> WorkerStanding:
    """A worker of the pool as the ledger keeps it."""
    return WorkerStanding(
        worker=one.name,
        device=one.device,
        stack_id=one.stack_id,
        in_flight=one.in_flight,
        batches=one.batches,
    )
