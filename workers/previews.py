"""What a picture looks like on its way: the scheduler's newest guess of it, decoded when somebody asks."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch

from workers.renderer import Pictures

LATENT_DIMENSIONS = 4  # batch, channels, height, width; packed and video latents are not decoded here


class PreviewWatch:
    """Watches a pipeline's scheduler, which tells with every step what it takes the end to be.

    Schedulers that tell none leave the latents themselves: noisier, and as true. Nothing is
    computed before ``pictures`` is asked, and nothing that is drawn changes by it.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._guess: torch.Tensor | None = None
        pipeline.scheduler.step = self._watched(pipeline.scheduler.step)

    def _watched(self, step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(step)  # pipelines look at the signature to see what they may pass
        def watched(*values: Any, **named: Any) -> Any:
            made = step(*values, **named)
            told = made[1] if isinstance(made, tuple) and len(made) > 1 else None
            self._guess = told if isinstance(told, torch.Tensor) else None
            return made

        return watched

    def pictures(self, latents: torch.Tensor) -> Pictures | None:
        """(pictures, height, width, 3) floats 0..1 after the step that left ``latents``.

        None where this pipeline's latents are no pictures to its autoencoder as they stand.
        """
        guess = latents if self._guess is None or self._guess.shape != latents.shape else self._guess
        return decoded(getattr(self._pipeline, "vae", None), guess)


def decoded(autoencoder: Any, latents: torch.Tensor) -> Pictures | None:
    """Latents as an image pipeline would decode them; None where the autoencoder is of another kind.

    One that overflows in half precision (``force_upcast``) is left alone: a copy in full
    precision costs more than a preview is worth.
    """
    config: Any = getattr(autoencoder, "config", None)
    factor = getattr(config, "scaling_factor", None)
    if (
        config is None
        or factor is None
        or latents.ndim != LATENT_DIMENSIONS
        or latents.shape[1] != config.latent_channels
    ):
        return None
    if getattr(config, "force_upcast", False) and autoencoder.dtype is torch.float16:
        return None
    if getattr(config, "latents_mean", None) is not None:
        return None  # such latents are normalised by channel; the pipelines here have none
    with torch.no_grad():
        shifted = latents.to(autoencoder.dtype) / factor + (getattr(config, "shift_factor", None) or 0.0)
        made = autoencoder.decode(shifted, return_dict=False)[0]
    return np.asarray((made / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).float().cpu())
