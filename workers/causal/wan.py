"""A Wan transformer that runs chunk after chunk: the same weights, and a window of what came before.

Within a chunk every token sees every other, as the plain transformer has it; of other chunks
it sees the earlier ones alone, through their kept keys and values. Text is looked at through
keys and values too, worked out once a prompt.

Sources: Self Forcing (arXiv 2506.08009) and CausVid (arXiv 2412.07772) for the attention; the
layers follow diffusers 0.42.1, models/transformers/transformer_wan.py, to the rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from torch.nn.functional import scaled_dot_product_attention

from policy.errors import RenderFault
from policy.streams import Sampler, StreamSettings
from workers.causal.window import KeyValueWindow, WindowShape

Pair = tuple[torch.Tensor, torch.Tensor]
Places = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # of frames in the stream, of rows, of columns
See = Callable[
    [int, torch.Tensor, torch.Tensor], Pair
]  # in a layer: own keys and values to all that are seen


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptKeys:
    """What every layer looks at of one prompt: keys and values, (batch, tokens, heads, head size)."""

    layers: tuple[Pair, ...]


class CausalWan:
    """Runs the modules of a ``WanTransformer3DModel`` chunk by chunk; changes nothing about it.

    It holds nothing of any stream, so several streams may share one, in turn.
    """

    def __init__(self, model: Any) -> None:
        if model.config.image_dim is not None or model.config.patch_size[0] != 1:
            raise RenderFault(
                "This transformer also looks at a picture, or joins frames in a token.",
                "Stream with a text-to-video transformer of the Wan family.",
            )
        self.model = model
        self.heads: int = model.config.num_attention_heads
        self.head_size: int = model.config.attention_head_dim
        self.channels: int = model.config.in_channels

    @property
    def dtype(self) -> torch.dtype:
        return self.model.patch_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.model.patch_embedding.weight.device

    def window(self, settings: StreamSettings, size: tuple[int, int]) -> KeyValueWindow:
        """An empty window for latents of some (height, width); RenderFault where this model cannot run so."""
        if settings.older_are_coarse or settings.sampler is not Sampler.RENOISE:
            raise RenderFault(
                "A plain Wan transformer has no larger patches, and is not told where a step ends.",
                "Stream this preset with the transformer that it was published with.",
            )
        return KeyValueWindow(self.shape(settings, size), dtype=self.dtype, device=self.device)

    def shape(self, settings: StreamSettings, size: tuple[int, int]) -> WindowShape:
        """How large a window these settings take."""
        return WindowShape(
            layers=len(self.model.blocks),
            frames=settings.window,
            sink=settings.sink,
            tokens=tokens_of(size, self.model.config.patch_size),
            heads=self.heads,
            head_size=self.head_size,
        )

    @torch.no_grad()
    def prompt_keys(self, embeddings: torch.Tensor) -> PromptKeys:
        """Keys and values of a prompt's embeddings, (1, tokens, width of the text encoder)."""
        text = self.model.condition_embedder.text_embedder(embeddings.to(self.device, self.dtype))
        layers: list[Pair] = []
        for block in self.model.blocks:
            attention = block.attn2
            keys = self._by_head(attention.norm_k(attention.to_k(text)))
            layers.append((keys, self._by_head(attention.to_v(text))))
        return PromptKeys(layers=tuple(layers))

    @torch.no_grad()
    def velocity(
        self,
        latents: torch.Tensor,
        span: tuple[float, float],
        frames: Sequence[int],
        prompt: PromptKeys,
        window: KeyValueWindow,
    ) -> torch.Tensor:
        """The flow velocity (noise minus clean) of a chunk.

        ``latents`` are (1, channels, frames, height, width), ``frames`` their places in the whole
        stream. ``span`` is the timesteps (0 to 1000) where the step begins and ends; Wan asks for
        the first alone. The chunk's keys and values are left in the window, not yet counted in.
        """
        model = self.model
        _, rows, columns = model.config.patch_size
        height, width = latents.shape[-2] // rows, latents.shape[-1] // columns
        time, modulation = self._time(*span)
        places = (torch.tensor(frames), torch.arange(height), torch.arange(width))
        tokens = self._tokens(model.patch_embedding, latents)
        tokens = self._through(tokens, modulation, places, prompt, window.seen)
        shift, scale = (model.scale_shift_table + time.unsqueeze(1)).chunk(2, dim=1)
        tokens = (model.norm_out(tokens.float()) * (1 + scale) + shift).type_as(tokens)
        patches = model.proj_out(tokens).unflatten(1, (len(frames), height, width))
        patches = patches.unflatten(-1, (rows, columns, -1))  # batch, frame, row, column, in a patch, channel
        return patches.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)

    def _time(self, start: float, end: float) -> Pair:  # noqa: ARG002 - a flow map asks where a step ends
        """The embedding of a step, (1, width), and what it does to every layer, (1, 6, width)."""
        embedder = self.model.condition_embedder
        time = self._embedded(embedder.time_embedder, start)
        return time, embedder.time_proj(embedder.act_fn(time)).unflatten(1, (6, -1))

    def _embedded(self, embedder: Any, timestep: float) -> torch.Tensor:
        waves = self.model.condition_embedder.timesteps_proj(torch.tensor([timestep], device=self.device))
        return embedder(waves.to(next(iter(embedder.parameters())).dtype)).to(self.dtype)

    def _tokens(self, embedding: Any, latents: torch.Tensor) -> torch.Tensor:
        return embedding(latents.to(self.device, self.dtype)).flatten(2).transpose(1, 2).contiguous()

    def _through(
        self, tokens: torch.Tensor, modulation: torch.Tensor, places: Places, prompt: PromptKeys, see: See
    ) -> torch.Tensor:
        """A chunk's tokens through all layers."""
        turns = rotation(places, self.head_size, self.device)
        for layer, block in enumerate(self.model.blocks):
            tokens = self._layer(block, tokens, modulation, turns, prompt.layers[layer], partial(see, layer))
        return tokens

    def _layer(
        self,
        block: Any,
        tokens: torch.Tensor,
        modulation: torch.Tensor,
        turns: Pair,
        text: Pair,
        see: Callable[[torch.Tensor, torch.Tensor], Pair],
    ) -> torch.Tensor:
        """One layer over a chunk's tokens; sums and norms in 32 bits, as the layer itself has them."""
        shift, scale, gate, late_shift, late_scale, late_gate = (
            block.scale_shift_table + modulation.float()
        ).chunk(6, dim=1)
        own = block.attn1
        inner = (block.norm1(tokens.float()) * (1 + scale) + shift).type_as(tokens)
        queries = turned(self._by_head(own.norm_q(own.to_q(inner))), turns)
        keys = turned(self._by_head(own.norm_k(own.to_k(inner))), turns)
        seen = see(keys, self._by_head(own.to_v(inner)))
        tokens = (tokens.float() + self._attend(own, queries, seen) * gate).type_as(tokens)

        other = block.attn2
        inner = block.norm2(tokens.float()).type_as(tokens)
        tokens = tokens + self._attend(other, self._by_head(other.norm_q(other.to_q(inner))), text)

        inner = (block.norm3(tokens.float()) * (1 + late_scale) + late_shift).type_as(tokens)
        return (tokens.float() + block.ffn(inner).float() * late_gate).type_as(tokens)

    def _attend(self, attention: Any, queries: torch.Tensor, seen: Pair) -> torch.Tensor:
        keys, values = seen
        found = scaled_dot_product_attention(
            queries.to(self.dtype).transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)
        )
        return attention.to_out[0](found.transpose(1, 2).flatten(2, 3))

    def _by_head(self, projected: torch.Tensor) -> torch.Tensor:
        return projected.to(self.dtype).unflatten(2, (self.heads, -1))


