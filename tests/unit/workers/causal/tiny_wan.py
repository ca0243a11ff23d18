"""A tiny Wan with random weights, and the plain transformer under a mask to compare the causal one with."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import AnyFlowFARTransformer3DModel, WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanAttnProcessor

from policy.clips import Recache
from policy.streams import Sampler, StreamSettings, even_list, warped
from workers.renderer import RenderCancelled

SIZE = (4, 6)  # of the latents: 6 tokens a latent frame
CHANNELS, TEXT = 4, 8


def transformer(dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    torch.manual_seed(0)
    config = {
        "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": CHANNELS,
        "out_channels": CHANNELS, "text_dim": TEXT, "freq_dim": 16, "ffn_dim": 32, "num_layers": 2,
        "rope_max_seq_len": 128,
    }  # fmt: skip
    return WanTransformer3DModel(**config | changes).eval().to(dtype)


def far(**changes):
    torch.manual_seed(0)
    config = {
        "patch_size": (1, 2, 2), "compressed_patch_size": (1, 4, 4), "num_attention_heads": 2, "attention_head_dim": 16,
        "in_channels": CHANNELS, "out_channels": CHANNELS, "text_dim": TEXT, "freq_dim": 16, "ffn_dim": 32,
        "num_layers": 2, "rope_max_seq_len": 64,
    }  # fmt: skip
    return AnyFlowFARTransformer3DModel(**config | changes).eval()


def prompt(seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((1, 5, TEXT), generator=generator).to(dtype)


def settings(**changes: Any) -> StreamSettings:
    values: dict[str, Any] = {
        "sampler": Sampler.RENOISE,
        "timesteps": warped(even_list(4), 5.0),
        "latent_frames": 3,
        "first_latent_frames": 3,
        "window": 12,
        "sink": 0,
        "context_timestep": 0.0,
        "recache": Recache.NEVER,
        "older_are_coarse": False,
        "frame_rate": 16,
        "longest": None,
    }
    return StreamSettings(**values | changes)


class Masked(WanAttnProcessor):
    """Attention as diffusers has it, under a mask."""

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.mask = mask[None, None]

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, _none=None, rotary_emb=None):
        return super().__call__(attn, hidden_states, encoder_hidden_states, self.mask, rotary_emb)


class Placed(torch.nn.Module):
    """The positions of diffusers' own table, for frames that do not begin at 0 or are not in a row."""

    def __init__(self, rope: Any, frames: Sequence[int]) -> None:
        super().__init__()
        self.rope, self.frames = rope, frames

    def forward(self, latents: torch.Tensor) -> Any:
        _, _, _, height, width = latents.shape
        all_frames = latents.new_zeros((1, 1, max(self.frames) + 1, height, width))
        tables = self.rope(all_frames)
        tokens = (height // 2) * (width // 2)
        rows = [frame * tokens + token for frame in self.frames for token in range(tokens)]
        return tuple(table[:, rows] for table in tables)


def full_forward(
    model: Any,
    latents: torch.Tensor,
    timesteps: Sequence[float],
    sees: torch.Tensor,
    prompts: Sequence[torch.Tensor],
    *,
    leads: Sequence[int] | None = None,
    frames: Sequence[int] | None = None,
) -> torch.Tensor:
    """One plain forward over all latent frames: ``sees`` says which frame sees which, ``leads`` by which prompt."""
    count = latents.shape[2]
    tokens = (SIZE[0] // 2) * (SIZE[1] // 2)
    masked = copy.deepcopy(model)
    masked.rope = Placed(model.rope, frames or range(count))
    text = torch.cat(list(prompts), dim=1)
    each = prompts[0].shape[1]
    of_text = torch.arange(text.shape[1]) // each
    led = torch.tensor(leads or [0] * count).repeat_interleave(tokens)
    for block in masked.blocks:
        block.attn1.set_processor(Masked(sees.repeat_interleave(tokens, 0).repeat_interleave(tokens, 1)))
        block.attn2.set_processor(Masked(led[:, None] == of_text[None, :]))
    times = torch.tensor([list(timesteps)]).repeat_interleave(tokens, 1)
    with torch.no_grad():
        return masked(latents, times, text).sample


def seen_frames(frames: int, chunk: int, window: int, sink: int) -> torch.Tensor:
    """Which latent frame sees which: its chunk and the ones before, in the sink or among the last ones."""
    sees = torch.zeros((frames, frames), dtype=torch.bool)
    for frame in range(frames):
        end = min((frame // chunk + 1) * chunk, frames)
        for other in range(end):
            sees[frame, other] = other < sink or other >= end - (window - sink)
    return sees


class StopAt:
    """Raises at the n-th boundary."""

    def __init__(self, boundary: int) -> None:
        self.left = boundary

    def __call__(self, _: int) -> None:
        if self.left == 0:
            raise RenderCancelled
        self.left -= 1
