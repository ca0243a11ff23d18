"""Streams for live sessions, by the causal engine on a loaded pipeline of diffusers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from policy.canvas import CanvasControls, CanvasLoad
from policy.errors import RenderFault
from workers.causal.stream import CausalStream, stream_of
from workers.renderer import RenderOptions
from workers.stack_loading import load_pipeline


class CausalRollouts:
    """Begins streams on one resident stack."""

    is_synthetic = False

    def __init__(self, options: RenderOptions) -> None:
        self._options = options
        self._pipeline: Any = None

    def load(self, load: CanvasLoad) -> None:
        """Make the stack of a session resident; its files are verified already."""
        self._pipeline = None  # free the old stack first
        torch.set_num_threads(self._options.threads)
        self._pipeline = load_pipeline(load.load, self._options.device)

    def begin(self, load: CanvasLoad, controls: CanvasControls, seed: int) -> "CausalRollout":
        """A stream of its own; RenderFault where the stack cannot be streamed as the preset says."""
        if self._pipeline is None or load.stream is None:
            raise RenderFault("No stream is open here.", "Open a session first.")
        torch.set_num_threads(self._options.threads)  # torch counts them per thread
        size = load.width, load.height
        return CausalRollout(
            stream_of(self._pipeline, load.stream, prompt=controls.prompt, seed=seed, size=size)
        )


class CausalRollout:
    """One stream, as pixels alone."""

    def __init__(self, stream: CausalStream) -> None:
        self._stream = stream

    @property
    def is_over(self) -> bool:
        """Whether it has all the frames that its method makes."""
        return self._stream.is_over

    def change_prompt(self, prompt: str) -> int:
        """Lead it by another prompt from the next chunk on."""
        return self._stream.change_prompt(prompt)

    def next_chunk(self) -> Iterator[NDArray[np.uint8]]:
        """Make the next chunk, and give its frames, (height, width, 3)."""
        return (frame.pixels for frame in self._stream.next_chunk())

    def close(self) -> None:
        """End it at the next step."""
        self._stream.close()
