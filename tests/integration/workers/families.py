"""Every image method that ships: its tiny repositories, and the plain call as its card gives it.

The preset is the one of the method file. Only what tiny weights force is changed: float32
throughout, and no rounding of the size. Presets that differ from another by names, step count
and size alone share one proof: ``STANDS_FOR`` says which.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import load_file

from policy.methods import MethodPreset
from tests.tiny_hub import transformers, unets
from tests.tiny_hub.planning import PROMPTS, SEEDS, SIZE
from tests.unit.registry.licensing import catalogue

SD, XL = "stable-diffusion-v1-5/stable-diffusion-v1-5", "stabilityai/stable-diffusion-xl-base-1.0"
SSD, DREAMSHAPER = "segmind/SSD-1B", "SimianLuo/LCM_Dreamshaper_v7"
LCM_XL, LCM_SSD = "latent-consistency/lcm-sdxl", "latent-consistency/lcm-ssd-1b"
DEV, SCHNELL = "black-forest-labs/FLUX.1-dev", "black-forest-labs/FLUX.1-schnell"
KLEIN = "black-forest-labs/FLUX.2-klein-4B"
KLEIN_KV, KLEIN_BASE = "black-forest-labs/FLUX.2-klein-9b-kv", "black-forest-labs/FLUX.2-klein-base-4B"
Z, QWEN = "Tongyi-MAI/Z-Image-Turbo", "Qwen/Qwen-Image"
SD3 = "stabilityai/stable-diffusion-3-medium-diffusers"
SANA = "Efficient-Large-Model/Sana_Sprint_0.6B_1024px_diffusers"
KREA, KREA_RAW = "krea/Krea-2-Turbo", "krea/Krea-2-Raw"
TURBO, XL_TURBO = "stabilityai/sd-turbo", "stabilityai/sdxl-turbo"
LIGHTNING, HYPER, DMD2 = "ByteDance/SDXL-Lightning", "ByteDance/Hyper-SD", "tianweiy/DMD2"
QWEN_LIGHTNING = "lightx2v/Qwen-Image-Lightning"
LORA = "pytorch_lora_weights.safetensors"
MADE_FOR = {
    "latent-consistency/lcm-lora-sdv1-5": (SD,), "latent-consistency/lcm-lora-sdxl": (XL,),
    "latent-consistency/lcm-lora-ssd-1b": (SSD,), LCM_XL: (XL,), LCM_SSD: (SSD,), LIGHTNING: (XL,), DMD2: (XL,),
    HYPER: (SD, XL, SD3, DEV), QWEN_LIGHTNING: (QWEN,),
}  # fmt: skip


def shipped(name: str) -> MethodPreset:
    """The preset of the method file, with what tiny weights force."""
    preset = catalogue().preset(name)
    call = dict(preset.call)
    if preset.pipeline == "SanaSprintPipeline":
        call["use_resolution_binning"] = False  # it would draw 1024 pixels and shrink them
    return replace(preset, dtypes=("float32",), call=tuple(sorted(call.items())))


@dataclass(frozen=True)
class Family:
    """One published recipe: the preset that ships, at one of its step counts, and what the card's code does."""

    name: str  # of the preset
    steps: int
    plain: Callable[[Path], Any]  # the card's code, on the folder of the shelf

    @property
    def preset(self) -> MethodPreset:
        return shipped(self.name)


# --- the shelf ---------------------------------------------------------------------------------


def write_bases(root: Path) -> None:
    """Every base and full model on a shelf."""
    from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler

    unets.write_sd(root / SD)
    unets.write_xl(root / XL)
    unets.write_xl(root / SSD, unet=unets.ssd_unet())
    unets.write_sd(root / DREAMSHAPER, unet=unets.sd_unet(time_cond_proj_dim=8), lcm=True,
                   scheduler=diffusers.LCMScheduler(**unets.BETAS, set_alpha_to_one=True))  # fmt: skip
    trailing = unets.BETAS | {"timestep_spacing": "trailing"}
    unets.write_xl(root / XL_TURBO, scheduler=EulerAncestralDiscreteScheduler(**trailing), variant="fp16")
    unets.write_sd(root / TURBO, unet=unets.sd_unet(use_linear_projection=True),
                   scheduler=EulerDiscreteScheduler(**trailing))  # fmt: skip
    transformers.write_flux(root / DEV, distilled=False)
    transformers.write_flux(root / SCHNELL, distilled=True)
    transformers.write_sd3(root / SD3)
    transformers.write_z_image(root / Z)
    transformers.write_klein(root / KLEIN)
    transformers.write_klein(root / KLEIN_KV, pipeline="Flux2KleinKVPipeline")
    transformers.write_klein(root / KLEIN_BASE, distilled=False)
    transformers.write_qwen_image(root / QWEN)
    transformers.write_sana(root / SANA)
    transformers.write_krea2(root / KREA, distilled=True)
    transformers.write_krea2(root / KREA_RAW, distilled=False)


