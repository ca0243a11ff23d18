"""Repositories of the clip families in their published layout: motion adapters, Wan with one expert and two."""

from pathlib import Path
from typing import Any

from tests.tiny_hub.tokenizers import t5
from tests.tiny_hub.unets import NORM, WIDTHS

ALPHA = 8 / 64  # of Wan2.2-Lightning, by its rank


def motion_adapter(seed: int) -> Any:
    """AnimateDiff v2 for Stable Diffusion 1.5: two motion modules a block and one in the middle.

    Its weights are drawn wide, since freshly made ones end in zeros and would move nothing.
    """
    import torch
    from diffusers import MotionAdapter

    torch.manual_seed(seed)
    groups = NORM["norm_num_groups"]
    made = MotionAdapter(block_out_channels=WIDTHS, motion_layers_per_block=2, motion_norm_num_groups=groups)
    for weights in made.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    return made


def write_motion_files(folder: Path, *names: str) -> None:
    """Files of tensors alone, without a configuration: as AnimateDiff-Lightning is published."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    for seed, name in enumerate(names):
        save_file(motion_adapter(seed).state_dict(), folder / name)


def umt5(tokenizer: Any) -> Any:
    """A tiny text encoder of the Wan family."""
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(tokenizer), d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=2,
            feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip


def wan_transformer(layers: int, seed: int) -> Any:
    """A tiny transformer of the Wan family, as deep as asked for."""
    import torch
    from diffusers import WanTransformer3DModel

    torch.manual_seed(seed)
    return WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=16, freq_dim=16, ffn_dim=32, num_layers=layers, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    )  # fmt: skip


def write_wan(folder: Path, *, layers: int, experts: int = 1, **decoder: Any) -> None:
    """Wan 2.1 (30 layers at 1.3B, one transformer) or Wan 2.2 A14B (40 layers, two experts).

    ``decoder`` is what differs of the autoencoder: at the size of a real clip the plain one is slow.
    """
    import torch
    from diffusers import (
        AutoencoderKLWan,
        FlowMatchEulerDiscreteScheduler,
        UniPCMultistepScheduler,
        WanPipeline,
    )

    torch.manual_seed(0)
    tokenizer = t5()
    second = {"transformer_2": wan_transformer(layers, 2), "boundary_ratio": 0.875} if experts == 2 else {}
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "num_train_timesteps": 1000}
    scheduler = (
        UniPCMultistepScheduler(**flow, flow_shift=3.0)
        if experts == 1
        else FlowMatchEulerDiscreteScheduler(shift=5.0)
    )
    WanPipeline(
        tokenizer=tokenizer,
        text_encoder=umt5(tokenizer),
        vae=AutoencoderKLWan(**{"base_dim": 4, "z_dim": 16} | decoder),
        scheduler=scheduler,
        transformer=wan_transformer(layers, 1),
        **second,
    ).save_pretrained(folder)


def write_wan_lora(path: Path, base: Path, seed: int) -> None:
    """A LoRA of one expert in the names of Wan's own code, with an alpha beside every pair."""
    import json

    import torch
    from safetensors.torch import save_file

    facts = json.loads((base / "transformer" / "config.json").read_text())
    width = facts["num_attention_heads"] * facts["attention_head_dim"]
    generator = torch.Generator().manual_seed(seed)
    rank = 2
    tensors = {}
    for block in range(facts["num_layers"]):
        shapes = {f"{kind}_attn.{part}": (width, width) for kind in ("self", "cross") for part in "qkvo"}
        shapes |= {"ffn.0": (facts["ffn_dim"], width), "ffn.2": (width, facts["ffn_dim"])}
        for name, (out, into) in shapes.items():
            stem = f"diffusion_model.blocks.{block}.{name}"
            tensors[f"{stem}.lora_down.weight"] = torch.randn(rank, into, generator=generator)
            tensors[f"{stem}.lora_up.weight"] = torch.randn(out, rank, generator=generator)
            tensors[f"{stem}.alpha"] = torch.tensor(ALPHA * rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
