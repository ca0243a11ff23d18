"""The plan: every choice made for every shot, with reason and predicted cost; immutable and hashed."""

from dataclasses import dataclass
from datetime import datetime

from policy.manifest import RenderManifest, Shot
from policy.menu import Offer
from policy.verdicts import Reason

POLICY_VERSION = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """An alternative that was not chosen, and why."""

    preset: str
    steps: int | None
    code: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceCost:
    """What a picture of a decision costs on one device class that may take its batches."""

    device: str
    seconds_p50: float  # per picture, at the decision's batch size
    seconds_p95: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """How one kind of shot runs: shared by every shot with the same needs."""

    decision_id: str  # digest of everything below
    offer: Offer
    width: int
    height: int
    frames: int
    steps: int
    guidance: tuple[tuple[str, float], ...]  # every knob of the preset, as it will be passed
    rows_per_picture: int
    seconds_p50: float  # per picture, at the batch size below
    seconds_p95: float
    batch_size: int  # pictures in a batch
    quality: float
    reasons: tuple[str, ...]  # sentences, in the order they were decided
    rejected: tuple[Rejection, ...]
    devices: tuple[DeviceCost, ...] = ()  # in a fleet of several device classes: those that may take it
    fps: float | None = None  # frames a second of a clip; None for a picture

    @property
    def thing(self) -> str:
        """What it makes, in the singular."""
        return "picture" if self.frames == 1 else "clip"

    @property
    def forward_passes(self) -> int:
        """Forward passes of a picture, or of a whole clip with every chunk of it."""
        return self.offer.preset.forward_passes(self.steps, dict(self.guidance), self.frames)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedShot:
    """A shot with its decision and the digest of everything that determines its pixels."""

    shot: Shot
    decision: int  # index into ExecutionPlan.decisions
    shot_key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedBatch:
    """Shots that share a forward pass; fixed here, kept on retry and resume, since bits depend on it."""

    decision: int
    shots: tuple[int, ...]  # indexes into ExecutionPlan.shots


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceShare:
    """What one device class is predicted to do of a plan."""

    device: str
    workers: int
    batches: int
    seconds_p50: float  # device-seconds
    seconds_p95: float
    price: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanTotals:
    """What the whole job is predicted to take."""

    shots: int
    forward_passes: int  # rows counted as passes, summed over pictures and clips
    seconds_p50: float  # device-seconds
    seconds_p95: float
    wall_seconds_p50: float  # on the fleet, loads included
    wall_seconds_p95: float
    bytes_on_disk: int
    price: float | None
    currency: str
    devices: tuple[DeviceShare, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionPlan:
    """Everything that will run; the same inputs give the same ``plan_hash``."""

    plan_hash: str
    policy_version: str
    manifest: RenderManifest
    decisions: tuple[Decision, ...]
    shots: tuple[PlannedShot, ...]
    batches: tuple[PlannedBatch, ...]
    totals: PlanTotals
    warnings: tuple[str, ...]
    made_at: datetime  # not part of the hash


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRefusal:
    """No plan: every reason, and what would make it work."""

    reasons: tuple[Reason, ...]
    remedies: tuple[str, ...]  # sentences: "Use emoji-64 without the shapes LoRA: permitted, 4 steps."
