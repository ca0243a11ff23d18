"""Latents to frames, a latent frame at a time, by a decoder that remembers the ones before.

The decoder of Wan looks back in time through what each of its convolutions kept of the last
frames. ``AutoencoderKLWan.decode`` throws that away before and after every call, so chunks
decoded by it one by one lose three frames each and show seams. Here it is kept.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d, unpatchify
from numpy.typing import NDArray


class StreamDecoder:
    """Decodes one stream with an ``AutoencoderKLWan``; what it remembers is its own, not the autoencoder's.

    The first latent frame gives one frame, each later one gives four, with the same bits as
    one call of ``decode`` for the whole clip.
    """

    def __init__(self, vae: Any) -> None:
        self._vae = vae
        convolutions = sum(isinstance(module, WanCausalConv3d) for module in vae.decoder.modules())
        self._memory: list[torch.Tensor | str | None] = [None] * convolutions
        self._is_first = True
        weight = vae.post_quant_conv.weight
        self._device, self._dtype = weight.device, weight.dtype
        self._mean, self._spread = (
            torch.tensor(values, dtype=self._dtype, device=self._device).view(1, -1, 1, 1, 1)
            for values in (vae.config.latents_mean, vae.config.latents_std)
        )

    def frames(self, latents: torch.Tensor) -> Iterator[torch.Tensor]:
        """Latent frame after latent frame of normalised latents (1, channels, frames, height, width).

        Gives frames (1, 3, 1 or 4, height, width) from -1 to 1. What is not taken is not decoded, and
        later latents would then miss it.
        """
        for latent in latents.split(1, dim=2):
            yield self._decoded(latent)

    @torch.no_grad()
    def _decoded(self, latent: torch.Tensor) -> torch.Tensor:
        features = self._vae.post_quant_conv(restored(latent, self._mean, self._spread))
        found = self._vae.decoder(features, feat_cache=self._memory, feat_idx=[0], first_chunk=self._is_first)
        self._is_first = False
        if self._vae.config.patch_size is not None:
            found = unpatchify(found, patch_size=self._vae.config.patch_size)
        return found.clamp(-1.0, 1.0)


def restored(latents: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Normalised latents as the autoencoder has them, by the very operations of ``WanPipeline``."""
    return latents.to(mean.device, mean.dtype) / (1.0 / spread) + mean


def pixels_of(frames: torch.Tensor) -> NDArray[np.uint8]:
    """Frames (1, 3, frames, height, width) from -1 to 1 as (frames, height, width, 3) of 8 bits."""
    levels = (frames[0].float() * 0.5 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
    return levels.permute(1, 2, 3, 0).contiguous().cpu().numpy()
