"""The ledger of jobs, shots and takes: one object a transaction, one file a concern.

Every method runs inside the caller's unit of work. Leases live on batches; a take that is
queued in a leased batch reads as leased. Nothing here reads a clock: ``now`` is given.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from policy.costs import CostSample
from policy.forecast import SettledBatch
from policy.limits import BudgetEnd, Halt
from policy.plan import Decision, ExecutionPlan
from policy.tasks import BatchResult
from registry import (
    ledger_closing,
    ledger_crews,
    ledger_leases,
    ledger_limits,
    ledger_measures,
    ledger_reading,
    ledger_replanning,
    ledger_settling,
    ledger_steering,
    ledger_submission,
    ledger_turns,
    ledger_workers,
)
from registry.ledger_replanning import DecisionStanding, NewSteps
from registry.ledger_steering import SteeredShots
from registry.ledger_submission import FirstLease, Submission
from registry.ledger_workers import WorkerAtWork, WorkerStanding
from registry.records import (
    Attestation,
    ChangedBatches,
    DecisionFigures,
    DeviceWork,
    HeldShot,
    JobRecord,
    JobState,
    LeasedChunk,
    PlanHeader,
    ReplanningRecord,
    ServedSeconds,
    SettledChunk,
    ShotRecord,
    TakeRecord,
    TurnKey,
    TurnRecord,
    WorkCounts,
    WorkerFaults,
)


class Ledger:
    """Jobs > shots > takes of one database, inside one transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Submitting

    def submit(
        self,
        plan: ExecutionPlan,
        *,
        job_key: str,
        actor: str,
        owner: str,
        labels: Sequence[tuple[str, str]],
        recipients: Sequence[str],
        kept: Callable[[str], bool],
        now: datetime,
    ) -> JobRecord:
        """Write job, batches, shots and takes; an unfinished job of the same key is returned as ``attached``.

        ``kept`` says whether the artefact store still holds a digest: only then is a shot
        with a known key reused.
        """
        submission = Submission(
            job_key=job_key,
            actor=actor,
            owner=owner,
            labels=tuple(labels),
            recipients=tuple(recipients),
            now=now,
        )
        return self.submit_leased(plan, submission, kept=kept)[0]

    def submit_leased(
        self,
        plan: ExecutionPlan,
        submission: Submission,
        *,
        kept: Callable[[str], bool],
        first: FirstLease | None = None,
    ) -> tuple[JobRecord, LeasedChunk | None]:
        """The same for whoever renders it at once: with what ``lease_chunk`` would hand out next.

        None is leased of a job that was attached to, or that has nothing to render.
        """
        return ledger_submission.submit(self._connection, plan, submission, kept, first)

    # Reading

    def job(self, id_or_prefix: str) -> JobRecord:
        """The job of this id, or of this beginning where only one has it; else UnknownName."""
        return ledger_reading.job(self._connection, id_or_prefix)

    def lock(self, id_or_prefix: str) -> JobRecord:
        """The same, its row locked until the transaction ends: nothing is leased or settled meanwhile."""
        found = ledger_reading.job(self._connection, id_or_prefix)
        return ledger_reading.job(self._connection, found.job_id, lock=True)

    def state(self, job_id: str, *, lock: bool = False) -> JobState:
        """Where the job of an id stands: one row, whatever its size; ``lock`` keeps it so for the others."""
        return ledger_reading.state(self._connection, job_id, lock=lock)

    def deadline(self, job_id: str) -> datetime | None:
        """When the job of an id is due, None where it has no deadline: one row, whatever its size."""
        return ledger_reading.deadline(self._connection, job_id)

    def jobs(
        self, *, states: Sequence[JobState] = (), limit: int = 100, after: str | None = None
    ) -> tuple[JobRecord, ...]:
        """Jobs, newest first; of these states, or of all; those that come after a job, or from the start."""
        return ledger_reading.jobs(self._connection, states, limit, after)

    def standing_work(self) -> WorkCounts:
        """Jobs by state, and how many shots are still to be made."""
        return ledger_reading.standing_work(self._connection)

    def header(self, job_id: str) -> PlanHeader:
        """The plan of a job without its shots and batches."""
        return ledger_reading.header(self._connection, job_id)

    def decisions(self, job_id: str) -> tuple[Decision, ...]:
        """The decisions of the plan of a job, in the order that shots and batches index."""
        return ledger_reading.header(self._connection, job_id).decisions

    def plan(self, job_id: str) -> ExecutionPlan:
        """The whole plan as it was submitted."""
        return ledger_reading.plan(self._connection, job_id)

    def shots(self, job_id: str) -> tuple[ShotRecord, ...]:
        """Every shot of a job with its standing take and artefact, in the order of the plan."""
        return ledger_reading.shots(self._connection, job_id)

    def shots_after(self, job_id: str, ordinal: int, limit: int) -> tuple[ShotRecord, ...]:
        """At most so many shots after a place in the plan; -1 is before the first."""
        return ledger_reading.shots_after(self._connection, job_id, ordinal, limit)

    def shot(self, job_id: str, name: str) -> ShotRecord:
        """A shot by its name; else UnknownName."""
        return ledger_reading.shot(self._connection, job_id, name)

    def takes(self, job_id: str) -> tuple[TakeRecord, ...]:
        """Every attempt at every shot, in order."""
        return ledger_reading.takes(self._connection, job_id)

    def failed_takes(self, job_id: str) -> tuple[TakeRecord, ...]:
        """Every attempt that ended with a fault, in order."""
        return ledger_reading.takes(self._connection, job_id, with_fault=True)

    def finish_times(self, job_id: str) -> tuple[datetime, ...]:
        """When each picture of a job was done, the earliest first; reused ones took no time."""
        return ledger_reading.finish_times(self._connection, job_id)

    # Rendering

    def queued_batches(self, job_id: str, *, at_most: int) -> int:
        """How many batches nobody has taken; counting stops at ``at_most``."""
        return ledger_leases.queued_batches(self._connection, job_id, at_most)

    def lease_chunk(
        self,
        job_id: str,
        *,
        holder: str,
        ttl_seconds: float,
        max_batches: int,
        now: datetime,
        prefer_stack: str | None = None,
    ) -> LeasedChunk | None:
        """Take batches of one stack; None when nothing is to be had, or the job is held or over."""
        wish = ledger_leases.Wish(
            job_id=job_id,
            holder=holder,
            ttl_seconds=ttl_seconds,
            max_batches=max_batches,
            stack_id=prefer_stack,
        )
        return ledger_leases.lease_chunk(self._connection, wish, now)

    def renew(self, *chunks: LeasedChunk, ttl_seconds: float, now: datetime) -> bool:
        """Hold on to what of a driver's chunks of one job is unsettled; False when none of it is its own."""
        return ledger_leases.renew(self._connection, chunks, ttl_seconds, now) > 0

    def release(self, chunk: LeasedChunk) -> int:
        """Give back what of the chunk is unsettled; returns how many batches."""
        return ledger_leases.release(self._connection, chunk)

    def expire_leases(self, now: datetime) -> int:
        """Queue every batch whose lease ran out; returns how many."""
        return ledger_leases.expire(self._connection, now)

    def reclaim_leases(self, is_gone: Callable[[str], bool]) -> int:
        """Queue every batch whose holder is gone, by the driver's own knowledge of it; returns how many."""
        return ledger_leases.reclaim(self._connection, is_gone)

    def settle(self, chunk: LeasedChunk, results: Sequence[BatchResult], now: datetime) -> SettledChunk:
        """Record what became of batches of the chunk, all of it or nothing.

        A result whose lease passed to another holder changes no take: its artefacts are
        kept as known outputs and counted as late. Batches without a result stay leased.
        """
        return ledger_settling.settle(self._connection, chunk, results, now)

    # Turns on a fleet

    def ask_turn(self, key: TurnKey, *, picture_seconds: tuple[float, float], expires_at: datetime) -> None:
        """Queue a driver for a fleet; ``picture_seconds`` is p50 and p95 of one picture on all of it."""
        ledger_turns.ask(self._connection, key, picture_seconds, expires_at)

    def renew_turn(self, key: TurnKey, *, expires_at: datetime) -> bool:
        """Stay in the queue, or on the fleet; False where the turn was dropped."""
        return ledger_turns.renew(self._connection, key, expires_at)

    def begin_turn(self, key: TurnKey, now: datetime) -> bool:
        """Take the fleet; False while another driver has it."""
        return ledger_turns.begin(self._connection, key, now)

    def leave_turn(self, key: TurnKey) -> None:
        """Give the fleet or the place in its queue up."""
        ledger_turns.leave(self._connection, key)

    def drop_turns(self, fleet: str, now: datetime, is_gone: Callable[[str], bool]) -> int:
        """Forget drivers that are gone or did not renew; returns how many."""
        return ledger_turns.drop(self._connection, fleet, now, is_gone)

    def turns(self, fleet: str, now: datetime, *, lock: bool = False) -> tuple[TurnRecord, ...]:
        """Every driver of the fleet whose turn has not run out; ``lock`` keeps others from deciding too."""
        return ledger_turns.turns(self._connection, fleet, now, lock=lock)

    def others_ask(self, key: TurnKey, now: datetime) -> bool:
        """Whether anybody else wants the fleet: one row of an index, asked before each lease."""
        return ledger_turns.others_ask(self._connection, key, now)

    def served(self, host: str, since: datetime) -> tuple[ServedSeconds, ...]:
        """Worker seconds that drivers of a host had settled since then, by tier and owner."""
        return ledger_turns.served(self._connection, host, since)

    # Workers

    def tell_workers(
        self, holder: str, job_id: str, standing: Sequence[WorkerStanding], now: datetime
    ) -> tuple[str, ...]:
        """Write a driver's workers as they stand; returns which of them were asked to leave."""
        return ledger_workers.tell(self._connection, holder, job_id, standing, now)

    def workers(self) -> tuple[WorkerAtWork, ...]:
        """Every worker that a driver told of."""
        return ledger_workers.at_work(self._connection)

    def drain_worker(self, worker: str, *, actor: str, reason: str) -> bool:
        """Ask a worker to leave once its chunks are done; False where it was asked before."""
        return ledger_workers.drain(self._connection, worker, actor, reason)

    def bar_worker(
        self, holder: str, job_id: str, one: WorkerStanding, *, because: str, now: datetime
    ) -> bool:
        """Put on record that a driver's worker takes no more of a job, and why; False where it is known."""
        return ledger_workers.bar(self._connection, holder, job_id, one, because, now)

    def readmit_worker(self, worker: str, *, actor: str) -> bool:
        """Let a barred worker back; False where it was asked before, WrongMoment where it is not barred."""
        return ledger_workers.readmit(self._connection, worker, actor)

    def take_back_workers(self, holder: str) -> tuple[str, ...]:
        """The barred workers of a driver that somebody let back; asked once, their records end."""
        return ledger_workers.take_back(self._connection, holder)

    def dismiss_workers(self, holder: str) -> int:
        """Drop what a driver told of its workers, the barred ones too: it is done; returns how many."""
        ledger_crews.let_go(self._connection, [holder])
        return ledger_workers.dismiss(self._connection, holder)

    def forget_workers(self, is_gone: Callable[[str], bool]) -> int:
        """Drop what drivers that are gone told of theirs; returns how many."""
        ledger_crews.forget(self._connection, is_gone)
        return ledger_workers.forget(self._connection, is_gone)

    def add_workers(self, job_id: str, *, device: str, workers: int) -> JobRecord:
        """More workers of a device class for an unfinished job: its driver starts them at its next beat."""
        return ledger_crews.add(self._connection, job_id, device, workers)

    def awaited_workers(self, job_id: str) -> ledger_crews.Crew:
        """Workers that were added to a job and that no driver has taken up."""
        return ledger_crews.awaited(self._connection, job_id)

    def take_up_workers(self, job_id: str, holder: str, devices: Collection[str]) -> ledger_crews.Crew:
        """Those of them on devices that a driver has, its own to start from now on."""
        return ledger_crews.take_up(self._connection, job_id, holder, devices)

    def tell_crew(self, holder: str, job_id: str, crew: Mapping[str, int]) -> None:
        """Write how many workers of each device take work of a driver now."""
        ledger_crews.tell(self._connection, holder, job_id, crew)

    def crew_at_work(self, job_id: str) -> ledger_crews.Crew:
        """Who takes work of a job by device, over all of its drivers; empty where none told."""
        return ledger_crews.at_work(self._connection, job_id)

    # Planning anew, while it runs

    def standings(self, job_id: str) -> tuple[DecisionStanding, ...]:
        """Where the batches of each decision stand, and what settled ones really took."""
        return ledger_replanning.standings(self._connection, job_id)

    def change_steps(self, job_id: str, wanted: Sequence[NewSteps]) -> tuple[ChangedBatches, ...]:
        """Hand batches that nobody has tried to new decisions; what was leased meanwhile stays."""
        return ledger_replanning.change(self._connection, job_id, wanted)

    def note_round(
        self,
        job_id: str,
        *,
        finish: tuple[float, float],
        left: float,
        changes: Sequence[ChangedBatches],
        now: datetime,
    ) -> ReplanningRecord:
        """Keep what a round of re-planning came to; ``finish`` is p50 and p95 in seconds from now."""
        return ledger_replanning.note(self._connection, job_id, finish, left, changes, now)

    def rounds(self, job_id: str) -> tuple[ReplanningRecord, ...]:
        """Every round that changed something or found the deadline at risk, in order."""
        return ledger_replanning.rounds(self._connection, job_id)

    # Steering, while it runs

    def pause(self, job_id: str, *, actor: str, reason: str) -> JobRecord:
        """Hand out no more of a job until a person resumes it; what is leased may still settle."""
        return ledger_steering.pause(self._connection, job_id, actor, reason)

    def requeue(self, job_id: str, shots: Sequence[str]) -> SteeredShots:
        """Another attempt for shots that were given up or eaten; without names, for all given up."""
        return ledger_steering.requeue(self._connection, job_id, shots)

    def eat(
        self, job_id: str, shots: Sequence[str], *, actor: str, reason: str, now: datetime
    ) -> SteeredShots:
        """Close shots unmade, by who says so and why: they count as neither done nor failed."""
        return ledger_steering.eat(self._connection, job_id, shots, actor, reason, now)

    def put_before(self, job_id: str, priority: int) -> JobRecord:
        """The place of a job among those of its tier that want the same fleet; 0 is where all begin."""
        return ledger_steering.put_before(self._connection, job_id, priority)

    def put_shots_before(self, job_id: str, shots: Sequence[str], priority: int) -> SteeredShots:
        """Another priority for shots of a job: what is queued is rendered in the order that follows."""
        return ledger_steering.put_shots_before(self._connection, job_id, shots, priority)

    def move_deadline(self, job_id: str, deadline: datetime | None) -> JobRecord:
        """Another deadline for an unfinished job, or none."""
        return ledger_steering.move_deadline(self._connection, job_id, deadline)

    def set_budget(self, job_id: str, seconds: float | None, end: BudgetEnd | None = None) -> JobRecord:
        """Another budget of worker seconds, or none; ``end`` is what becomes of the job when it is spent."""
        return ledger_steering.set_budget(self._connection, job_id, seconds, end)

    def enforce_limits(self, job_id: str, now: datetime) -> Halt | None:
        """Stop a running job at its budget or after its probes; what was done, None where it may go on."""
        return ledger_limits.enforce(self._connection, job_id, now)

    def spent_seconds(self, job_id: str) -> float:
        """Worker seconds of everything that was settled of a job."""
        return ledger_limits.spent_seconds(self._connection, job_id)

    # Ending, and going on

    def hold(self, job_id: str, *, reason: str) -> JobRecord:
        """Stop leasing until a person resumes; what is leased may still settle."""
        return ledger_closing.hold(self._connection, job_id, reason)

    def resume(self, job_id: str, *, retry_dead: bool = False) -> JobRecord:
        """Let a held, paused or failed job go on; ``retry_dead`` gives every dead shot a new attempt."""
        return ledger_closing.resume(self._connection, job_id, retry_dead=retry_dead)

    def cancel(self, job_id: str, *, actor: str, now: datetime) -> JobRecord:
        """End a job: every open take is cancelled, and what still arrives counts as late."""
        return ledger_closing.cancel(self._connection, job_id, actor, now)

    def close(self, job_id: str, now: datetime) -> JobRecord:
        """Close a job if no shot is open: finished, or failed where shots are dead; else as it stands."""
        return ledger_closing.close(self._connection, job_id, now)

    def finish(self, job_id: str, now: datetime) -> JobRecord:
        """Close a job without open shots: finished, or failed where shots are dead; else LedgerFault."""
        return ledger_closing.finish(self._connection, job_id, now)

    # Measures and holds

    def figures(self, job_id: str) -> tuple[DecisionFigures, ...]:
        """Figures of every made picture, by decision, for the output checks."""
        return ledger_measures.figures(self._connection, job_id)

    def cost_samples(self, *, limit: int = 5000) -> tuple[CostSample, ...]:
        """What batches really cost, newest first; late and failed ones are no measure."""
        return ledger_measures.cost_samples(self._connection, limit)

    def last_settled(self) -> datetime:
        """When the newest batch was settled; the beginning of 1970 before the first."""
        return ledger_measures.last_settled(self._connection)

    def settled_since(self, moment: datetime, *, at_most: int) -> int:
        """Batches that were settled at a moment or later, counted no further than asked."""
        return ledger_measures.settled_since(self._connection, moment, at_most)

    def settled_batches(self, job_id: str) -> tuple[SettledBatch, ...]:
        """Every batch that counted, in the order in which they were settled."""
        return ledger_measures.settled_batches(self._connection, job_id)

    def load_seconds(self, job_id: str) -> float:
        """Seconds that workers spent making stacks resident for a job."""
        return ledger_measures.load_seconds(self._connection, job_id)

    def device_work(self, job_id: str) -> tuple[DeviceWork, ...]:
        """What each device class really did for a job."""
        return ledger_measures.device_work(self._connection, job_id)

    def attestations(self, job_id: str) -> tuple[Attestation, ...]:
        """What workers really loaded for the pictures of a job, reused ones included."""
        return ledger_measures.attestations(self._connection, job_id)

    def worker_faults(self, job_id: str) -> tuple[WorkerFaults, ...]:
        """Failed shots by worker and stack, most first: whom to blocklist."""
        return ledger_measures.worker_faults(self._connection, job_id)

    def hold_shots(self, job_id: str, shots: Sequence[str], *, code: str, detail: str, now: datetime) -> None:
        """Hold shots, by name, for review; holding one again under the same code changes nothing."""
        ledger_measures.hold_shots(self._connection, job_id, shots, code, detail, now)

    def holds(self, job_id: str) -> tuple[HeldShot, ...]:
        """Every hold of a job, released ones too."""
        return ledger_measures.holds(self._connection, job_id)

    def release_holds(self, job_id: str, *, actor: str, because: str, now: datetime) -> int:
        """Release every open hold of a job by name and reason; returns how many."""
        return ledger_measures.release_holds(self._connection, job_id, actor, because, now)
