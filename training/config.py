"""Every number of the training in one frozen place, and a tiny preset that the tests run."""

from __future__ import annotations

from dataclasses import dataclass, field

PICTURE_SIZE = 64
LATENT_SIZE = 16
TEXT_LENGTH = 24
CLIP_FRAMES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Warm-up, then a flat part, then a cosine fall to `floor` times the peak. Lengths are in steps."""

    steps: int
    peak: float
    warmup: int
    flat_share: float
    floor: float = 0.05
    checkpoint_every: int = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class VaePlan:
    """The picture codec: 64x64x3 to 16x16x4 and back."""

    schedule: Schedule = Schedule(
        steps=2000, peak=2e-3, warmup=50, flat_share=0.4, floor=0.02, checkpoint_every=100
    )
    channels: tuple[int, ...] = (32, 64, 96)
    groups: int = 8
    crop: int = 32
    crop_batch: int = 32
    crop_share: float = 0.8
    """Share of the steps that look at crops; the rest look at whole pictures."""
    full_batch: int = 10
    edge_weight: float = 0.5
    kl_weight: float = 1e-4
    average: float = 0.998


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderPlan:
    """More steps for the decoder alone, once the latents are fixed."""

    schedule: Schedule = Schedule(
        steps=450, peak=1e-3, warmup=40, flat_share=0.3, floor=0.02, checkpoint_every=100
    )
    batch: int = 10
    edge_weight: float = 0.5
    average: float = 0.99


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherPlan:
    """The text encoder and the denoiser, trained together by v-prediction."""

    schedule: Schedule = Schedule(steps=2800, peak=1e-3, warmup=60, flat_share=0.45, checkpoint_every=100)
    channels: tuple[int, ...] = (64, 96, 160)
    heads: tuple[int, ...] = (2, 3, 5)
    groups: int = 16
    text_width: int = 128
    text_layers: int = 2
    batch: int = 32
    average: float = 0.998
    empty_caption_share: float = 0.12
    snr_cap: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DistilPlan:
    """Latent consistency distillation of the teacher into a LoRA, with guidance baked in."""

    schedule: Schedule = Schedule(steps=320, peak=3e-4, warmup=30, flat_share=0.5, checkpoint_every=50)
    rank: int = 32
    batch: int = 32
    guidance: float = 3.0
    boundaries: int = 10
    jitter_share: float = 0.5
    target_average: float = 0.95
    average: float = 0.99
    huber: float = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class StylePlan:
    """A style LoRA: the teacher's own loss on one art set, only the LoRA moves."""

    schedule: Schedule = Schedule(steps=180, peak=1e-3, warmup=20, flat_share=0.4, checkpoint_every=60)
    rank: int = 8
    batch: int = 24
    average: float = 0.98


_TWEMOJI_SCHEDULE = Schedule(steps=360, peak=1e-3, warmup=20, flat_share=0.4, checkpoint_every=60)
"""Nearly three times the subjects of the shapes, so twice the steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionPlan:
    """A motion adapter, and a LoRA for the picture layers under it."""

    schedule: Schedule = Schedule(steps=510, peak=1e-3, warmup=15, flat_share=0.8, checkpoint_every=25)
    rank: int = 16
    batch: int = 4
    average: float = 0.98
    empty_caption_share: float = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgePlan:
    """The classifier that measures the pictures; it never trains the model."""

    schedule: Schedule = Schedule(steps=400, peak=3e-3, warmup=10, flat_share=0.1)
    batch: int = 96
    features: int = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationPlan:
    """How many pictures each row of the table rests on."""

    prompts: int = 120
    guidance: float = 3.0
    burnt_guidance: float = 7.5
    full_steps: int = 40
    broadcast: int = 3
    batch: int = 24
    clips: int = 24
    full_clips: int = 8
    """Clips at full steps, which take twelve times as long as the student's."""
    clip_steps: int = 25
    clip_batch: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPlan:
    """One run, from pictures to packed repositories."""

    seed: int = 20261123
    subject_limit: int | None = None
    threads: int = 2
    vae: VaePlan = field(default_factory=VaePlan)
    decoder: DecoderPlan = field(default_factory=DecoderPlan)
    teacher: TeacherPlan = field(default_factory=TeacherPlan)
    distil: DistilPlan = field(default_factory=DistilPlan)
    twemoji: StylePlan = field(default_factory=lambda: StylePlan(schedule=_TWEMOJI_SCHEDULE))
    shapes: StylePlan = field(default_factory=StylePlan)
    motion: MotionPlan = field(default_factory=MotionPlan)
    judge: JudgePlan = field(default_factory=JudgePlan)
    evaluation: EvaluationPlan = field(default_factory=EvaluationPlan)


SHIPPED = TrainingPlan()

_SHORT = Schedule(steps=4, peak=1e-3, warmup=1, flat_share=0.5, checkpoint_every=2)

TINY = TrainingPlan(
    seed=7,
    subject_limit=3,
    threads=2,
    vae=VaePlan(schedule=_SHORT, channels=(8, 8, 8), groups=4, crop_batch=2, full_batch=2, crop_share=0.5),
    decoder=DecoderPlan(schedule=_SHORT, batch=2),
    teacher=TeacherPlan(
        schedule=_SHORT, channels=(8, 8, 16), heads=(1, 1, 2), groups=4, text_width=16, text_layers=1, batch=2
    ),
    distil=DistilPlan(schedule=_SHORT, rank=2, batch=2),
    twemoji=StylePlan(schedule=_SHORT, rank=2, batch=2),
    shapes=StylePlan(schedule=_SHORT, rank=2, batch=2),
    motion=MotionPlan(schedule=_SHORT, rank=2, batch=2),
    judge=JudgePlan(schedule=_SHORT, batch=4, features=8),
    evaluation=EvaluationPlan(prompts=24, batch=24, full_steps=3),
)