def write_additions(root: Path) -> None:
    """LoRAs and single-file UNets under the published names; on SDXL most LoRAs are narrowed to spare time."""
    narrow = ("to_k",)
    for number, (folder, file, base, targets) in enumerate((
        ("latent-consistency/lcm-lora-sdv1-5", LORA, SD, None),
        ("latent-consistency/lcm-lora-sdxl", LORA, XL, narrow),
        ("latent-consistency/lcm-lora-ssd-1b", LORA, SSD, narrow),
        (LIGHTNING, "sdxl_lightning_4step_lora.safetensors", XL, narrow),
        (HYPER, "Hyper-SDXL-4steps-lora.safetensors", XL, None),
        (HYPER, "Hyper-SDXL-1step-lora.safetensors", XL, narrow),
        (HYPER, "Hyper-SDXL-8steps-CFG-lora.safetensors", XL, narrow),
        (HYPER, "Hyper-SD15-4steps-lora.safetensors", SD, None),
        (HYPER, "Hyper-SD15-1step-lora.safetensors", SD, None),
        (HYPER, "Hyper-SD15-8steps-CFG-lora.safetensors", SD, None),
        (DMD2, "dmd2_sdxl_4step_lora_fp16.safetensors", XL, narrow),
    )):  # fmt: skip
        unets.write_lora(root / folder / file, root / base, number, targets=targets, style="kohya")
    for file, base, repo, style in (
        ("Hyper-FLUX.1-dev-8steps-lora.safetensors", DEV, HYPER, "peft"),
        ("Hyper-SD3-8steps-CFG-lora.safetensors", SD3, HYPER, "peft"),
        ("Qwen-Image-Lightning-4steps-V2.0.safetensors", QWEN, QWEN_LIGHTNING, "alphas"),
    ):
        unets.write_lora(root / repo / file, root / base, 8, component="transformer", style=style)
    for seed, path in enumerate((
        root / LIGHTNING / "sdxl_lightning_4step_unet.safetensors",
        root / LIGHTNING / "sdxl_lightning_1step_unet_x0.safetensors",
        root / HYPER / "Hyper-SDXL-1step-Unet.safetensors",
        root / DMD2 / "dmd2_sdxl_4step_unet_fp16.safetensors",  # as imported: published as pickles
        root / DMD2 / "dmd2_sdxl_1step_unet_fp16.safetensors",
    )):  # fmt: skip
        unets.write_unet_file(path, root / XL, 20 + seed)
    unets.xl_unet(time_cond_proj_dim=8).save_pretrained(root / LCM_XL)
    unets.ssd_unet(time_cond_proj_dim=8).save_pretrained(root / LCM_SSD)


# --- what the cards do -------------------------------------------------------------------------


def called(pipeline: Any, **arguments: Any) -> Any:
    """The plain call on both prompts at their seeds."""
    torch.set_num_threads(1)
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    return pipeline(
        prompt=list(PROMPTS), width=SIZE, height=SIZE, generator=generators, output_type="np", **arguments
    ).images


def loaded(root: Path, repo: str, dtype: torch.dtype = torch.float32, **parts: Any) -> Any:
    return diffusers.DiffusionPipeline.from_pretrained(root / repo, dtype=dtype, **parts)


def as_is(base: str, steps: int, **arguments: Any) -> Callable[[Path], Any]:
    """A card that loads the repository and calls it."""
    variant = {"variant": "fp16"} if base == XL_TURBO else {}
    return lambda root: called(loaded(root, base, **variant), num_inference_steps=steps, **arguments)


