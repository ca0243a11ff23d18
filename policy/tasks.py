"""What crosses to a worker and what comes back: ids, digests, numbers and prompts; never pixels or rows."""

from dataclasses import dataclass
from enum import StrEnum

from policy.methods import CacheSpec, Plain, SchedulerSpec, StepSchedule
from policy.stacks import Stack
from policy.streams import StreamSettings


class TakeState(StrEnum):
    """Where a take stands; a lost take is never done."""

    QUEUED = "queued"
    LEASED = "leased"  # a driver holds it until the lease expires
    DONE = "done"  # rendered by this take; bytes durable
    REUSED = "reused"  # the same shot_key already existed; nothing was rendered
    FAILED = "failed"  # this attempt failed; another may follow
    DEAD = "dead"  # failed on enough distinct workers: given up
    CANCELLED = "cancelled"
    EATEN = "eaten"  # closed unmade by a person, who said why: neither done nor failed


class FaultKind(StrEnum):
    """Whose fault a failure is."""

    SHOT = "shot"  # the same shot would fail anywhere
    WORKER = "worker"  # this worker, device or process
    STORAGE = "storage"  # full disk, lost mount: the bytes could not be kept
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedPart:
    """Where a worker finds the bytes of one pin of the stack."""

    pin_id: str
    root: str  # folder that holds the pinned files


@dataclass(frozen=True, kw_only=True, slots=True)
class StackLoad:
    """Everything needed to make a stack resident, and nothing to look up."""

    stack: Stack
    parts: tuple[LocatedPart, ...]  # in the order of stack.pins
    fuse: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotTask:
    """One picture of a batch."""

    take_id: str
    shot_key: str
    prompt: str
    negative: str
    seed: int
    prompt_digest: str = ""  # of prompt and negative, with a salt that stays in the ledger
    seed_digest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderTask:
    """One batch: one forward pass a step for all of its shots."""

    task_id: str
    load: StackLoad
    preset: str
    preset_version: int
    scheduler: SchedulerSpec
    schedule: StepSchedule | None  # the published schedule; the worker refuses to run on another
    steps: int
    guidance: tuple[tuple[str, float], ...]
    call: tuple[tuple[str, Plain], ...]  # further pipeline arguments of the recipe
    cache: CacheSpec | None  # the hook to run under; None: every step is computed in full
    width: int
    height: int
    frames: int
    fps: float | None  # of a clip; None for a picture
    shots: tuple[ShotTask, ...]
    provenance: tuple[tuple[str, str], ...]  # job_id, plan_hash and the like, copied into the statements
    stream: StreamSettings | None = None  # of clips that the causal engine makes; None: the pipeline does
    reuse: tuple[
        str, ...
    ] = ()  # take ids of the batch whose picture is already kept: computed for the bits, not stored again


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtefactRef:
    """A stored file, by content."""

    sha256: str
    size: int
    media_type: str
    path: str  # absolute, in the artefact store


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureFigures:
    """Figures of one picture or clip for the output checks; each 0..1."""

    saturation: float
    clipping: float
    contrast: float
    luminance: float
    motion: float | None = None  # of a clip: how much a frame differs from the one before; None for a picture
    loudness: float | None = None  # of the sound of a clip; None where there is none
    sound_clipping: float | None = None  # share of its samples that are as loud as they can be


@dataclass(frozen=True, kw_only=True, slots=True)
class TakeResult:
    """What became of one take."""

    take_id: str
    shot_key: str
    artefact: ArtefactRef | None
    provenance: ArtefactRef | None  # the statement beside it
    figures: PictureFigures | None
    fault: FaultKind | None
    detail: str  # for a fault: one sentence for a person
    seconds: float  # this picture's share of the batch
    sound: ArtefactRef | None = None  # what is heard with a clip


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchResult:
    """What became of one batch, with what was really loaded and measured."""

    task_id: str
    takes: tuple[TakeResult, ...]
    worker: str  # host:pid of the actor
    device: str
    stack_id: str
    loaded: tuple[tuple[str, str], ...]  # (repo/path, sha256) of every file as hashed on this worker at load
    timesteps: tuple[float, ...]  # as the live scheduler reported them
    rows: int
    steps: int
    load_seconds: float  # 0 when the stack was resident
    denoise_seconds: float
    total_seconds: float
    versions: tuple[tuple[str, str], ...]  # torch, diffusers, ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedBatch:
    """What became of a batch that somebody waited for."""

    result: BatchResult
    queue_seconds: float  # until its forward passes began, loading apart
    pictures: int  # that shared the forward passes, those of other callers included
