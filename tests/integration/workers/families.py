"""Every image family: its tiny repositories, its preset, and the plain call as its card gives it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import load_file

from policy.stacks import Role
from tests.tiny_hub import transformers, unets
from tests.tiny_hub.planning import PROMPTS, SEEDS, SIZE, knob, part, timesteps

SD, XL = "stable-diffusion-v1-5/stable-diffusion-v1-5", "stabilityai/stable-diffusion-xl-base-1.0"
SSD, LCM_SD, LCM_XL = "segmind/SSD-1B", "SimianLuo/LCM_Dreamshaper_v7", "latent-consistency/lcm-sdxl"
DEV, SCHNELL = "black-forest-labs/FLUX.1-dev", "black-forest-labs/FLUX.1-schnell"
KLEIN, Z = "black-forest-labs/FLUX.2-klein-4B", "Tongyi-MAI/Z-Image-Turbo"
SD3, QWEN = "stabilityai/stable-diffusion-3-medium-diffusers", "Qwen/Qwen-Image"
SANA = "Efficient-Large-Model/Sana_Sprint_0.6B_1024px_diffusers"
TURBO, XL_TURBO = "stabilityai/sd-turbo", "stabilityai/sdxl-turbo"
LIGHTNING, HYPER, DMD2 = "ByteDance/SDXL-Lightning", "ByteDance/Hyper-SD", "tianweiy/DMD2"
QWEN_LIGHTNING = "lightx2v/Qwen-Image-Lightning"
BETAS = unets.BETAS
FOUR = [999, 749, 499, 249]
BASE_KEYS = BETAS | {"steps_offset": 1}
MADE_FOR = {
    "latent-consistency/lcm-lora-sdv1-5": (SD,), "latent-consistency/lcm-lora-sdxl": (XL,),
    "latent-consistency/lcm-lora-ssd-1b": (SSD,), LCM_XL: (XL,), LIGHTNING: (XL,), DMD2: (XL,),
    HYPER: (SD, XL, SD3, DEV), QWEN_LIGHTNING: (QWEN,),
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """One published recipe: what is on the shelf, what the preset says, what the card's code does."""

    name: str
    base: str
    steps: int
    preset: dict[str, Any]
    plain: Callable[[Path], Any]  # the card's code, on the folder of the shelf


def write_bases(root: Path) -> None:
    """Every base and full model on a shelf."""
    from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler

    unets.write_sd(root / SD)
    unets.write_xl(root / XL)
    unets.write_xl(root / SSD, unet=unets.ssd_unet())
    unets.write_sd(root / LCM_SD, unet=unets.sd_unet(time_cond_proj_dim=8), lcm=True,
                   scheduler=diffusers.LCMScheduler(**BETAS, set_alpha_to_one=True))  # fmt: skip
    trailing = BETAS | {"timestep_spacing": "trailing"}
    unets.write_xl(root / XL_TURBO, scheduler=EulerAncestralDiscreteScheduler(**trailing), variant="fp16")
    unets.write_sd(root / TURBO, unet=unets.sd_unet(use_linear_projection=True),
                   scheduler=EulerDiscreteScheduler(**trailing))  # fmt: skip
    transformers.write_flux(root / DEV, distilled=False)
    transformers.write_flux(root / SCHNELL, distilled=True)
    transformers.write_sd3(root / SD3)
    transformers.write_z_image(root / Z)
    transformers.write_klein(root / KLEIN)
    transformers.write_qwen_image(root / QWEN)
    transformers.write_sana(root / SANA)


def write_additions(root: Path) -> None:
    """LoRAs and single-file UNets under the published names."""
    lora = "pytorch_lora_weights.safetensors"
    for number, (repo, base) in enumerate((("sdv1-5", SD), ("sdxl", XL), ("ssd-1b", SSD))):
        unets.write_lora(
            root / f"latent-consistency/lcm-lora-{repo}" / lora, root / base, number, style="kohya"
        )
    unets.write_lora(root / LIGHTNING / "sdxl_lightning_4step_lora.safetensors", root / XL, 3, style="kohya")
    unets.write_lora(root / HYPER / "Hyper-SDXL-4steps-lora.safetensors", root / XL, 4, style="kohya")
    unets.write_lora(root / HYPER / "Hyper-SDXL-1step-lora.safetensors", root / XL, 5, style="kohya")
    unets.write_lora(root / HYPER / "Hyper-SD15-8steps-CFG-lora.safetensors", root / SD, 6, style="kohya")
    unets.write_lora(root / DMD2 / "dmd2_sdxl_4step_lora_fp16.safetensors", root / XL, 7, style="kohya")
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
        root / DMD2 / "dmd2_sdxl_4step_unet_fp16.safetensors",
    )):  # fmt: skip
        unets.write_unet_file(path, root / XL, 20 + seed)
    full = root / LCM_XL
    made = unets.xl_unet(time_cond_proj_dim=8)
    made.save_pretrained(full)


