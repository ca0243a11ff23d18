"""The built-in motion adapter in plain diffusers, with nothing of ours in between: its clips bounce."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AnimateDiffPipeline, MotionAdapter

from registry.catalogue import load_catalogue
from registry.sources import builtin_source
from training.tracks import likeness

BASE, MOTION = "rightstep/emoji-64", "rightstep/emoji-64-motion"
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
    presets = [preset for preset in load_catalogue().presets if preset.family == "animatediff"]
    assert {preset.name for preset in presets} == {"emoji-64-motion", "emoji-64-motion-lcm"}
    for preset in presets:
        assert {part.file for part in preset.parts if part.repo == MOTION} <= shipped
