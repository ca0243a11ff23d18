"""Loads what was packed and draws measured pictures with it, as the product would."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, LCMScheduler, StableDiffusionPipeline
from numpy.typing import NDArray

from policy.methods import CacheSpec
from training.config import PICTURE_SIZE
from training.lora import load_lora
from training.pictures import ART, BACKGROUND_NAMES, Gallery
from training.subjects import STYLES, article
from workers.caches import cached

HUB = Path("registry/builtin/hub/rightstep")
BASE = "emoji-64"
STUDENT_LORA = "emoji-64-lcm-lora"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt and what it asks for; `style` is an index of the art sets, None where it is left open."""

    text: str
    subject: int
    style: int | None
    background: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One way to draw: which adapters, which scheduler, how many steps, how much guidance (1 is off)."""

    key: str
    label: str
    adapters: tuple[str, ...] = ()
    scheduler: str = "ddim"
    steps: int
    guidance: float
    broadcast: int = 1
    """Attention is computed every so many steps, and broadcast to those between."""

    @property
    def evaluations(self) -> int:
        """Denoiser evaluations for a picture."""
        return self.steps * (2 if self.guidance > 1 else 1)


@dataclass(frozen=True, slots=True)
class Drawn:
    """uint8 pictures (n, 64, 64, 3) and the seconds that one of them took in its batch."""

    pictures: NDArray[np.uint8]
    seconds: float


def measured_prompts(gallery: Gallery, count: int, seed: int, added_style: int | None = None) -> list[Prompt]:
    """Every subject in turn, style and background drawn; with an added style, its subjects and its word."""
    dice = random.Random(f"{seed}/prompts/{added_style}")
    subjects = [i for i in range(len(gallery.names)) if added_style is None or gallery.known[i, added_style]]
    prompts = []
    for number in range(count):
        subject = subjects[number % len(subjects)]
        style = dice.choice([None, *range(len(STYLES))]) if added_style is None else added_style
        background = dice.choice([0, 0, *range(1, len(BACKGROUND_NAMES))])
        noun = gallery.names[subject]
        text = f"{article(noun)} {noun}" + (f", {ART[style]} style" if style is not None else "")
        if background:
            text += f" on a {BACKGROUND_NAMES[background]} background"
        prompts.append(Prompt(text, subject, style, background))
    return prompts


def broadcast_of(setting: Setting) -> CacheSpec | None:
    """The cache of a setting: every attention of the denoiser, at all but the first and last steps."""
    if setting.broadcast == 1:
        return None
    within = (100, 900)
    return CacheSpec(
        class_name="PyramidAttentionBroadcastConfig",
        config=(
            ("cross_attention_block_skip_range", setting.broadcast),
            ("spatial_attention_block_skip_range", setting.broadcast),
        ),
        ranges=(
            ("cross_attention_timestep_skip_range", within),
            ("spatial_attention_timestep_skip_range", within),
        ),
        component="unet",
    )


class _Watch:
    """Knows the timestep that a denoiser was last asked for, while it is open."""

    def __init__(self, unet: torch.nn.Module) -> None:
        self._unet = unet
        self.timestep = 0.0

    def __enter__(self) -> None:
        self._hook = self._unet.register_forward_pre_hook(self._note)

    def __exit__(self, *_fault: object) -> None:
        self._hook.remove()

    def _note(self, _module: torch.nn.Module, values: tuple[object, ...]) -> None:
        self.timestep = float(torch.as_tensor(values[1]))


class Easel:
    """Draws with the packed weights; one pipeline for each set of adapters, fused once as in the product."""

    def __init__(self, hub: Path, batch: int) -> None:
        self.hub = hub
        self.batch = batch
        self._pipes: dict[tuple[str, ...], StableDiffusionPipeline] = {}

    def pipe(self, adapters: tuple[str, ...]) -> StableDiffusionPipeline:
        """The pipeline with these adapter repositories fused in, in float32."""
        if adapters not in self._pipes:
            pipe = StableDiffusionPipeline.from_pretrained(
                self.hub / BASE, torch_dtype=torch.float32, safety_checker=None
            )
            pipe.set_progress_bar_config(disable=True)
            names = [f"a{number}" for number in range(len(adapters))]
            for name, repository in zip(names, adapters, strict=True):
                load_lora(pipe, self.hub / repository, name)
            if adapters:
                pipe.set_adapters(names, [1.0] * len(names))
                pipe.fuse_lora(adapter_names=names)
            self._pipes[adapters] = pipe
        return self._pipes[adapters]

    def draw(self, setting: Setting, prompts: Sequence[str], seed: int) -> Drawn:
        """One picture a prompt; picture i of a call always starts from the noise of seed+i."""
        pipe = self.pipe(setting.adapters)
        kind = {"ddim": DDIMScheduler, "lcm": LCMScheduler}[setting.scheduler]
        pipe.scheduler = kind.from_config(pipe.scheduler.config)
        watch = _Watch(pipe.unet)
        parts = []
        began = time.monotonic()
        for first in range(0, len(prompts), self.batch):
            words = list(prompts[first : first + self.batch])
            noise = [torch.Generator().manual_seed(seed + first + i) for i in range(len(words))]
            with watch, cached(pipe, broadcast_of(setting), lambda: watch.timestep):
                made = pipe(
                    words,
                    num_inference_steps=setting.steps,
                    guidance_scale=setting.guidance,
                    generator=noise,
                    height=PICTURE_SIZE,
                    width=PICTURE_SIZE,
                    output_type="np",
                ).images
            parts.append((made * 255).round().astype(np.uint8))
        seconds = (time.monotonic() - began) / len(prompts)
        return Drawn(np.concatenate(parts), seconds)

    def first_picture_seconds(self, setting: Setting, repeats: int) -> float:
        """Median seconds for one picture alone, after one call that warms up."""
        alone = Easel(self.hub, 1)
        alone._pipes = self._pipes
        spent = sorted(alone.draw(setting, ["a fox"], 0).seconds for _ in range(repeats + 1))
        return spent[(repeats + 1) // 2]