def with_lora(
    repo: str, file: str, base: str, steps: int, scheduler: Any, *, scale: float = 1.0,
    changes: Mapping[str, Any] | None = None, **arguments: Any,
) -> Callable[[Path], Any]:  # fmt: skip
    """A card that loads a LoRA, fuses it and changes the scheduler."""

    def plain(root: Path) -> Any:
        pipeline = loaded(root, base)
        pipeline.load_lora_weights(root / repo, weight_name=file, adapter_name="lora")
        pipeline.set_adapters(["lora"], adapter_weights=[scale])
        pipeline.fuse_lora(adapter_names=["lora"])
        if scheduler is not None:
            pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **(changes or {}))
        return called(pipeline, num_inference_steps=steps, **arguments)

    return plain


def with_unet(
    repo: str, file: str, steps: int, scheduler: Any, changes: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32, **arguments: Any,
) -> Callable[[Path], Any]:  # fmt: skip
    """A card that loads one file into the configuration of SDXL's own UNet."""

    def plain(root: Path) -> Any:
        made = diffusers.UNet2DConditionModel
        unet = made.from_config(made.load_config(root / XL, subfolder="unet"))
        unet.load_state_dict(load_file(root / repo / file))
        pipeline = loaded(root, XL, dtype, unet=unet.to(dtype).eval())
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **(changes or {}))
        return called(pipeline, num_inference_steps=steps, **arguments)

    return plain


def lcm_unet(repo: str, base: str) -> Callable[[Path], Any]:
    def plain(root: Path) -> Any:
        unet = diffusers.UNet2DConditionModel.from_pretrained(root / repo)
        pipeline = loaded(root, base, unet=unet)
        pipeline.scheduler = diffusers.LCMScheduler.from_config(pipeline.scheduler.config)
        return called(pipeline, num_inference_steps=4, guidance_scale=8.0)

    return plain


def first_block(base: str, steps: int, **arguments: Any) -> Callable[[Path], Any]:
    """The documentation's way of caching a transformer."""

    def plain(root: Path) -> Any:
        pipeline = loaded(root, base)
        pipeline.transformer.enable_cache(diffusers.FirstBlockCacheConfig(threshold=0.05))
        return called(pipeline, num_inference_steps=steps, **arguments)

    return plain


def broadcast(base: str, component: str, steps: int, **arguments: Any) -> Callable[[Path], Any]:
    """The documentation's way of sharing attention between steps."""

    def plain(root: Path) -> Any:
        from diffusers.hooks import apply_pyramid_attention_broadcast

        pipeline = loaded(root, base)
        module, now = getattr(pipeline, component), {"timestep": 0.0}

        def note(_module: Any, values: tuple[Any, ...], named: dict[str, Any]) -> None:
            told = values[1] if len(values) > 1 else named["timestep"]
            now["timestep"] = float(torch.as_tensor(told).flatten()[0])

        module.register_forward_pre_hook(note, with_kwargs=True)
        config = diffusers.PyramidAttentionBroadcastConfig(
            spatial_attention_block_skip_range=2,
            cross_attention_block_skip_range=2,
            current_timestep_callback=lambda: now["timestep"],
        )
        apply_pyramid_attention_broadcast(module, config)
        return called(pipeline, num_inference_steps=steps, **arguments)

    return plain


QWEN_SHIFT = {
    "base_image_seq_len": 256, "base_shift": math.log(3), "max_shift": math.log(3), "max_image_seq_len": 8192,
    "shift": 1.0, "time_shift_type": "exponential", "use_dynamic_shifting": True, "num_train_timesteps": 1000,
}  # fmt: skip


def qwen_lightning(root: Path) -> Any:
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(QWEN_SHIFT | {"shift_terminal": None})
    pipeline = loaded(root, QWEN, scheduler=scheduler)
    file = "Qwen-Image-Lightning-4steps-V2.0.safetensors"
    pipeline.load_lora_weights(root / QWEN_LIGHTNING, weight_name=file)
    return called(pipeline, negative_prompt=[" "] * 2, num_inference_steps=4, true_cfg_scale=1.0)


