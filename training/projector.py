"""Loads the motion adapter as it was packed and draws measured clips with it, through diffusers alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AnimateDiffPipeline, DDIMScheduler, LCMScheduler, MotionAdapter
from numpy.typing import NDArray

from training.clips import MOVED_STYLE, moving
from training.config import CLIP_FRAMES, PICTURE_SIZE
from training.lora import load_lora
from training.pictures import BACKGROUND_NAMES
from training.sampling import BASE, Setting
from training.subjects import article

MOTION = "emoji-64-motion"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipPrompt:
    """A prompt and what it asks for; `background` is an index of the backgrounds."""

    text: str
    noun: str
    background: int


def clip_prompts(names: Sequence[str], count: int, seed: int) -> list[ClipPrompt]:
    """Subjects in turn, backgrounds drawn, style and motion each named in half of them."""
    dice = random.Random(f"{seed}/clip prompts")
    order = dice.sample(list(names), len(names))
    prompts = []
    for number in range(count):
        noun = order[number % len(order)]
        background = dice.choice([0, 0, *range(1, len(BACKGROUND_NAMES))])
        text = f"{article(noun)} {noun}" + dice.choice(["", f", {MOVED_STYLE} style"])
        if background:
            text += f" on a {BACKGROUND_NAMES[background]} background"
        words = dice.choice([text, moving(text)])
        prompts.append(ClipPrompt(text=words, noun=noun, background=background))
    return prompts


class Projector:
    """A pipeline for each set of repositories, their LoRAs fused once as in the product."""

    def __init__(self, hub: Path, batch: int) -> None:
        self.hub = hub
        self.batch = batch
        self._pipes: dict[tuple[str, ...], AnimateDiffPipeline] = {}

    def pipe(self, repositories: tuple[str, ...]) -> AnimateDiffPipeline:
        """The pipeline in float32; the first repository holds the motion adapter, and each holds a LoRA."""
        if repositories not in self._pipes:
            adapter = MotionAdapter.from_pretrained(self.hub / repositories[0], torch_dtype=torch.float32)
            pipe = AnimateDiffPipeline.from_pretrained(
                self.hub / BASE, motion_adapter=adapter, torch_dtype=torch.float32
            )
            pipe.set_progress_bar_config(disable=True)
            names = [f"a{number}" for number in range(len(repositories))]
            for name, repository in zip(names, repositories, strict=True):
                load_lora(pipe, self.hub / repository, name)
            pipe.set_adapters(names, [1.0] * len(names))
            pipe.fuse_lora(adapter_names=names)
            self._pipes[repositories] = pipe
        return self._pipes[repositories]

    def show(self, setting: Setting, prompts: Sequence[str], seed: int) -> NDArray[np.uint8]:
        """A clip a prompt, uint8 (n, frames, 64, 64, 3); clip i of a call starts from the noise of seed+i."""
        pipe = self.pipe(setting.adapters)
        kind = {"ddim": DDIMScheduler, "lcm": LCMScheduler}[setting.scheduler]
        pipe.scheduler = kind.from_config(pipe.scheduler.config)
        parts = []
        for first in range(0, len(prompts), self.batch):
            words = list(prompts[first : first + self.batch])
            made = pipe(
                words,
                num_frames=CLIP_FRAMES,
                num_inference_steps=setting.steps,
                guidance_scale=setting.guidance,
                generator=[torch.Generator().manual_seed(seed + first + i) for i in range(len(words))],
                height=PICTURE_SIZE,
                width=PICTURE_SIZE,
                output_type="np",
            ).frames
            parts.append((np.asarray(made) * 255).round().astype(np.uint8))
        return np.concatenate(parts)
