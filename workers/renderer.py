"""The port that makes pixels, and the values that cross it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policy.errors import RenderFault
from policy.tasks import RenderTask, StackLoad

# (pictures, height, width, 3), or of clips (clips, frames, height, width, 3); each value 0..1
Pictures = NDArray[np.float32]

# Set before torch and diffusers are imported: a worker reads verified bytes from disk and nothing else.
WORKER_ENVIRONMENT = {
    "DIFFUSERS_DISABLE_REMOTE_CODE": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait give up the core: several workers share a machine
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
LIBRARIES = ("diffusers", "numpy", "peft", "pillow", "torch", "transformers")


class RendererKind(StrEnum):
    """Which renderer a worker runs."""

    DIFFUSERS = "diffusers"
    SYNTHETIC = "synthetic"  # tests and benchmarks only; its frames say so


class RenderCancelled(Exception):
    """The batch was told to stop; nothing of it is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A batch between two steps, from which it can go on to the same bits."""

    steps: int  # that are behind it
    seconds: float  # of denoising that they took
    content: bytes  # as the renderer that took it reads it


class RenderSetAside(Exception):
    """The batch was told to make room: it goes on from this snapshot."""

    def __init__(self, snapshot: Snapshot, seconds: float = 0.0) -> None:
        super().__init__(snapshot, seconds)
        self.snapshot = snapshot
        self.seconds = seconds  # of denoising since it was taken up here


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderOptions:
    """How this worker renders, whatever it renders."""

    kind: RendererKind = RendererKind.DIFFUSERS
    device: str = "cpu"  # a torch device
    threads: int = 1  # of torch; bits depend on it, so it is never left to the machine
    previews: bool = False  # whether somebody may look at a batch on its way
    seconds_per_step: float = 0.0  # synthetic only: how long a step of a batch sleeps


@dataclass(frozen=True, kw_only=True)
class Sound:
    """What is heard with the clips of a batch."""

    samples: NDArray[np.float32]  # (clips, channels, samples), each value -1..1
    rate: int  # samples a second


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """The pictures or clips of one batch, in the order of its shots, with what was really run."""

    pictures: Pictures
    timesteps: tuple[float, ...]  # as the live scheduler reports them after the run
    rows: int  # rows of one forward pass: pictures, doubled by classifier-free guidance
    seconds: float  # of the denoising loop alone
    sound: Sound | None = None  # of methods that make it with their frames
    parts: int = (
        1  # more than 1 where memory ran out and the batch was halved: its bits are then another batch's
    )


def no_snapshot() -> Snapshot | None:
    """Of a batch that can only be made in one go."""
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A step boundary of a batch."""

    done: int  # steps that are finished
    preview: Callable[
        [], Pictures | None
    ]  # what the batch looks like by now; None where nothing can be shown
    snapshot: Callable[[], Snapshot | None] = no_snapshot  # None where it could not go on from here


OnStep = Callable[[Step], None]  # called at every step boundary; raises to stop there


class Renderer(Protocol):
    """Holds one resident stack and renders batches on it."""

    @property
    def device(self) -> str:
        """What the pictures are made on, as the cost model names it: "cpu-2", "NVIDIA H100"."""
        ...

    @property
    def is_synthetic(self) -> bool:
        """Whether the pictures only stand in for real ones; their files say so."""
        ...

    def load(self, load: StackLoad) -> None:
        """Make a verified stack resident in place of the one before; raises RenderFault."""
        ...

    def render(self, task: RenderTask, on_step: OnStep, since: Snapshot | None = None) -> Rendered:
        """Render one batch on the resident stack, or raise what ``on_step`` raises.

        ``since`` goes on from a snapshot of the very same batch, to the same bits. RenderFault
        means that the batch would fail anywhere; any other error is this worker's.
        """
        ...


def make_renderer(options: RenderOptions) -> Renderer:
    """The renderer of a worker; imports torch only where torch is needed."""
    if options.threads < 1:
        raise RenderFault(f"A worker cannot run on {options.threads} threads.", "Set threads to 1 or more.")
    match options.kind:
        case RendererKind.SYNTHETIC:
            from workers.synthetic import SyntheticRenderer  # noqa: PLC0415 - each renderer is imported when chosen

            return SyntheticRenderer(options)
        case RendererKind.DIFFUSERS:
            os.environ.update(WORKER_ENVIRONMENT)
            from workers.diffusers_renderer import DiffusersRenderer  # noqa: PLC0415 - after the environment is set

            return DiffusersRenderer(options)


def runtime_versions(kind: RendererKind) -> tuple[tuple[str, str], ...]:
    """Renderer and library versions that determine pixels, without importing any of them."""
    libraries = LIBRARIES if kind is RendererKind.DIFFUSERS else ("numpy", "pillow")
    return (("renderer", str(kind)), *((name, _version(name)) for name in libraries))


@cache  # what is installed does not change under a process that has imported it
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