def called(pipeline: Any, **arguments: Any) -> Any:
    """The plain call on both prompts at their seeds."""
    torch.set_num_threads(1)
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    return pipeline(
        prompt=list(PROMPTS), width=SIZE, height=SIZE, generator=generators, output_type="np", **arguments
    ).images


def loaded(root: Path, repo: str, made: Any = diffusers.DiffusionPipeline, **parts: Any) -> Any:
    return made.from_pretrained(root / repo, dtype=torch.float32, **parts)


def with_lora(
    repo: str, file: str, base: str, steps: int, scheduler: Any, *, fused: float | None = 1.0,
    changes: dict[str, Any] | None = None, **arguments: Any,
) -> Callable[[Path], Any]:  # fmt: skip
    """A card that loads a LoRA, fuses it and changes the scheduler."""

    def plain(root: Path) -> Any:
        pipeline = loaded(root, base)
        pipeline.load_lora_weights(root / repo, weight_name=file, adapter_name="lora")
        pipeline.set_adapters(["lora"], adapter_weights=[fused or 1.0])
        pipeline.fuse_lora(adapter_names=["lora"])
        if scheduler is not None:
            pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **(changes or {}))
        return called(pipeline, num_inference_steps=steps, **arguments)

    return plain


def with_unet(
    repo: str, file: str, steps: int, scheduler: Any, changes: dict[str, Any], **arguments: Any
) -> Callable[[Path], Any]:
    """A card that loads one file into the configuration of SDXL's own UNet."""

    def plain(root: Path) -> Any:
        made = diffusers.UNet2DConditionModel
        unet = made.from_config(made.load_config(root / XL, subfolder="unet"))
        unet.load_state_dict(load_file(root / repo / file))
        pipeline = loaded(root, XL, unet=unet.eval())
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **changes)
        return called(pipeline, num_inference_steps=steps, **arguments)

    return plain


def as_is(base: str, steps: int, **arguments: Any) -> Callable[[Path], Any]:
    """A card that loads the repository and calls it."""
    variant = {"variant": "fp16"} if base == XL_TURBO else {}
    return lambda root: called(loaded(root, base, **variant), num_inference_steps=steps, **arguments)


def lcm_xl(root: Path) -> Any:
    unet = diffusers.UNet2DConditionModel.from_pretrained(root / LCM_XL)
    pipeline = loaded(root, XL, unet=unet)
    pipeline.scheduler = diffusers.LCMScheduler.from_config(pipeline.scheduler.config)
    return called(pipeline, num_inference_steps=4, guidance_scale=8.0)


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


def preset(pipeline: str, base: str, steps: int, scheduler: str, config: dict[str, Any], **more: Any) -> Any:
    return {
        "pipeline": pipeline, "base": [base], "steps": [steps], "recommended_steps": steps,
        "scheduler": {"class": scheduler, "config": config}, **more,
    }  # fmt: skip


def family(
    name: str, pipeline: str, base: str, steps: int, scheduler: Any, config: Any, plain: Any, **more: Any
) -> Family:
    made = preset(pipeline, base, steps, scheduler, config, **more)
    return Family(name=name, base=base, steps=steps, preset=made, plain=plain)


SDP, XLP = "StableDiffusionPipeline", "StableDiffusionXLPipeline"
LCM, EULER, DDIM, TCD = "LCMScheduler", "EulerDiscreteScheduler", "DDIMScheduler", "TCDScheduler"
FLOW = "FlowMatchEulerDiscreteScheduler"
OFF, ONE = [knob(0.0)], [knob(1.0)]
TRAILING = {"timestep_spacing": "trailing"}
LCM_FOUR = timesteps([999, 759, 499, 259])
XL_DDIM = BASE_KEYS | TRAILING
LORA = "pytorch_lora_weights.safetensors"


