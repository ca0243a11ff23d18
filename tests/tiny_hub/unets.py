"""Repositories of the UNet families: bases, full distilled models, single-file UNets and LoRAs."""

from pathlib import Path
from typing import Any

from tests.tiny_hub.parts import clip_text, kl
from tests.tiny_hub.tokenizers import clip

BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
WIDTHS = (8, 16, 32, 32)
NORM = {"norm_num_groups": 4}


def sd_unet(context: int = 16, **changes: Any) -> Any:
    """Stable Diffusion 1.5 and 2.1: four levels, two layers a block."""
    from diffusers import UNet2DConditionModel

    facts: dict[str, Any] = {
        "sample_size": 8, "block_out_channels": WIDTHS, "layers_per_block": 2, "cross_attention_dim": context,
        "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        "attention_head_dim": 4, **NORM,
    }  # fmt: skip
    return UNet2DConditionModel(**(facts | changes))


def xl_unet(**changes: Any) -> Any:
    """SDXL: three levels with 0, 2 and 10 transformer layers, text and time ids added."""
    from diffusers import UNet2DConditionModel

    facts: dict[str, Any] = {
        "sample_size": 8, "block_out_channels": (8, 16, 32), "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (2, 4, 4),
        "cross_attention_dim": 32, "use_linear_projection": True, "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 64, **NORM,
    }  # fmt: skip
    return UNet2DConditionModel(**(facts | changes))


def ssd_unet(**changes: Any) -> Any:
    """SSD-1B: blocks of unequal depth, listed apart for the way up, and no attention in the middle.

    Unverified: the nested lists are inferred from the published model's block removal.
    """
    return xl_unet(
        transformer_layers_per_block=(1, (2, 2), (4, 4)),
        reverse_transformer_layers_per_block=((4, 4, 10), (2, 1, 1), 1),
        mid_block_type="UNetMidBlock2D",
        **changes,
    )


def write_sd(folder: Path, *, unet: Any = None, scheduler: Any = None, lcm: bool = False) -> None:
    """A repository in the layout of Stable Diffusion 1.5; its scheduler config has the key that DDIM reads."""
    import torch
    from diffusers import LatentConsistencyModelPipeline, PNDMScheduler, StableDiffusionPipeline

    torch.manual_seed(0)
    tokenizer = clip()
    made = LatentConsistencyModelPipeline if lcm else StableDiffusionPipeline
    made(
        vae=kl(4),
        text_encoder=clip_text(tokenizer),
        tokenizer=tokenizer,
        unet=unet or sd_unet(),
        scheduler=scheduler
        or PNDMScheduler(**BETAS, skip_prk_steps=True, steps_offset=1, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    if scheduler is None:
        _add_to_scheduler(folder, {"clip_sample": False})


def write_xl(folder: Path, *, unet: Any = None, scheduler: Any = None, variant: str | None = None) -> None:
    """A repository in the layout of SDXL; its scheduler config has the two keys that DDIM reads."""
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    torch.manual_seed(0)
    tokenizer = clip()
    StableDiffusionXLPipeline(
        vae=kl(4, scaling=0.13025),
        text_encoder=clip_text(tokenizer),
        text_encoder_2=clip_text(tokenizer, projected=True),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet or xl_unet(),
        scheduler=scheduler or EulerDiscreteScheduler(**BETAS, steps_offset=1, timestep_spacing="leading"),
    ).save_pretrained(folder, variant=variant)
    if scheduler is None:
        _add_to_scheduler(folder, {"clip_sample": False, "set_alpha_to_one": False})


def _add_to_scheduler(folder: Path, keys: dict[str, Any]) -> None:
    """Keys of the published scheduler config that its own class does not know, and DDIM, LCM and TCD do."""
    import json

    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def write_unet_file(path: Path, base: Path, seed: int) -> None:
    """One file with every tensor of the base's UNet, under the names of diffusers."""
    import torch
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(base, subfolder="unet"))
    save_file(unet.state_dict(), path)


def write_lora(
    path: Path, base: Path, seed: int, *, component: str = "unet", targets: tuple[str, ...] | None = None,
    style: str = "peft",
) -> None:  # fmt: skip
    """A LoRA on attention layers in one of the published namings: "peft", "kohya", "lightning" (with alphas)."""
    import json

    import diffusers
    import torch
    from peft import LoraConfig, get_peft_model_state_dict
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    kind = json.loads((base / "model_index.json").read_text())[component][1]
    made = getattr(diffusers, kind)
    module = made.from_config(made.load_config(base, subfolder=component))
    names = list(targets or ("to_q", "to_k", "to_v", "to_out.0"))
    module.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=names, init_lora_weights=False))
    tensors = {}
    for key, value in get_peft_model_state_dict(module).items():
        stem, side = key.removesuffix(".weight").rsplit(".", 1)
        down = {"lora_A": "lora_down", "lora_B": "lora_up"}[side]
        if style == "peft":
            tensors[f"{component}.{key}"] = value.contiguous()
        elif style == "kohya":
            flat = f"lora_unet_{stem.replace('.', '_')}"
            tensors[f"{flat}.{down}.weight"] = value.contiguous()
            tensors[f"{flat}.alpha"] = torch.tensor(1.0)
        else:
            tensors[f"{stem}.{down}.weight"] = value.contiguous()
            tensors[f"{stem}.alpha"] = torch.tensor(1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
