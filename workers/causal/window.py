"""The keys and values that a chunk looks back at: a sink that stays, a ring, and coarse older frames."""

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
    coarse_frames: int = 0  # latent frames that are kept in larger patches once they left the rest
    coarse_tokens: int = 0  # of such a frame


class KeyValueWindow:
    """Keys and values of every layer, one slot a latent frame.

    Frame ``n`` since the window was emptied lies in slot ``n`` while there is room. After
    that the frames behind the sink go round as a ring, each in the place of the oldest. Keys
    carry their positions, so the order of slots means nothing, and what a chunk sees is
    always the slots from the first to the last one in use: no copy is made to read them.
    Coarse frames fill the room before the first slot, from its end.

    A chunk that is being made writes into the slots it will have, in every pass anew; only
    ``keep`` counts it in. A chunk that is given up leaves nothing that anything looks at.
    """

    def __init__(self, shape: WindowShape, *, dtype: torch.dtype, device: torch.device) -> None:
        self._first = shape.coarse_frames * shape.coarse_tokens  # token of the first slot
        size = (1, self._first + shape.frames * shape.tokens, shape.heads, shape.head_size)
        self.shape = shape
        self.kept = 0  # latent frames since the window was emptied
        self.coarse = 0  # of them, how many are kept in larger patches
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
        end = self._first + min(self.kept + frames, self.shape.frames) * self.shape.tokens
        seen = slice(self._first - self.coarse * self.shape.coarse_tokens, end)
        return self._keys[layer][:, seen], self._values[layer][:, seen]

    def seen_coarse(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same for a chunk in larger patches, which sees none but such."""
        end = self._first - self.coarse * self.shape.coarse_tokens
        start = end - keys.shape[1]
        self._keys[layer][:, start:end] = keys
        self._values[layer][:, start:end] = values
        return self._keys[layer][:, start : self._first], self._values[layer][:, start : self._first]

    def keep(self, frames: int) -> None:
        """Count the chunk in that was written last."""
        self.kept += frames

    def keep_coarse(self, frames: int) -> None:
        """Count the chunk in that was written last in larger patches."""
        self.coarse += frames

    def empty(self, *, coarse: bool = False) -> None:
        """Forget everything but coarse frames, or those too; the memory stays."""
        self.kept = 0
        self.coarse = 0 if coarse else self.coarse

    def _slot(self, frame: int) -> int:
        sink = self.shape.sink
        return frame if frame < sink else sink + (frame - sink) % (self.shape.frames - sink)

    def _runs(self, frames: int) -> Iterator[tuple[slice, slice]]:
        """Stretches of tokens of a chunk, each with the stretch of the window that it goes to."""
        slots = [self._slot(self.kept + number) for number in range(frames)]
        start = 0
        for number in range(1, frames + 1):
            if number == frames or slots[number] != slots[number - 1] + 1:
                source = self._tokens(start, number - start)
                target = self._tokens(slots[start], number - start)
                yield source, slice(self._first + target.start, self._first + target.stop)
                start = number

    def _tokens(self, first: int, frames: int) -> slice:
        return slice(first * self.shape.tokens, (first + frames) * self.shape.tokens)
