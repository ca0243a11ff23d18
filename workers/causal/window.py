"""The keys and values that a chunk looks back at: a sink that stays, and a ring behind it."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowShape:
    """How large a window is; nothing of it grows with the length of a stream."""

    layers: int
    frames: int  # latent frames, the chunk that is being made included
    sink: int  # of them, how many first ones stay for good
    tokens: int  # of a latent frame
    heads: int
    head_size: int
    batch: int = 1


class KeyValueWindow:
    """Keys and values of every layer, one slot a latent frame.

    Frame ``n`` since the window was emptied lies in slot ``n`` while there is room. After
    that the frames behind the sink go round as a ring, each in the place of the oldest. Keys
    carry their positions, so the order of slots means nothing, and what a chunk sees is
    always the slots from the first to the last one in use: no copy is made to read them.

    A chunk that is being made writes into the slots it will have, in every pass anew; only
    ``keep`` counts it in. A chunk that is given up leaves nothing that anything looks at.
    """

    def __init__(self, shape: WindowShape, *, dtype: torch.dtype, device: torch.device) -> None:
        size = (shape.batch, shape.frames * shape.tokens, shape.heads, shape.head_size)
        self.shape = shape
        self.kept = 0  # latent frames since the window was emptied
        self._keys = [torch.empty(size, dtype=dtype, device=device) for _ in range(shape.layers)]
        self._values = [torch.empty(size, dtype=dtype, device=device) for _ in range(shape.layers)]

    @property
    def bytes(self) -> int:
        """What the window takes, full or empty."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (*self._keys, *self._values))

    def seen(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put a chunk's own keys and values in place, and give back all that it sees.

        Takes and gives (batch, tokens, heads, head size).
        """
        frames = keys.shape[1] // self.shape.tokens
        for source, target in self._runs(frames):
            self._keys[layer][:, target] = keys[:, source]
            self._values[layer][:, target] = values[:, source]
        end = min(self.kept + frames, self.shape.frames) * self.shape.tokens
        return self._keys[layer][:, :end], self._values[layer][:, :end]

    def keep(self, frames: int) -> None:
        """Count the chunk in that was written last."""
        self.kept += frames

    def empty(self) -> None:
        """Forget everything; the memory stays."""
        self.kept = 0

    def _slot(self, frame: int) -> int:
        sink = self.shape.sink
        return frame if frame < sink else sink + (frame - sink) % (self.shape.frames - sink)

    def _runs(self, frames: int) -> Iterator[tuple[slice, slice]]:
        """Stretches of tokens of a chunk, each with the stretch of the window that it goes to."""
        slots = [self._slot(self.kept + number) for number in range(frames)]
        start = 0
        for number in range(1, frames + 1):
            if number == frames or slots[number] != slots[number - 1] + 1:
                yield self._tokens(start, number - start), self._tokens(slots[start], number - start)
                start = number

    def _tokens(self, first: int, frames: int) -> slice:
        return slice(first * self.shape.tokens, (first + frames) * self.shape.tokens)
