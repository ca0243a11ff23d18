"""The noise process that teacher, student and styles share, and how captions become tensors."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from diffusers import DDIMScheduler
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from training.config import TEXT_LENGTH


def new_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise with v-prediction; trailing spacing starts at pure noise at any step count."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


class Noise:
    """Signal and noise shares by timestep: `signal[t]`, `noise[t]`, each (1000,)."""

    def __init__(self, scheduler: DDIMScheduler, device: str) -> None:
        self.power = scheduler.alphas_cumprod.to(device)
        self.signal = self.power.sqrt()
        self.noise = (1 - self.power).sqrt()

    def shares(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """Both shares, shaped to multiply (n, c, h, w)."""
        return self.signal[times].view(-1, 1, 1, 1), self.noise[times].view(-1, 1, 1, 1)

    def mixed(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Latents at these times."""
        signal, level = self.shares(times)
        return signal * clean + level * noise

    def velocity(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What the denoiser is to predict."""
        signal, level = self.shares(times)
        return signal * noise - level * clean

    def parts(self, velocity: Tensor, noisy: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """The clean latents and the noise that a predicted velocity stands for."""
        signal, level = self.shares(times)
        return signal * noisy - level * velocity, signal * velocity + level * noisy

    def weight(self, times: Tensor, cap: float) -> Tensor:
        """Min-SNR weights for a v-prediction loss, (n,)."""
        ratio = self.power[times] / (1 - self.power[times])
        return ratio.clamp(max=cap) / (ratio + 1)


def stratified_times(count: int, generator: torch.Generator) -> Tensor:
    """One time from each of `count` equal slices of 0..999, shuffled: a steadier loss than free draws."""
    slices = (torch.arange(count) + torch.rand((), generator=generator)) / count * 1000
    return (slices.long() % 1000)[torch.randperm(count, generator=generator)]


def token_ids(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Tensor:
    """Captions to ids, (n, 24)."""
    tokens = tokenizer(
        list(captions), padding="max_length", max_length=TEXT_LENGTH, truncation=True, return_tensors="pt"
    )
    ids: Tensor = tokens.input_ids
    return ids


def text_states(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Tensor:
    """Captions to hidden states, (n, 24, width)."""
    states: Tensor = encoder(token_ids(tokenizer, captions).to(encoder.device)).last_hidden_state
    return states


class Rounds:
    """Visits each of `count` entries once before any comes again; a position always gives the same entry."""

    def __init__(self, seed: str, count: int) -> None:
        self.seed = seed
        self.count = count
        self._orders: dict[int, list[int]] = {}

    def take(self, first: int, count: int) -> list[int]:
        """The entries at positions first..first+count-1."""
        return [self._order(p // self.count)[p % self.count] for p in range(first, first + count)]

    def _order(self, turn: int) -> list[int]:
        if turn not in self._orders:
            order = list(range(self.count))
            random.Random(f"{self.seed}/{turn}").shuffle(order)
            self._orders = {key: value for key, value in self._orders.items() if key == turn - 1} | {
                turn: order
            }
        return self._orders[turn]
