"""The built-in motion adapter in plain diffusers, with nothing of ours in between: its clips bounce."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AnimateDiffPipeline, DDIMScheduler, LCMScheduler, MotionAdapter

from policy.tiers import ServiceTier
from registry.catalogue import load_catalogue
from registry.sources import builtin_source
from tests.integration.workers.clip_families import BUILT_IN_MOTION
from tests.tiny_hub import planning
from training.tracks import likeness
from workers.renderer import RenderOptions, make_renderer

BASE, MOTION = "rightstep/emoji-64", "rightstep/emoji-64-motion"
LCM = "rightstep/emoji-64-lcm-lora"
PROMPTS = ["a fox on a white background, bouncing", "a penguin on a yellow background, bouncing"]


def draw() -> np.ndarray:
    source = builtin_source()
    base, motion = (Path(source.locate(repo)) for repo in (BASE, MOTION))
    adapter = MotionAdapter.from_pretrained(motion, torch_dtype=torch.float32)
    pipe = AnimateDiffPipeline.from_pretrained(base, motion_adapter=adapter, torch_dtype=torch.float32)
    pipe.load_lora_weights(str(motion), weight_name="pytorch_lora_weights.safetensors")
    pipe.fuse_lora()
    pipe.set_progress_bar_config(disable=True)
    made = pipe(
        PROMPTS,
        num_frames=8,
        height=64,
        width=64,
        num_inference_steps=5,
        guidance_scale=3.0,
        generator=[torch.Generator().manual_seed(seed) for seed in (5, 6)],
        output_type="np",
    )
    return (np.asarray(made.frames) * 255).round().astype(np.uint8)


def test_a_clip_of_the_built_in_adapter_rises_and_falls():
    found = [likeness(clip) for clip in draw()]
    assert min(one.correlation for one in found) > 0.7
    assert min(one.reach for one in found) > 0.4


def test_the_presets_name_the_files_that_ship():
    shipped = {file.path for file in builtin_source().listing(MOTION).files}
    presets = [preset for preset in load_catalogue().presets if MOTION in preset.repos]
    assert {preset.name for preset in presets} == set(BUILT_IN_MOTION)
    for preset in presets:
        assert {part.file for part in preset.parts if part.repo == MOTION} <= shipped


def plain(guidance: float, scheduler: Any, *loras: str) -> np.ndarray:
    """Two clips of eight frames in four steps by the code of the card, with these LoRAs fused in."""
    torch.set_num_threads(1)
    source = builtin_source()
    base, motion = (Path(source.locate(repo)) for repo in (BASE, MOTION))
    adapter = MotionAdapter.from_pretrained(motion, torch_dtype=torch.float32)
    pipe = AnimateDiffPipeline.from_pretrained(base, motion_adapter=adapter, torch_dtype=torch.float32)
    for repo in loras:
        name = repo.partition("/")[2]
        weights = "pytorch_lora_weights.safetensors"
        pipe.load_lora_weights(str(source.locate(repo)), weight_name=weights, adapter_name=name)
    pipe.set_adapters([repo.partition("/")[2] for repo in loras], [1.0] * len(loras))
    pipe.fuse_lora(adapter_names=[repo.partition("/")[2] for repo in loras])
    pipe.unload_lora_weights()
    pipe.scheduler = scheduler(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return np.asarray(
        pipe(
            list(planning.PROMPTS),
            num_frames=8,
            height=64,
            width=64,
            num_inference_steps=4,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in planning.SEEDS],
            output_type="np",
        ).frames
    )


@pytest.mark.parametrize(
    ("method", "tier", "expected"),
    [
        ("emoji-64-motion", ServiceTier.BATCH, lambda: plain(3.0, DDIMScheduler.from_config, MOTION)),
        ("emoji-64-motion-lcm", ServiceTier.INTERACTIVE, lambda: plain(1.0, student_scheduler, MOTION, LCM)),
    ],
)
def test_the_renderer_makes_the_clips_of_the_card_bit_for_bit(
    method: str, tier: ServiceTier, expected: Callable[[], np.ndarray]
):
    root = Path(builtin_source().locate(BASE)).parents[1]
    task = planning.task_on(root, load_catalogue(), BASE, 4, method, tier=tier, frames=8, width=64, height=64)
    renderer = make_renderer(RenderOptions(threads=1))
    renderer.load(task.load)
    found = renderer.render(task, lambda _step: None).pictures
    assert found.shape == (2, 8, 64, 64, 3)
    assert np.array_equal(found, expected())


def student_scheduler(config: Any) -> LCMScheduler:
    return LCMScheduler.from_config(config, original_inference_steps=50, timestep_scaling=10.0)
