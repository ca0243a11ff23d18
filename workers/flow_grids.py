"""Flow-matching schedulers on the grids that few-step video models were distilled on.

The stock schedulers end their own grid near the smallest noise they know, which wastes
the last of four steps, and the Wan pipelines take no sigmas. So the grid is set here: even
in the unshifted noise level and without the end, linspace(1, 0, n + 1)[:-1], then warped
by the shift. With shift 5 and four steps: 1000, 937.5, 833.33, 625.
"""

from collections.abc import Sequence
from typing import Any

import diffusers

TRAINED_TIMESTEPS = 1000


def even_grid(steps: int) -> list[float]:
    """Noise levels from 1 down in equal steps, the final 0 left out; before any shift."""
    return [1 - step / steps for step in range(steps)]


def unwarped(timesteps: Sequence[float], shift: float) -> list[float]:
    """Noise levels that a shift warps to these timesteps of 0 to 1000."""
    return [value / (TRAINED_TIMESTEPS * shift - (shift - 1) * value) for value in timesteps]


class EvenGridFlowMatchEulerScheduler(diffusers.FlowMatchEulerDiscreteScheduler):
    """Euler steps on the even grid under the shift: what Wan2.2-Lightning was distilled with."""

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        if num_inference_steps is not None and sigmas is None and timesteps is None:
            sigmas = even_grid(num_inference_steps)
        super().set_timesteps(sigmas=sigmas, device=device, mu=mu, timesteps=timesteps)


class EvenGridFlowMatchRenoiseScheduler(diffusers.FlowMatchLCMScheduler):
    """Predict the clean sample, then noise it afresh for the next step: CausVid, Self Forcing and their kin.

    A step count takes the even grid under the shift; timesteps that are given stand as they
    are, since such a list is published warped already.
    """

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        if timesteps is not None:
            sigmas = unwarped(timesteps, self.shift)
        elif num_inference_steps is not None and sigmas is None:
            sigmas = even_grid(num_inference_steps)
        super().set_timesteps(sigmas=sigmas, device=device, mu=mu)


OWN = {made.__name__: made for made in (EvenGridFlowMatchEulerScheduler, EvenGridFlowMatchRenoiseScheduler)}
