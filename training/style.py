"""Trains a style LoRA: the teacher's own loss on another art set, with everything but the LoRA frozen."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextModel, CLIPTokenizer

from training.checkpoints import Average, Dice, State, new_optimiser
from training.config import StylePlan
from training.diffusion import Noise, Rounds, new_scheduler
from training.lora import add_lora
from training.shards import Shards
from training.teacher import Lessons, learn_denoising, lesson_batch

_SNR_CAP = 5.0
_NAMED_SHARE = 0.85
"""Most captions name the style, so that its word becomes a trigger; for the rest the LoRA alone must do."""


class StyleStage:
    """No caption is empty: guidance keeps the teacher's unguided half, only nudged by the LoRA."""

    def __init__(
        self,
        plan: StylePlan,
        lessons: Lessons,
        unet: UNet2DConditionModel,
        text: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        seed: str,
        device: str,
        cores: int,
    ) -> None:
        self.plan = plan
        self.lessons = lessons
        self.tokenizer = tokenizer
        self.device = device
        self.noise = Noise(new_scheduler(), device)
        self.rounds = Rounds(seed, len(lessons.entries))
        unet.set_attn_processor(AttnProcessor())
        self.parameters = add_lora(unet, plan.rank)
        self.unet = unet.to(device, memory_format=torch.channels_last)
        text = text.to(device).eval().requires_grad_(requires_grad=False)
        self.shards = Shards([self.unet, text], cores)
        self.average = Average(self.parameters, plan.average)
        self.optimiser = new_optimiser(self.parameters, plan.schedule.peak)

    def advance(self, step: int, rate: float, dice: Dice) -> Mapping[str, float]:
        """One step on a batch of the new art."""
        self.optimiser.param_groups[0]["lr"] = rate
        clean, words = lesson_batch(self.lessons, self.rounds, step, self.plan.batch, dice, _NAMED_SHARE)
        figures = learn_denoising(self.shards, self.tokenizer, self.noise, clean, words, _SNR_CAP, dice)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.average.follow(step)
        return figures

    def state(self) -> State:
        return {
            "lora": [parameter.detach() for parameter in self.parameters],
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
        }

    @torch.no_grad()
    def restore(self, state: State) -> None:
        for parameter, value in zip(self.parameters, state["lora"], strict=True):
            parameter.copy_(value)
        self.average.values = [value.to(self.device) for value in state["average"]]
        self.optimiser.load_state_dict(state["optimiser"])

    def finished(self) -> UNet2DConditionModel:
        """The denoiser with the averaged LoRA attached, on the CPU."""
        self.average.swap()
        return self.unet.to("cpu", memory_format=torch.contiguous_format).eval()
