"""A denoising loop between two steps: what it holds as bytes, and the same loop going on from there.

Everything that the rest of a picture depends on is taken: the latents, the state of every
generator, and the scheduler with all that it remembers of earlier steps. It is written as
safetensors with a JSON index, so that nothing is ever unpickled.

To go on, the pipeline is called as it always is. It walks through the steps that are made
already without making them: its denoisers hand back what they were fed, its scheduler leaves
the latents alone, and at the last of these steps all that was taken is put back. No pipeline
has to know of it, and every later step computes what it would have computed.
"""

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from policy.errors import FormatFault
from workers.pipelines import denoisers
from workers.renderer import Snapshot

# Pipelines whose loop is known to go on to the bit: tests hold each of them.
RESUMABLE = (
    "Flux2KleinPipeline",
    "FluxPipeline",
    "LatentConsistencyModelPipeline",
    "StableDiffusion3Pipeline",
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "ZImagePipeline",
)
CONFIG = "_internal_dict"  # of a scheduler: what it was built from, which does not change
FORMAT = "1"


class Unkept(Exception):
    """The loop holds something that is no number, text or tensor: no snapshot can be taken of it."""


@dataclass(kw_only=True, slots=True)
class _Shelf:
    """Tensors by name, gathered while a value is written down."""

    tensors: dict[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])

    def put(self, value: Any) -> Any:
        """A value as JSON, its tensors on the shelf; raises Unkept."""
        if value is None or isinstance(value, bool | int | float | str):
            return {"is": value}
        if isinstance(value, torch.Tensor):
            name = str(len(self.tensors))
            self.tensors[name] = value.detach().to("cpu", copy=True).contiguous()
            return {"tensor": name, "device": str(value.device)}
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            name = str(len(self.tensors))
            self.tensors[name] = torch.from_numpy(np.array(value, order="C"))
            return {"array": name}
        if isinstance(value, np.generic):
            return {"is": value.item()}
        if isinstance(value, list | tuple):
            return {"tuple" if isinstance(value, tuple) else "list": [self.put(item) for item in value]}
        raise Unkept(type(value).__name__)

    def take(self, written: dict[str, Any]) -> Any:
        """The value that was written so."""
        if "is" in written:
            return written["is"]
        if "tensor" in written:
            return self.tensors[written["tensor"]].to(written["device"])
        if "array" in written:
            return self.tensors[written["array"]].numpy()
        if "list" in written:
            return [self.take(item) for item in written["list"]]
        return tuple(self.take(item) for item in written["tuple"])


def take_snapshot(
    pipeline: Any, latents: torch.Tensor, generators: Sequence[torch.Generator], done: int, seconds: float
) -> Snapshot | None:
    """What a pipeline holds after ``done`` steps; None where it cannot be kept whole."""
    if type(pipeline).__name__ not in RESUMABLE:
        return None
    shelf = _Shelf()
    try:
        index = {
            "format": FORMAT,
            "scheduler": type(pipeline.scheduler).__name__,
            "state": {
                name: shelf.put(value) for name, value in vars(pipeline.scheduler).items() if name != CONFIG
            },
            "latents": shelf.put(latents),
            "generators": [shelf.put(generator.get_state()) for generator in generators],
        }
    except Unkept:
        return None
    content = save(shelf.tensors, metadata={"index": json.dumps(index)})
    return Snapshot(steps=done, seconds=seconds, content=content)


class Resumption:
    """A pipeline on its way through the steps that a snapshot has behind it."""

    def __init__(self, pipeline: Any, snapshot: Snapshot, generators: Sequence[torch.Generator]) -> None:
        self._pipeline = pipeline
        self._generators = generators
        self._snapshot = snapshot
        self._index, self._shelf = _read(snapshot.content)
        live = type(pipeline.scheduler).__name__
        if self._index["scheduler"] != live or len(self._index["generators"]) != len(generators):
            raise FormatFault("The snapshot is of another batch.", "Render the batch from its start.")
        self._muted: list[Any] = []

    def mute(self) -> None:
        """From now on steps change nothing.

        A pipeline asks a scheduler's signature whether its steps take a generator, so what stands
        in for a method has to look like it.
        """
        for module in denoisers(self._pipeline):
            module.forward = _looking_like(module.forward, _as_fed)
            self._muted.append(module)
        scheduler = self._pipeline.scheduler
        scheduler.step = _looking_like(scheduler.step, _as_it_was)

    def skips(self, done: int) -> bool:
        """Whether the step that ``done`` counts up to was made before."""
        return done <= self._snapshot.steps

    def at(self, done: int, go_on: Callable[[float], None]) -> dict[str, torch.Tensor]:
        """After such a step: nothing, or after the last one what the loop goes on with.

        ``go_on`` is told the seconds that the steps took when they were made.
        """
        if done < self._snapshot.steps:
            return {}
        latents = self._restored()
        go_on(self._snapshot.seconds)
        return {"latents": latents}

    def _restored(self) -> torch.Tensor:
        """Put everything back; returns the latents."""
        self.unmute()
        state = {name: self._shelf.take(value) for name, value in self._index["state"].items()}
        vars(self._pipeline.scheduler).update(state)
        for generator, kept in zip(self._generators, self._index["generators"], strict=True):
            generator.set_state(self._shelf.take(kept))
        latents: torch.Tensor = self._shelf.take(self._index["latents"])
        return latents

    def unmute(self) -> None:
        """Steps are steps again."""
        for module in self._muted:
            del module.forward
        if self._muted:
            del self._pipeline.scheduler.step
        self._muted.clear()


@contextmanager
def resumed(
    pipeline: Any, snapshot: Snapshot | None, generators: Sequence[torch.Generator]
) -> Generator[Resumption | None]:
    """The next call of a pipeline goes on from a snapshot; from its start where there is none."""
    if snapshot is None:
        yield None
        return
    resumption = Resumption(pipeline, snapshot, generators)
    resumption.mute()
    try:
        yield resumption
    finally:
        resumption.unmute()


def _looking_like(method: Any, stand_in: Callable[..., Any]) -> Callable[..., Any]:
    """A function of its own with the signature of a method."""

    @wraps(method)
    def muted(*values: Any, **named: Any) -> Any:
        return stand_in(*values, **named)

    return muted


def _as_fed(*values: Any, **named: Any) -> tuple[Any]:
    """In place of a forward pass."""
    return (values[0] if values else named.get("hidden_states", named.get("sample")),)


def _as_it_was(_output: Any, _timestep: Any, sample: Any, *_rest: Any, **_named: Any) -> tuple[Any, Any]:
    """In place of a scheduler's step: what the latents were, also where what they will be is asked for."""
    return sample, sample


def _read(content: bytes) -> tuple[dict[str, Any], _Shelf]:
    try:
        size = int.from_bytes(content[:8], "little")
        index = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["index"])
        tensors = load(content)
    except (ValueError, KeyError, TypeError, SafetensorError) as fault:
        raise FormatFault(
            "This is no snapshot of a batch, or a torn one.", "Render the batch from its start."
        ) from fault
    if index.get("format") != FORMAT:
        raise FormatFault("The snapshot has another format.", "Render the batch from its start.")
    return index, _Shelf(tensors=tensors)