TRAILING = {"timestep_spacing": "trailing"}
X0 = TRAILING | {"prediction_type": "sample"}
EULER, DDIM = diffusers.EulerDiscreteScheduler, diffusers.DDIMScheduler
LCM, TCD = diffusers.LCMScheduler, diffusers.TCDScheduler
FOUR = [999, 749, 499, 249]
BLANK = [" "] * 2
FEWEST = 25  # of the full step counts, the cheapest to prove


def lcm_lora(name: str, base: str) -> Family:
    return Family(name, 4, with_lora(f"latent-consistency/{name}", LORA, base, 4, LCM, guidance_scale=1.0))


def hyper(name: str, file: str, base: str, steps: int, made: Any, changes: Any, **call: Any) -> Family:
    return Family(name, steps, with_lora(HYPER, file, base, steps, made, changes=changes, **call))


FAMILIES = (
    lcm_lora("lcm-lora-sdv1-5", SD),
    lcm_lora("lcm-lora-sdxl", XL),
    lcm_lora("lcm-lora-ssd-1b", SSD),
    Family("lcm-sdxl", 4, lcm_unet(LCM_XL, XL)),
    Family("lcm-ssd-1b", 4, lcm_unet(LCM_SSD, SSD)),
    Family("lcm-dreamshaper-v7", 4, as_is(DREAMSHAPER, 4, guidance_scale=8.0)),
    Family("sdxl-turbo", 1, as_is(XL_TURBO, 1, guidance_scale=0.0)),
    Family("sd-turbo", 2, as_is(TURBO, 2, guidance_scale=0.0)),
    Family("sdxl-lightning-4step",
           4, with_unet(LIGHTNING, "sdxl_lightning_4step_unet.safetensors", 4, EULER, TRAILING, guidance_scale=0.0)),
    Family("sdxl-lightning-1step",
           1, with_unet(LIGHTNING, "sdxl_lightning_1step_unet_x0.safetensors", 1, EULER, X0, guidance_scale=0.0)),
    Family("sdxl-lightning-4step-lora", 4, with_lora(
        LIGHTNING, "sdxl_lightning_4step_lora.safetensors", XL, 4, EULER, changes=TRAILING, guidance_scale=0.0)),
    hyper("hyper-sdxl-4steps", "Hyper-SDXL-4steps-lora.safetensors", XL, 4, DDIM, TRAILING, guidance_scale=0.0),
    hyper("hyper-sdxl-unified", "Hyper-SDXL-1step-lora.safetensors", XL, 4, TCD, {}, guidance_scale=0.0, eta=0.5),
    hyper("hyper-sdxl-8steps-cfg", "Hyper-SDXL-8steps-CFG-lora.safetensors", XL, 8, DDIM, TRAILING, guidance_scale=5.0),
    Family("hyper-sdxl-1step-unet", 1, with_unet(
        HYPER, "Hyper-SDXL-1step-Unet.safetensors", 1, LCM, guidance_scale=0.0, timesteps=[800])),
    hyper("hyper-sd15-4steps", "Hyper-SD15-4steps-lora.safetensors", SD, 4, DDIM, TRAILING, guidance_scale=0.0),
    hyper("hyper-sd15-unified", "Hyper-SD15-1step-lora.safetensors", SD, 4, TCD, {}, guidance_scale=0.0, eta=0.5),
    hyper("hyper-sd15-8steps-cfg", "Hyper-SD15-8steps-CFG-lora.safetensors", SD, 8, DDIM, TRAILING, guidance_scale=5.0),
    hyper("hyper-flux1-dev-8steps", "Hyper-FLUX.1-dev-8steps-lora.safetensors", DEV, 8, None, {}, scale=0.125,
          guidance_scale=3.5),
    hyper("hyper-sd3-8steps-cfg", "Hyper-SD3-8steps-CFG-lora.safetensors", SD3, 8, None, {}, scale=0.125,
          guidance_scale=5.0),
    Family("z-image-turbo", 8, as_is(Z, 8, guidance_scale=0.0)),
    Family("flux1-schnell", 4, as_is(SCHNELL, 4, guidance_scale=0.0, max_sequence_length=256)),
    Family("flux2-klein-4b", 4, as_is(KLEIN, 4, guidance_scale=1.0)),
    Family("flux2-klein-9b-kv", 4, as_is(KLEIN_KV, 4)),
    Family("qwen-image-lightning-4steps-v2.0", 4, qwen_lightning),
    Family("dmd2-sdxl-4step-unet", 4, with_unet(
        DMD2, "dmd2_sdxl_4step_unet_fp16.safetensors", 4, LCM, guidance_scale=0.0, timesteps=FOUR)),
    Family("dmd2-sdxl-1step-unet", 1, with_unet(
        DMD2, "dmd2_sdxl_1step_unet_fp16.safetensors", 1, LCM, guidance_scale=0.0, timesteps=[399])),
    Family("dmd2-sdxl-4step-lora", 4, with_lora(
        DMD2, "dmd2_sdxl_4step_lora_fp16.safetensors", XL, 4, LCM, guidance_scale=0.0, timesteps=FOUR)),
    Family("sana-sprint-0.6b", 2, as_is(SANA, 2, guidance_scale=4.5, use_resolution_binning=False)),
    Family("krea-2-turbo", 8, as_is(KREA, 8, guidance_scale=0.0)),
    Family("sd15-full", 20, as_is(SD, 20, guidance_scale=7.5)),
    Family("sdxl-full", 20, as_is(XL, 20, guidance_scale=5.0)),
    Family("flux1-dev-full", FEWEST, as_is(DEV, FEWEST, guidance_scale=3.5)),
    Family("sd3-medium-full", FEWEST, as_is(SD3, FEWEST, guidance_scale=7.0)),
    Family("qwen-image-full", FEWEST, as_is(QWEN, FEWEST, negative_prompt=BLANK, true_cfg_scale=4.0)),
    Family("flux2-klein-base-4b-full", FEWEST, as_is(KLEIN_BASE, FEWEST, guidance_scale=4.0)),
    Family("krea-2-raw-full", FEWEST, as_is(KREA_RAW, FEWEST, guidance_scale=4.5)),
    Family("flux1-dev-cached", FEWEST, first_block(DEV, FEWEST, guidance_scale=3.5)),
    Family("qwen-image-cached", FEWEST, first_block(QWEN, FEWEST, negative_prompt=BLANK, true_cfg_scale=4.0)),
    Family("sd3-medium-cached", FEWEST, broadcast(SD3, "transformer", FEWEST, guidance_scale=7.0)),
    Family("sdxl-cached", FEWEST, broadcast(XL, "unet", FEWEST, guidance_scale=5.0)),
)  # fmt: skip

