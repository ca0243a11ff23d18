"""Every clip method that renders: its tiny repositories, and the plain call as its card gives it.

The preset is the one of the method file, at float32 throughout. Presets that differ from another
by names, step count and size alone share one proof: ``STANDS_FOR`` says which.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import load_file

from policy.methods import MethodPreset
from tests.tiny_hub import clip_models, ltx2, unets
from tests.tiny_hub.planning import PROMPTS, SEEDS, SIZE
from tests.unit.registry.licensing import catalogue

SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"
MOTION, LIGHTNING = "guoyww/animatediff-motion-adapter-v1-5-2", "ByteDance/AnimateDiff-Lightning"
SMALL, A14B = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.2-T2V-A14B-Diffusers"
LTX2 = "Lightricks/LTX-2"
SEKO = "lightx2v/Wan2.2-Lightning"
SEKO_FOLDER = "Wan2.2-T2V-A14B-4steps-lora-rank64-Seko-V1.1"
MADE_FOR = {MOTION: (SD,), LIGHTNING: (SD,), SEKO: (A14B,)}
BUILT_IN_MOTION = (
    "emoji-64-motion",
    "emoji-64-motion-lcm",
)  # proved on their own weights: test_builtin_motion.py
WAN_FRAMES = 5
LTX_FRAMES = 9
LTX_OFF = {
    "guidance_scale": 1.0, "audio_guidance_scale": 1.0, "stg_scale": 0.0, "audio_stg_scale": 0.0,
    "modality_scale": 1.0, "audio_modality_scale": 1.0, "guidance_rescale": 0.0, "audio_guidance_rescale": 0.0,
}  # fmt: skip
HIGH, LOW = (f"{SEKO_FOLDER}/{expert}_noise_model.safetensors" for expert in ("high", "low"))


def shipped(name: str) -> MethodPreset:
    """The preset of the method file, with what tiny weights force."""
    return replace(catalogue().preset(name), dtypes=("float32",))


@dataclass(frozen=True)
class Family:
    """One published recipe at one of its step counts, and what the card's code does."""

    name: str  # of the preset
    steps: int
    frames: int
    plain: Callable[[Path], Any]  # the card's code, on the folder of the shelf

    @property
    def preset(self) -> MethodPreset:
        return shipped(self.name)


def write_shelf(root: Path) -> None:
    """Every base and what is added to it."""
    unets.write_sd(root / SD)
    clip_models.motion_adapter(9).save_pretrained(root / MOTION)
    clip_models.write_motion_files(root / LIGHTNING, *map(lightning_file, (1, 2, 4, 8)))
    clip_models.write_wan(root / SMALL, layers=30)
    clip_models.write_wan(root / A14B, layers=40, experts=2)
    ltx2.write_ltx2(root / LTX2)
    for seed, file in enumerate((HIGH, LOW)):
        clip_models.write_wan_lora(root / SEKO / file, root / A14B, seed)


def lightning_file(steps: int) -> str:
    return f"animatediff_lightning_{steps}step_diffusers.safetensors"


# --- what the cards do -------------------------------------------------------------------------


def called(pipeline: Any, **arguments: Any) -> Any:
    """The plain call on both prompts at their seeds."""
    torch.set_num_threads(1)
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    return pipeline(
        prompt=list(PROMPTS), width=SIZE, height=SIZE, generator=generators, output_type="np", **arguments
    ).frames


def animatediff(root: Path) -> Any:
    adapter = diffusers.MotionAdapter.from_pretrained(root / MOTION)
    pipeline = diffusers.AnimateDiffPipeline.from_pretrained(root / SD, motion_adapter=adapter)
    pipeline.scheduler = diffusers.DDIMScheduler.from_pretrained(
        root / SD, subfolder="scheduler", clip_sample=False, timestep_spacing="linspace", beta_schedule="linear",
        steps_offset=1,
    )  # fmt: skip
    return called(pipeline, num_frames=16, num_inference_steps=25, guidance_scale=7.5)


def lightning(file: int, steps: int) -> Callable[[Path], Any]:
    """AnimateDiff-Lightning's card: bare tensors into an adapter of the class's own making."""

    def plain(root: Path) -> Any:
        adapter = clip_models.motion_adapter(0)
        adapter.load_state_dict(load_file(root / LIGHTNING / lightning_file(file)))
        pipeline = diffusers.AnimateDiffPipeline.from_pretrained(root / SD, motion_adapter=adapter)
        pipeline.scheduler = diffusers.EulerDiscreteScheduler.from_config(
            pipeline.scheduler.config, timestep_spacing="trailing", beta_schedule="linear"
        )
        return called(pipeline, num_frames=16, num_inference_steps=steps, guidance_scale=1.0)

    return plain


def wan(root: Path) -> Any:
    return called(loaded(root, SMALL), num_frames=WAN_FRAMES, num_inference_steps=25, guidance_scale=5.0)