def lcm_lora(repo: str, pipeline: str, base: str, **config: Any) -> Family:
    repo = f"latent-consistency/{repo}"
    plain = with_lora(repo, LORA, base, 4, diffusers.LCMScheduler, guidance_scale=1.0)
    return family(repo.rpartition("/")[2], pipeline, base, 4, LCM, BASE_KEYS | config, plain, fuse=True,
                  parts=[part(repo, LORA)], guidance=ONE, schedules=LCM_FOUR)  # fmt: skip


def xl_lora(
    repo: str, file: str, steps: int, scheduler: str, config: Any, changes: Any, shown: Any, **call: Any
) -> Family:
    """A fused LoRA on SDXL without guidance."""
    made = getattr(diffusers, scheduler)
    explicit = {"timesteps": [int(t) for t in shown]} if repo == DMD2 else {}
    plain = with_lora(repo, file, XL, steps, made, changes=changes, guidance_scale=0.0, **call, **explicit)
    return family(file, XLP, XL, steps, scheduler, config, plain, parts=[part(repo, file)], fuse=True,
                  guidance=OFF, call=call, schedules=timesteps(shown, explicit=repo == DMD2))  # fmt: skip


def xl_unet(
    repo: str, file: str, steps: int, scheduler: str, config: Any, changes: Any, shown: Any, explicit: bool
) -> Family:
    """Another UNet in SDXL without guidance."""
    made = getattr(diffusers, scheduler)
    told = {"timesteps": [int(t) for t in shown]} if explicit else {}
    pickled = {"pickle": True} if repo == DMD2 else {}
    named = file.replace(".safetensors", ".bin") if pickled else file
    plain = with_unet(repo, file, steps, made, changes, guidance_scale=0.0, **told)
    return family(named, XLP, XL, steps, scheduler, config, plain, guidance=OFF,
                  parts=[part(repo, named, Role.UNET, **pickled)],
                  schedules=timesteps(shown, explicit=explicit))  # fmt: skip


HYPER_FLUX, HYPER_SD3 = "Hyper-FLUX.1-dev-8steps-lora.safetensors", "Hyper-SD3-8steps-CFG-lora.safetensors"
HYPER_CFG = "Hyper-SD15-8steps-CFG-lora.safetensors"
EIGHT = [999, 874, 749, 624, 499, 374, 249, 124]
CLIPLESS = {"clip_sample": False, "set_alpha_to_one": False}
SHIFTED = [1000, 954.5, 900, 833.3, 750, 642.9, 500, 300]
FLOW_DEV = transformers.FLOW_DEV

