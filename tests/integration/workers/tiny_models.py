"""A tiny Stable Diffusion with random weights and LoRAs for it, in exactly the published layout."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.methods import SchedulerSpec
from policy.stacks import AdapterPin, FilePin, ModelPin, Role, Stack
from policy.tasks import LocatedPart, StackLoad

ROOT = Path(__file__).resolve().parents[3]
BETAS: tuple[tuple[str, Any], ...] = (
    ("beta_end", 0.012),
    ("beta_schedule", "scaled_linear"),
    ("beta_start", 0.00085),
)
COMMON: tuple[tuple[str, Any], ...] = (
    *BETAS,
    ("clip_sample", False),
    ("prediction_type", "v_prediction"),
    ("set_alpha_to_one", False),
    ("steps_offset", 1),
)
DDIM = SchedulerSpec(class_name="DDIMScheduler", config=(*COMMON, ("timestep_spacing", "trailing")))
LCM = SchedulerSpec(class_name="LCMScheduler", config=COMMON)


@dataclass(frozen=True)
class TinyModels:
    """Folders of a base and its LoRAs, and pins that say exactly what is in them."""

    base: Path
    lcm: Path
    style: Path

    def load(
        self, *adapters: tuple[Path, Role, float], fuse: bool = True, expected: int | None = None
    ) -> StackLoad:
        base = ModelPin(repo="tiny/base", revision="0" * 40, role=Role.BASE, files=file_pins(self.base))
        pins = tuple(
            AdapterPin(
                repo=f"tiny/{path.name}",
                revision="0" * 40,
                role=role,
                files=file_pins(path),
                scale=scale,
                expected_tensors=expected,
            )
            for path, role, scale in adapters
        )
        stack = Stack(name="tiny", pipeline="StableDiffusionPipeline", base=base, adapters=pins)
        folders = (self.base, *(path for path, _, _ in adapters))
        parts = tuple(
            LocatedPart(pin_id=pin.pin_id, root=str(folder))
            for pin, folder in zip(stack.pins, folders, strict=True)
        )
        return StackLoad(stack=stack, parts=parts, fuse=fuse)


def file_pins(folder: Path) -> tuple[FilePin, ...]:
    return tuple(
        FilePin(
            path=path.relative_to(folder).as_posix(),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            size=path.stat().st_size,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )


def write_base(folder: Path) -> None:
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(ROOT / "registry/builtin/hub/rightstep/emoji-64/tokenizer")
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=2,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(**dict(DDIM.config)),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def write_lora(folder: Path, base: Path, seed: int) -> None:
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from peft import LoraConfig, get_peft_model_state_dict

    torch.manual_seed(seed)
    unet = UNet2DConditionModel.from_pretrained(base, subfolder="unet")
    unet.add_adapter(
        LoraConfig(
            r=4,
            lora_alpha=4,
            target_modules=["to_q", "to_k", "to_v", "to_out.0", "conv1"],
            init_lora_weights=False,
        )
    )
    tensors = {key: value.contiguous() for key, value in get_peft_model_state_dict(unet).items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=tensors, safe_serialization=True)
