"""Live frames without a model, for tests and benchmarks only: what they show comes of what was asked."""

import hashlib
import threading
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from policy.canvas import CanvasControls, CanvasLoad
from policy.clips import frames_of
from policy.errors import RenderFault
from policy.streams import StreamSettings
from workers.renderer import RenderCancelled, RenderOptions
from workers.sketches import picture_of


class SyntheticCanvas:
    """The sketch under a colour that comes of prompt, seed, strength and steps."""

    is_synthetic = True

    def __init__(self, options: RenderOptions) -> None:
        self._options = options
        self._size = 0, 0

    def load(self, load: CanvasLoad) -> None:
        """Nothing is resident but its size."""

    def open(self, load: CanvasLoad) -> None:
        """Begin a session."""
        self._size = load.width, load.height

    def draw(self, controls: CanvasControls) -> NDArray[np.uint8]:
        """(height, width, 3) pixels of one frame."""
        time.sleep(self._options.seconds_per_step * controls.steps_run)
        paper = np.asarray(picture_of(controls.sketch, self._size), dtype=np.uint16)
        drawn = colour(controls.prompt, controls.seed, controls.strength, controls.steps)
        return ((paper + drawn) // 2).astype(np.uint8)


class SyntheticRollouts:
    """Streams of one colour a prompt, with a bar that moves on from frame to frame."""

    is_synthetic = True

    def __init__(self, options: RenderOptions) -> None:
        self._options = options

    def load(self, load: CanvasLoad) -> None:
        """Nothing is resident."""

    def begin(self, load: CanvasLoad, controls: CanvasControls, seed: int) -> "SyntheticRollout":
        """A stream of its own."""
        if load.stream is None:
            raise RenderFault("No stream is open here.", "Open a session first.")
        return SyntheticRollout(load.stream, self._options, controls, seed, (load.width, load.height))


class SyntheticRollout:
    """One stream: a step of a chunk sleeps, and its frames cost nothing."""

    def __init__(
        self,
        settings: StreamSettings,
        options: RenderOptions,
        controls: CanvasControls,
        seed: int,
        size: tuple[int, int],
    ) -> None:
        self._settings, self._options, self._seed, self._size = settings, options, seed, size
        self._prompt = controls.prompt
        self._chunk, self._latents, self._made = 0, 0, 0
        self._closed = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether it has all the frames that its method makes."""
        return not self._settings.chunk(self._chunk, self._latents)

    def change_prompt(self, prompt: str) -> None:
        """Lead it by another prompt from the next chunk on."""
        self._prompt = prompt

    def next_chunk(self) -> Iterator[NDArray[np.uint8]]:
        """Make the next chunk, and give its frames, (height, width, 3)."""
        for _ in self._settings.timesteps:
            if self._closed.wait(self._options.seconds_per_step):
                raise RenderCancelled
        count = self._settings.chunk(self._chunk, self._latents)
        frames = frames_of(count, opens=not self._chunk)
        self._chunk, self._latents = self._chunk + 1, self._latents + count
        return (self._frame(self._prompt) for _ in range(frames))

    def _frame(self, prompt: str) -> NDArray[np.uint8]:
        width, height = self._size
        pixels = np.broadcast_to(colour(prompt, self._seed), (height, width, 3)).copy()
        pixels[:, self._made * 8 % width :][:, :8] = 255
        self._made += 1
        return pixels

    def close(self) -> None:
        """End it at the next step."""
        self._closed.set()


def colour(*of: object) -> NDArray[np.uint8]:
    """A colour that comes of anything."""
    digest = hashlib.sha256("\n".join(map(str, of)).encode()).digest()
    return np.frombuffer(digest[:3], dtype=np.uint8)
