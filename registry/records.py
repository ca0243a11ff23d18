"""What the ledger hands out: frozen values, never rows."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from policy.limits import BudgetEnd
from policy.manifest import RenderManifest, ShotInput
from policy.plan import Decision, ExecutionPlan, PlanTotals
from policy.tasks import FaultKind, PictureFigures, TakeState


class JobState(StrEnum):
    """Where a job stands; a job with a lost lease is running, never finished."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"  # stopped by a limit or for review; resumed by a person
    PAUSED = "paused"  # stopped by a person; resumed by one
    FINISHED = "finished"  # every shot is done or reused
    FAILED = "failed"  # ended, with shots that could not be made
    CANCELLED = "cancelled"

    @property
    def is_finished(self) -> bool:
        return self in {JobState.FINISHED, JobState.FAILED, JobState.CANCELLED}

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing will happen until a person does something."""
        return self.is_finished or self in {JobState.HELD, JobState.PAUSED}


class BatchState(StrEnum):
    """Where a batch stands."""

    QUEUED = "queued"
    LEASED = "leased"
    SETTLED = "settled"  # every take in it is terminal
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkCounts:
    """How much work a ledger holds."""

    jobs: tuple[tuple[JobState, int], ...]  # every state, those without a job too
    open_shots: int  # neither made nor given up, of jobs that are queued, running or held


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotCounts:
    """How many shots of a job stand where; they add up to the shots of the job."""

    queued: int = 0
    leased: int = 0
    done: int = 0
    reused: int = 0
    dead: int = 0
    cancelled: int = 0
    eaten: int = 0  # closed unmade by a person
    failed_takes: int = 0  # attempts that failed; their shots are counted above

    @property
    def shots(self) -> int:
        return self.queued + self.leased + self.done + self.reused + self.dead + self.cancelled + self.eaten

    @property
    def made(self) -> int:
        return self.done + self.reused

    @property
    def open(self) -> int:
        return self.queued + self.leased

    @property
    def missing(self) -> int:
        """Shots that are wanted and not made."""
        return self.shots - self.made - self.eaten


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """A submitted manifest."""

    job_id: str
    job_key: str
    name: str
    state: JobState
    detail: str  # why it is held, paused, failed or cancelled
    tier: str
    deadline: datetime | None
    owner: str
    labels: tuple[tuple[str, str], ...]
    recipients: tuple[str, ...]
    actor: str
    act: str
    plan_hash: str
    policy_version: str
    max_failed_shots: int | None
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    counts: ShotCounts
    attached: bool = False  # submit found this job unfinished and added nothing
    priority: int = 0  # said by a person: before or after other jobs of its tier on a shared fleet
    budget_seconds: float | None = None  # of workers, loads included
    budget_end: BudgetEnd = BudgetEnd.HOLD


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanHeader:
    """The plan of a job without its shots and batches, as it is stored."""

    plan_hash: str
    policy_version: str
    manifest: RenderManifest  # with no shots: they are rows
    decisions: tuple[Decision, ...]
    totals: PlanTotals
    warnings: tuple[str, ...]
    made_at: datetime

    @classmethod
    def of(cls, plan: ExecutionPlan) -> "PlanHeader":
        """What is kept of a plan beside the rows of its shots."""
        return cls(
            plan_hash=plan.plan_hash,
            policy_version=plan.policy_version,
            manifest=replace(plan.manifest, shots=()),
            decisions=plan.decisions,
            totals=plan.totals,
            warnings=plan.warnings,
            made_at=plan.made_at,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtefactRecord:
    """A kept output, by content."""

    shot_key: str
    sha256: str
    size: int
    media_type: str
    provenance_sha256: str | None
    stack_id: str
    job_id: str  # the job whose take made it
    figures: PictureFigures | None
    made_at: datetime
    sound_sha256: str | None = None  # what is heard with a clip, in a file of its own


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotRecord:
    """A planned shot and where it stands."""

    job_id: str
    ordinal: int
    name: str
    shot_key: str
    decision: int
    batch: int
    prompt: str
    negative: str
    seed: int
    width: int
    height: int
    frames: int
    priority: int
    where: str
    inputs: tuple[ShotInput, ...]
    state: TakeState
    take_id: str  # the standing take
    attempts: int
    worker: str | None
    detail: str
    seconds: float | None
    artefact: ArtefactRecord | None  # for done and reused


@dataclass(frozen=True, kw_only=True, slots=True)
class TakeRecord:
    """One attempt at a shot."""

    take_id: str
    job_id: str
    ordinal: int
    shot: str
    attempt: int
    state: TakeState
    batch: int
    run: int | None
    worker: str | None
    artefact_sha256: str | None
    fault: FaultKind | None
    detail: str
    seconds: float | None
    settled_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LeasedShot:
    """What a render task needs to know of one shot."""

    take_id: str
    name: str
    shot_key: str
    prompt: str
    negative: str
    seed: int
    inputs: tuple[ShotInput, ...]
    is_settled: bool  # terminal already: computed again for the bits of the batch, not stored again


@dataclass(frozen=True, kw_only=True, slots=True)
class LeasedBatch:
    """A batch in its planned composition, kept on every retry."""

    task_id: str
    number: int
    run: int
    decision: int
    width: int
    height: int
    frames: int
    shots: tuple[LeasedShot, ...]

    @property
    def reuse(self) -> tuple[str, ...]:
        """Take ids for ``RenderTask.reuse``."""
        return tuple(shot.take_id for shot in self.shots if shot.is_settled)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeasedChunk:
    """Batches of one stack that one holder may render until the lease expires."""

    job_id: str
    lease: str  # the token that settles, renews and releases
    holder: str
    stack_id: str
    expires_at: datetime
    batches: tuple[LeasedBatch, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SettledChunk:
    """What came of settling: how many takes went where."""

    done: int
    failed: int  # attempts; their shots are queued again
    dead: int  # shots given up
    requeued: int  # not tried, or interrupted: queued again without an attempt
    late: int  # pictures of a stale lease or a stopped job: kept as artefacts, counted for nothing
    storage_faults: int  # among failed: the bytes could not be kept
    second_digests: tuple[str, ...]  # shot keys that now have more than one digest
    job_state: JobState


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerFaults:
    """How often shots of a stack failed on a worker."""

    worker: str
    stack_id: str
    shots: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceWork:
    """What one device class did for a job."""

    device: str
    batches: int
    seconds: float  # loads apart
    load_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Attestation:
    """What a worker really loaded and ran, and in how many batches."""

    stack_id: str
    worker: str
    device: str
    loaded: tuple[tuple[str, str], ...]
    timesteps: tuple[float, ...]
    versions: tuple[tuple[str, str], ...]
    batches: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotFigures:
    """Figures of one made picture."""

    ordinal: int
    shot: str
    figures: PictureFigures


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionFigures:
    """Every measured picture of one decision (stack, preset, steps), for the output checks."""

    decision: int
    stack_id: str
    pictures: tuple[ShotFigures, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldShot:
    """A shot that an output check holds for review."""

    ordinal: int
    shot: str
    code: str
    detail: str
    held_at: datetime
    released_by: str | None
    released_because: str | None

    @property
    def is_released(self) -> bool:
        return self.released_by is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnKey:
    """A driver at a job, on a fleet."""

    fleet: str
    job_id: str
    holder: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnRecord:
    """A driver that waits for a fleet or has it, with what matters of its job."""

    key: TurnKey
    tier: str
    owner: str
    deadline: datetime | None
    submitted_at: datetime
    queued: int  # shots that nobody has taken
    picture_p50: float  # seconds on the whole fleet
    picture_p95: float
    has_fleet: bool
    priority: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedSeconds:
    """Worker seconds that went into settled batches of one tier and owner."""

    tier: str
    owner: str
    seconds: float
    late: float  # of these: after the deadline of their job


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedBatches:
    """Queued batches of one decision that another one runs since a round."""

    before: int  # index of the decision
    decision: int  # index of the one that took its place
    batches: int
    shots: int
    steps_before: int
    steps: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplanningRecord:
    """A round that changed something, or found the deadline at risk or out of it again."""

    job_id: str
    number: int
    at: datetime
    left_seconds: float  # to the deadline
    p50: float  # seconds until the end, with the changes
    p95: float
    at_risk: bool
    changes: tuple[ChangedBatches, ...]
