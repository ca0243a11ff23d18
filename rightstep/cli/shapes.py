"""What commands print with ``--json`` where no value of the rooms below says it already.

The keys are field names and stable; ``docs/reference/json.md`` is written from these classes
and from those of ``policy``, ``registry`` and ``flows``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flows.reports.predictions import Prediction
from policy.clips import ClipRule, Rollout
from policy.methods import CacheSpec, Fact, PresetPart, QualityPrior
from policy.verdicts import Reason
from registry.licences.proof import ProofNode
from registry.records import JobRecord, ReplanningRecord, ShotRecord
from registry.shipment_records import ShipmentRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An order that policy or a licence refused; the command exits with 1, or with 2 for an unknown name."""

    refused: bool  # always true
    reasons: tuple[Reason, ...]  # every one of them
    remedies: tuple[str, ...]  # sentences: what would make it work


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What any command prints when it ends in an error."""

    refused: bool  # true where policy or a licence said no
    error: str  # kind of error, such as "UnknownName"
    message: str  # what went wrong, for a person
    next_step: str  # what would help; may be empty
    exit_code: int
    reasons: tuple[Reason, ...] = ()  # of a refusal
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobAnswer:
    """A job, and with ``--shots`` its shots."""

    job: JobRecord
    shots: tuple[ShotRecord, ...] | None = None  # null unless asked for
    rounds: tuple[ReplanningRecord, ...] = ()  # of `job show`: how the night was planned anew, oldest first


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotsAnswer:
    """What a word about shots of a job came to."""

    job: JobRecord
    shots: tuple[str, ...]  # those that it changed, in the order of the plan


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadlineAnswer:
    """A job with another deadline."""

    job: JobRecord
    round: ReplanningRecord | None  # how the night was planned anew; null where nothing had to change


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """What was written for people."""

    folder: str
    pictures: int  # how many picture files
    contact_sheet: str  # path
    report: str  # path
    notices: str | None  # path; null before the first shipment


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderAnswer:
    """A rendered order."""

    job: JobRecord
    shipment: ShipmentRecord | None  # with --ship
    files: Files | None  # with --out


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportAnswer:
    """A job that was written out."""

    files: Files
    prediction: Prediction  # what was predicted beside what it took


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodSummary:
    """A method preset in a list."""

    name: str
    family: str  # "full", "lcm-lora", ...
    modality: str  # "image", "video" or "live"
    repo: str | None  # the artefact that the method adds; null where it adds none
    files: tuple[str, ...]  # weight files of that artefact
    steps: tuple[int, ...]  # the allowed set; not a range
    base: tuple[str, ...]  # base repositories it is published for
    licence: str  # licence id


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodShown:
    """A method as it will really run at one step count, read from the instantiated scheduler."""

    name: str
    version: int
    family: str
    rung: str  # full, cached, distilled or causal
    modality: str
    engine: str  # "diffusers", or "causal" for a rollout that no diffusers pipeline does
    pipeline: str  # diffusers pipeline class
    parts: tuple[PresetPart, ...]  # the weight files it adds to the base, and where each goes
    base: tuple[str, ...]
    variant: str  # of the base's weight files, such as "fp16"
    settings: Mapping[str, str | int | float | bool]  # of the pipeline itself, such as boundary_ratio
    call: Mapping[str, str | int | float | bool]  # further pipeline arguments, such as eta
    size: tuple[int, int] | None  # width and height it was trained for
    frames: int  # of a clip or a chunk; 1 for pictures
    dtypes: tuple[str, ...]  # allowed compute dtypes, preferred first
    component_dtypes: Mapping[str, str]  # parts that must run in another one
    licence: str
    allowed_steps: tuple[int, ...]
    steps: int  # the count that this answer is for
    scheduler: str  # diffusers class
    scheduler_config: Mapping[str, str | int | float | bool | None]  # complete
    at_size: (
        tuple[int, int] | None
    )  # width and height that the schedule holds for; null where it holds at any
    timesteps: tuple[float, ...]  # as the live scheduler reports them
    sigmas: tuple[float, ...]  # the same; empty where the scheduler knows none
    second_sigmas: tuple[float, ...]  # of the second stage, where the method has one
    guidance: Mapping[str, float]  # every guidance argument of the pipeline, as it will be passed
    rows_per_picture: int  # 2 where classifier-free guidance runs
    forward_passes: int  # for one picture or clip; of a stream for one chunk, its cache filled
    clip_passes: int  # for a whole clip of ``frames`` frames; of a picture the same
    clip: ClipRule | None  # lengths and sizes of clips; null for pictures
    rollout: Rollout | None  # how a causal method streams; null for every other
    real_time_native: bool  # is it fast enough for live work without streaming
    fuse: bool  # are the LoRAs fused once, at load
    cache: CacheSpec | None  # the training-free cache it runs under, on the cached rung
    negative_prompt_is_inert: bool
    quality: tuple[QualityPrior, ...]  # by step count, relative to the base at full steps
    facts: tuple[Fact, ...]  # where the numbers come from


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenceSummary:
    """A licence whose terms are known, in a list."""

    id: str
    name: str
    family: str
    version: str
    spdx: str | None
    hub_tags: tuple[str, ...]  # values of a model card's `license` that name it
    acts: Mapping[str, str]  # act: allow, review or deny; an act that is missing is unknown


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldReason:
    """One fact that moved a verdict, or confirms it."""

    code: str  # stable machine name, such as "noncommercial_licence"
    component: str  # repository, or repository and file; "" for the whole
    licence: str  # licence id, where one is involved
    clause: str  # where in the licence text
    detail: str  # one sentence for a person


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldObligation:
    """Something that must be done if the use goes ahead."""

    id: str  # such as "attribution"
    text: str  # what to do
    when: str  # what triggers it


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluatedStack:
    """The verdict on one described stack."""

    verdict: str  # allow, needs_approval or deny
    reasons: tuple[ToldReason, ...]  # every one that applies, the strictest first
    obligations: tuple[ToldObligation, ...]
    proof: ProofNode  # from the verdict down to the words of the clauses


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaAnswer:
    """The ledger after an upgrade."""

    schema_version: str