def wan_experts(root: Path) -> Any:
    """Wan 2.2's own settings: shift 12, guidance 4 for high noise and 3 for low."""
    pipeline = loaded(root, A14B)
    pipeline.scheduler = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=12.0, num_train_timesteps=1000
    )
    return called(
        pipeline, num_frames=WAN_FRAMES, num_inference_steps=25, guidance_scale=4.0, guidance_scale_2=3.0
    )


def wan_lightning(
    root: Path, *, high: str = HIGH, low: str = LOW, fused: tuple[str, ...] = ("transformer", "transformer_2")
) -> Any:
    """The card's LoRA on each expert, and its Euler grid handed to the scheduler outright."""

    class PublishedEuler(diffusers.FlowMatchEulerDiscreteScheduler):
        def set_timesteps(self, count: Any = None, device: Any = None, **_more: Any) -> None:
            super().set_timesteps(sigmas=torch.linspace(1, 0, count + 1)[:-1].tolist(), device=device)

    pipeline = loaded(root, A14B)
    for file, second in ((high, False), (low, True)):
        pipeline.load_lora_weights(
            root / SEKO, weight_name=file, adapter_name="lightning", load_into_transformer_2=second
        )
    pipeline.set_adapters("lightning", 1.0)
    pipeline.fuse_lora(components=list(fused), adapter_names=["lightning"])
    pipeline.scheduler = PublishedEuler(shift=5.0)
    return called(
        pipeline, num_frames=WAN_FRAMES, num_inference_steps=4, guidance_scale=1.0, guidance_scale_2=1.0
    )


def ltx_distilled(root: Path, **changes: Any) -> Any:
    """The documentation's two stages with sound, every knob at off: (frames, sound)."""
    from diffusers.pipelines.ltx2 import LTX2LatentUpsamplerModel
    from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES, STAGE_2_DISTILLED_SIGMA_VALUES

    torch.set_num_threads(1)
    folder = root / LTX2
    transformer = diffusers.LTX2VideoTransformer3DModel.from_single_file(
        str(folder / "ltx-2-19b-distilled.safetensors"), config=str(folder), subfolder="transformer",
        local_files_only=True,
    )  # fmt: skip
    pipeline = loaded(root, LTX2, transformer=transformer)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(
        pipeline.scheduler.config, use_dynamic_shifting=False, shift_terminal=None
    )
    shared: dict[str, Any] = {
        "prompt": list(PROMPTS), "num_frames": LTX_FRAMES, "frame_rate": 24.0, "return_dict": False,
        "generator": [torch.Generator().manual_seed(seed) for seed in SEEDS], **LTX_OFF, **changes,
    }  # fmt: skip
    half = {"width": SIZE // 2, "height": SIZE // 2}
    frames, sound = pipeline(**shared, **half, sigmas=DISTILLED_SIGMA_VALUES, output_type="latent")
    enlarge = diffusers.LTX2LatentUpsamplePipeline(
        vae=pipeline.vae,
        latent_upsampler=LTX2LatentUpsamplerModel.from_pretrained(folder / "latent_upsampler"),
    )
    enlarge.set_progress_bar_config(disable=True)
    (frames,) = enlarge(
        latents=frames, num_frames=LTX_FRAMES, **half, output_type="latent", return_dict=False
    )
    return pipeline(
        **shared, width=SIZE, height=SIZE, latents=frames, audio_latents=sound, num_inference_steps=3,
        sigmas=STAGE_2_DISTILLED_SIGMA_VALUES, noise_scale=STAGE_2_DISTILLED_SIGMA_VALUES[0], output_type="np",
    )  # fmt: skip


def loaded(root: Path, repo: str, **parts: Any) -> Any:
    return diffusers.DiffusionPipeline.from_pretrained(root / repo, dtype=torch.float32, **parts)


FAMILIES = (
    Family("animatediff-v1.5.2-full", 25, 16, animatediff),
    Family("animatediff-lightning-1step", 1, 16, lightning(1, 1)),
    Family("animatediff-lightning-2step", 3, 16, lightning(2, 3)),
    Family("animatediff-lightning-4step", 4, 16, lightning(4, 4)),
    Family("wan2.1-t2v-1.3b-full", 25, WAN_FRAMES, wan),
    Family("wan2.2-t2v-a14b-full", 25, WAN_FRAMES, wan_experts),
    Family("wan2.2-lightning-t2v-v1.1", 4, WAN_FRAMES, wan_lightning),
    Family("ltx-2-distilled", 8, LTX_FRAMES, lambda root: ltx_distilled(root)[0]),
)

# Proved by another: the same recipe with another file or repository, and its step count.
STANDS_FOR = {
    "animatediff-lightning-4step": ("animatediff-lightning-8step",),
    "wan2.1-t2v-1.3b-full": ("wan2.1-t2v-14b-full",),
    "wan2.2-lightning-t2v-v1.1": (
        "wan2.2-lightning-t2v-v1", "wan2.2-lightning-t2v-v2.0", "wan2.2-lightning-t2v-250928",
    ),
}  # fmt: skip