# Proved by another: the same recipe with another file or repository, and its step count.
STANDS_FOR = {
    "sdxl-lightning-4step": ("sdxl-lightning-2step", "sdxl-lightning-8step"),
    "sdxl-lightning-4step-lora": ("sdxl-lightning-2step-lora", "sdxl-lightning-8step-lora"),
    "hyper-sdxl-4steps": ("hyper-sdxl-2steps", "hyper-sdxl-8steps"),
    "hyper-sdxl-8steps-cfg": ("hyper-sdxl-12steps-cfg",),
    "hyper-sd15-4steps": ("hyper-sd15-2steps", "hyper-sd15-8steps"),
    "hyper-sd15-8steps-cfg": ("hyper-sd15-12steps-cfg",),
    "hyper-flux1-dev-8steps": ("hyper-flux1-dev-16steps",),
    "hyper-sd3-8steps-cfg": ("hyper-sd3-4steps-cfg", "hyper-sd3-16steps-cfg"),
    "flux2-klein-4b": ("flux2-klein-9b",),
    "flux2-klein-base-4b-full": ("flux2-klein-base-9b-full",),
    "sana-sprint-0.6b": ("sana-sprint-1.6b",),
    "qwen-image-lightning-4steps-v2.0": (
        "qwen-image-lightning-4steps-v1.0", "qwen-image-lightning-4steps-v1.0-bf16",
        "qwen-image-lightning-8steps-v1.0", "qwen-image-lightning-8steps-v1.1",
        "qwen-image-lightning-8steps-v1.1-bf16", "qwen-image-lightning-8steps-v2.0",
        "qwen-image-2512-lightning-4steps-v1.0-fp32", "qwen-image-2512-lightning-4steps-v1.0-bf16",
    ),
}  # fmt: skip
