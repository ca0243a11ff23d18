"""The order: what a client asks for, before anything is decided."""

from dataclasses import dataclass, field

from policy.limits import Limits
from policy.tiers import ServiceLevel
from policy.uses import IntendedUse


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraRequest:
    """A style or character LoRA by repository, applied at a scale."""

    repo: str
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotInput:
    """A file that determines pixels: an init image, a control map."""

    role: str
    path: str
    sha256: str
    rights: str = ""  # who may use it, in the submitter's words; goes to the bill of materials


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One planned unit: an image (frames = 1) or a clip."""

    name: str  # unique in its manifest; becomes the output file name
    prompt: str
    model: str  # base repository
    negative: str = ""
    seed: int = 0
    width: int = 64
    height: int = 64
    frames: int = 1
    fps: float | None = None  # of a clip; None: what its method was trained at
    loras: tuple[LoraRequest, ...] = ()
    inputs: tuple[ShotInput, ...] = ()
    steps: int | None = None  # None: policy decides
    guidance: float | None = None  # None: the preset's own; outside its range is refused
    method: str | None = None  # preset name; None: policy chooses the rung
    priority: int = 0
    weight: float = 1.0  # of its quality where a night is too short for everybody; above 0
    where: str = ""  # "overnight.toml: shots[3]", for messages

    @property
    def asked_rate(self) -> float | None:
        """The frame rate that was asked for; None for a picture, which has none."""
        return None if self.frames == 1 else self.fps


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderManifest:
    """Everything that was ordered, with its promise and its intended use."""

    name: str
    shots: tuple[Shot, ...]
    service: ServiceLevel = field(default_factory=ServiceLevel)
    use: IntendedUse = field(default_factory=IntendedUse)
    owner: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    recipients: tuple[str, ...] = ()  # whom shipments go to
    timezone: str = "UTC"  # IANA zone in which HH:MM deadlines are read
    max_failed_shots: int | None = None  # stop the job beyond this many
    waive_output_checks: bool = False  # explicit, recorded in the plan
    limits: Limits = field(default_factory=Limits)
    source: str = ""  # file name, for messages
