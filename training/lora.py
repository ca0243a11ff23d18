"""How the adapters are shaped, saved and checked: one key style, and every key must land."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AnimateDiffPipeline, StableDiffusionPipeline, UNet2DConditionModel, UNetMotionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

WEIGHTS_NAME = "pytorch_lora_weights.safetensors"

_TARGETS = [
    *("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv"),
    *("time_emb_proj", "linear_1", "linear_2", "conv_in", "conv_out"),
]


def lora_targets() -> list[str]:
    """The layers of the denoiser that adapters may change: all but the norms."""
    return list(_TARGETS)


class LoraKeysLost(Exception):
    """A loaded adapter misses tensors of its file; diffusers only warns of that."""


def add_lora(unet: UNet2DConditionModel, rank: int) -> list[torch.nn.Parameter]:
    """Freeze the denoiser, put a LoRA on every layer of it, and return the LoRA's parameters."""
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights=True, target_modules=_TARGETS))
    return [parameter for parameter in unet.parameters() if parameter.requires_grad]


def lora_tensors(unet: UNet2DConditionModel | UNetMotionModel) -> dict[str, Tensor]:
    """The adapter's tensors in peft's own key style, ready for a file."""
    tensors = get_peft_model_state_dict(unet)
    return {
        f"unet.{key}": value.detach().contiguous(memory_format=torch.contiguous_format).clone()
        for key, value in tensors.items()
    }


def save_lora(unet: UNet2DConditionModel | UNetMotionModel, folder: Path) -> None:
    """Write the adapter in float32; packing turns it into float16."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(lora_tensors(unet), folder / WEIGHTS_NAME, metadata={"format": "pt"})


def load_lora(pipe: StableDiffusionPipeline | AnimateDiffPipeline, folder: Path, name: str) -> None:
    """Attach an adapter under a name and refuse to go on when one of its tensors found no place."""
    path = folder / WEIGHTS_NAME
    with safe_open(path, "pt") as file:
        keys = [key.removeprefix("unet.").removesuffix(".weight") for key in file.keys()]  # noqa: SIM118
    wanted = {f"{key}.{name}.weight" for key in keys}
    pipe.load_lora_weights(str(folder), weight_name=WEIGHTS_NAME, adapter_name=name)
    lost = wanted - set(pipe.unet.state_dict())
    if lost or not wanted:
        raise LoraKeysLost(f"{path}: {len(lost)} of {len(wanted)} tensors found no place")