FAMILIES = (
    lcm_lora("lcm-lora-sdv1-5", SDP, SD, set_alpha_to_one=False),
    lcm_lora("lcm-lora-sdxl", XLP, XL),
    lcm_lora("lcm-lora-ssd-1b", XLP, SSD),
    family("lcm-full", "LatentConsistencyModelPipeline", LCM_SD, 4, LCM, BETAS,
           as_is(LCM_SD, 4, guidance_scale=8.0), guidance=[knob(8.0, doubles=None)], schedules=LCM_FOUR),
    family("lcm-sdxl", XLP, XL, 4, LCM, BASE_KEYS, lcm_xl, guidance=[knob(8.0, doubles=None)],
           parts=[part(LCM_XL, "diffusion_pytorch_model.safetensors", Role.UNET)], schedules=LCM_FOUR),
    family("sdxl-turbo", XLP, XL_TURBO, 1, "EulerAncestralDiscreteScheduler", BETAS | TRAILING, variant="fp16",
           plain=as_is(XL_TURBO, 1, guidance_scale=0.0), guidance=OFF, schedules=timesteps([999])),
    family("sd-turbo", SDP, TURBO, 2, EULER, BETAS | TRAILING, as_is(TURBO, 2, guidance_scale=0.0),
           guidance=OFF, schedules=timesteps([999, 499])),
    xl_unet(LIGHTNING, "sdxl_lightning_4step_unet.safetensors", 4, EULER, BASE_KEYS | TRAILING, TRAILING, FOUR, False),
    xl_unet(LIGHTNING, "sdxl_lightning_1step_unet_x0.safetensors", 1, EULER,
            BASE_KEYS | TRAILING | {"prediction_type": "sample"}, TRAILING | {"prediction_type": "sample"}, [999], False),
    xl_lora(LIGHTNING, "sdxl_lightning_4step_lora.safetensors", 4, EULER, BASE_KEYS | TRAILING, TRAILING, FOUR),
    xl_lora(HYPER, "Hyper-SDXL-4steps-lora.safetensors", 4, DDIM, XL_DDIM, TRAILING, FOUR),
    xl_lora(HYPER, "Hyper-SDXL-1step-lora.safetensors", 4, TCD, BASE_KEYS, {}, [999, 759, 499, 259], eta=0.5),
    xl_unet(HYPER, "Hyper-SDXL-1step-Unet.safetensors", 1, LCM, BASE_KEYS, {}, [800], True),
    family("hyper-cfg", SDP, SD, 8, DDIM, XL_DDIM | {"set_alpha_to_one": False}, fuse=True,
           plain=with_lora(HYPER, HYPER_CFG, SD, 8, diffusers.DDIMScheduler, changes=TRAILING, guidance_scale=5.0),
           parts=[part(HYPER, HYPER_CFG)], guidance=[knob(5.0)], schedules=timesteps(EIGHT)),
    family("hyper-flux", "FluxPipeline", DEV, 8, FLOW, FLOW_DEV | {"shift": 3.0, "use_dynamic_shifting": True},
           with_lora(HYPER, HYPER_FLUX, DEV, 8, None, fused=0.125, guidance_scale=3.5), fuse=True,
           parts=[part(HYPER, HYPER_FLUX, scale=0.125, component="transformer")], guidance=[knob(3.5, doubles=None)]),
    family("hyper-sd3", "StableDiffusion3Pipeline", SD3, 8, FLOW, {"shift": 3.0}, fuse=True,
           plain=with_lora(HYPER, HYPER_SD3, SD3, 8, None, fused=0.125, guidance_scale=5.0),
           parts=[part(HYPER, HYPER_SD3, scale=0.125, component="transformer")], guidance=[knob(5.0)]),
    family("z-image-turbo", "ZImagePipeline", Z, 8, FLOW, {"shift": 3.0}, as_is(Z, 8, guidance_scale=0.0),
           guidance=[knob(0.0, doubles=0.0)], schedules=timesteps(SHIFTED)),
    family("schnell", "FluxPipeline", SCHNELL, 4, FLOW, FLOW_DEV | {"shift": 1.0}, call={"max_sequence_length": 256},
           plain=as_is(SCHNELL, 4, guidance_scale=0.0, max_sequence_length=256),
           guidance=[knob(0.0, doubles=None)], schedules=timesteps([1000, 750, 500, 250])),
    family("klein", "Flux2KleinPipeline", KLEIN, 4, FLOW, FLOW_DEV | {"shift": 3.0, "use_dynamic_shifting": True},
           as_is(KLEIN, 4)),
    family("qwen-lightning", "QwenImagePipeline", QWEN, 4, FLOW, QWEN_SHIFT, qwen_lightning,
           parts=[part(QWEN_LIGHTNING, "Qwen-Image-Lightning-4steps-V2.0.safetensors", component="transformer")],
           guidance=[knob(1.0, "true_cfg_scale")], schedules=timesteps([1000, 900, 750, 500])),
    xl_unet(DMD2, "dmd2_sdxl_4step_unet_fp16.safetensors", 4, LCM, BASE_KEYS, {}, FOUR, True),
    xl_lora(DMD2, "dmd2_sdxl_4step_lora_fp16.safetensors", 4, LCM, BASE_KEYS, {}, FOUR),
    family("sana-sprint", "SanaSprintPipeline", SANA, 2, "SCMScheduler",
           {"prediction_type": "trigflow", "sigma_data": 0.5}, call={"use_resolution_binning": False},
           plain=as_is(SANA, 2, guidance_scale=4.5, use_resolution_binning=False),
           guidance=[knob(4.5, doubles=None)], schedules=timesteps([1.5708, 1.3])),
)  # fmt: skip