def tokens_of(size: tuple[int, int], patch: Sequence[int]) -> int:
    """Tokens of a latent frame of some (height, width); RenderFault where patches do not fill it."""
    (height, width), (_, rows, columns) = size, patch
    if height % rows or width % columns:
        raise RenderFault(
            f"Latents of {width} x {height} do not divide into patches of {columns} x {rows}.",
            "Choose a size that the preset allows.",
        )
    return (height // rows) * (width // columns)


def rotation(places: Places, head_size: int, device: torch.device) -> Pair:
    """Cosines and sines of every token of a chunk, (1, tokens, 1, head size), in 32 bits.

    The angles are worked out for the places asked for, in 64 bits, and not read from a table,
    which would end: a stream may be longer than the 1024 frames that the model keeps one for.
    """
    side = 2 * (head_size // 6)
    sizes, counts = (head_size - 2 * side, side, side), [len(axis) for axis in places]
    cosines: list[torch.Tensor] = []
    sines: list[torch.Tensor] = []
    for number, (size, axis) in enumerate(zip(sizes, places, strict=True)):
        made = get_1d_rotary_pos_embed(
            size, axis.numpy(), use_real=True, repeat_interleave_real=True, freqs_dtype=torch.float64
        )
        row = [1, 1, 1, size]
        row[number] = len(axis)
        for kept, table in zip((cosines, sines), made, strict=True):
            kept.append(table.view(row).expand(*counts, size))
    cosine, sine = (torch.cat(parts, dim=-1).flatten(0, 2)[None, :, None] for parts in (cosines, sines))
    return cosine.to(device), sine.to(device)


def turned(heads: torch.Tensor, turns: Pair) -> torch.Tensor:
    """Queries or keys, each pair of numbers turned by the angle of its place."""
    cosine, sine = (table[..., 0::2] for table in turns)
    even, odd = heads[..., 0::2], heads[..., 1::2]
    pairs = torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1)
    return pairs.flatten(-2).type_as(heads)
