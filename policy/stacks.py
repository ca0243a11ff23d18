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
    MOTION_ADAPTER = "motion_adapter"
    CONTROLNET = "controlnet"
    VAE = "vae"
    TEXT_ENCODER = "text_encoder"
    UPSCALER = "upscaler"


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
    """A pinned LoRA or adapter and the scale at which it is applied."""

    scale: float = 1.0


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
                "adapters": [[pin.pin_id, pin.role, float(pin.scale)] for pin in self.adapters],
            },
        )
