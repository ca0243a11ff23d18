"""Exactly which weights: pins, and the stacks they make."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from policy.canonical import digest


class Role(StrEnum):
    """What a pinned repository does in a stack."""

    BASE = "base"
    REFINER = "refiner"
    DISTILL_LORA = "distill_lora"
    LORA = "lora"
    UNET = "unet"  # stands in for the base's own
    TRANSFORMER = "transformer"  # stands in for the base's own
    MOTION_ADAPTER = "motion_adapter"
    CONTROLNET = "controlnet"
    VAE = "vae"
    TEXT_ENCODER = "text_encoder"
    UPSCALER = "upscaler"
    IP_ADAPTER = "ip_adapter"
    IMAGE_ENCODER = "image_encoder"
    SAFETY_CHECKER = "safety_checker"
    INTERPOLATOR = "interpolator"
    RUNTIME_CODE = "runtime_code"  # a library or script that runs the weights: it has a licence too
    OTHER = "other"  # whatever else; nothing is known of what it does


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePin:
    """One file, by content."""

    path: str  # relative, forward slashes, no ".."
    sha256: str
    size: int  # bytes


@dataclass(frozen=True, kw_only=True)
class ModelPin:
    """A repository at one commit, every file by sha256 and size."""

    repo: str  # org/name
    revision: str  # 40 hex
    role: Role
    files: tuple[FilePin, ...]

    @cached_property
    def pin_id(self) -> str:
        """Digest of repository, commit and files; the role is not part of what the bytes are."""
        return digest(
            "model-pin",
            {
                "repo": self.repo,
                "revision": self.revision,
                "files": [
                    [pin.path, pin.sha256, pin.size] for pin in sorted(self.files, key=lambda pin: pin.path)
                ],
            },
        )


@dataclass(frozen=True, kw_only=True)
class AdapterPin(ModelPin):
    """A pinned repository of which one weight file is applied to the base, and how.

    Only ``file`` and the configuration beside it are loaded: a repository may hold the same
    method for other bases and step counts, under other licences.
    """

    file: str = ""  # path of the weights in the repository; "" where the pin holds only one
    component: str = ""  # of the pipeline it goes to, such as "transformer_2"; "" for the usual one
    scale: float = 1.0  # of a LoRA
    expected_tensors: int | None = None  # of a LoRA that must all land; None where the number is not known


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What is resident in a worker: a base and its adapters, in the order they are applied.

    A distillation LoRA that is fused makes another stack, so ``stack_id`` covers it; the
    method (scheduler, steps, guidance) is not part of it.
    """

    name: str  # for people: "emoji-64 + twemoji + lcm"
    pipeline: str  # diffusers pipeline class, from an allow-list
    base: ModelPin
    adapters: tuple[AdapterPin, ...] = ()
    dtype: str = "float32"
    variant: str = ""  # of the base's weight files, such as "fp16"; "" for the plain ones
    component_dtypes: tuple[
        tuple[str, str], ...
    ] = ()  # where a part must not run in ``dtype``: VAEs overflow
    settings: tuple[tuple[str, str | int | float | bool], ...] = ()  # of the pipeline: boundary_ratio

    @property
    def pins(self) -> tuple[ModelPin, ...]:
        return (self.base, *self.adapters)

    @cached_property
    def stack_id(self) -> str:
        return digest(
            "stack",
            {
                "pipeline": self.pipeline,
                "dtype": self.dtype,
                "base": self.base.pin_id,
                "variant": self.variant,
                "component_dtypes": [list(pair) for pair in self.component_dtypes],
                "settings": [list(setting) for setting in self.settings],
                "adapters": [
                    [pin.pin_id, pin.role, pin.file, pin.component, float(pin.scale)] for pin in self.adapters
                ],
            },
        )
