"""AnyFlow-FAR chunk after chunk: a flow map, and a past that is kept coarse once it left the window.

Its layers are those of Wan. It is told where a step ends as well as where it begins, and of
chunks that left the window it keeps keys and values in larger patches, which see none but such.
Source: diffusers 0.42.1, models/transformers/transformer_anyflow_far.py, whose pipeline reads
all of the past anew after every chunk; the numbers are the same, since coarse keys never change.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from policy.errors import RenderFault
from policy.streams import StreamSettings
from workers.causal.wan import CausalWan, Pair, PromptKeys, tokens_of
from workers.causal.window import KeyValueWindow, WindowShape


class CausalAnyFlow(CausalWan):
    """Runs the modules of an ``AnyFlowFARTransformer3DModel`` chunk by chunk."""

    def window(self, settings: StreamSettings, size: tuple[int, int]) -> KeyValueWindow:
        """An empty window with room for the coarse past of a stream; RenderFault where it is another's."""
        limit = self.model.config.full_chunk_limit * settings.latent_frames
        if not settings.older_are_coarse or settings.window != limit or settings.longest is None:
            raise RenderFault(
                f"This transformer keeps {limit} latent frames as they are and older ones coarse, to an end.",
                "Stream it by the preset that it was published with.",
            )
        return KeyValueWindow(self.shape(settings, size), dtype=self.dtype, device=self.device)

    def shape(self, settings: StreamSettings, size: tuple[int, int]) -> WindowShape:
        """How large a window these settings take."""
        return replace(
            super().shape(settings, size),
            coarse_frames=settings.longest_latents or 0,
            coarse_tokens=tokens_of(size, self.model.config.compressed_patch_size),
        )

    @torch.no_grad()
    def read_coarse(
        self,
        latents: torch.Tensor,
        timestep: float,
        frames: Sequence[int],
        prompt: PromptKeys,
        window: KeyValueWindow,
    ) -> None:
        """Leave a clean chunk's keys and values in the window in larger patches, not yet counted in."""
        _, rows, columns = self.model.config.compressed_patch_size
        height, width = latents.shape[-2] // rows, latents.shape[-1] // columns
        _, modulation = self._time(timestep, timestep)
        _, fine_rows, fine_columns = self.model.config.patch_size
        places = (
            torch.tensor(frames),
            middles(height, rows // fine_rows),
            middles(width, columns // fine_columns),
        )
        tokens = self._tokens(self.model.far_patch_embedding, latents)
        self._through(tokens, modulation, places, prompt, window.seen_coarse)

    def _time(self, start: float, end: float) -> Pair:
        embedder: Any = self.model.condition_embedder
        told = end if embedder.deltatime_type == "r" else start - end
        gate = embedder.delta_emb_gate.to(self.dtype)
        begun = self._embedded(embedder.time_embedder, start)
        time = (1 - gate) * begun + gate * self._embedded(embedder.delta_embedder, told)
        return time, embedder.time_proj(embedder.act_fn(time)).unflatten(1, (6, -1))


def middles(patches: int, fine: int) -> torch.Tensor:
    """Where larger patches lie among the fine ones that each covers: in their middle."""
    return torch.arange(patches, dtype=torch.float64) * fine + (fine - 1) / 2
