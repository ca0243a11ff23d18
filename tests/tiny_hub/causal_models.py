"""A causal student in its published layout: a pickle beside nothing, and the base that it is made for."""

from pathlib import Path
from typing import Any

from tests.tiny_hub.clip_models import umt5, wan_transformer, write_wan
from tests.tiny_hub.planning import put_papers
from tests.tiny_hub.tokenizers import t5
from tests.unit.workers.causal.published import published_tensors

SMALL, SELF_FORCING = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "gdhe17/Self-Forcing"
ANYFLOW = "nvidia/AnyFlow-FAR-Wan2.1-1.3B-Diffusers"
PICKLE = "checkpoints/self_forcing_dmd.pt"


def write_self_forcing(root: Path, *, layers: int) -> Path:
    """A tiny Wan, and Self Forcing's weights for it below ``generator_ema``; as deep as asked for."""
    import torch

    write_wan(root / SMALL, layers=layers, base_dim=2, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    path = root / SELF_FORCING / PICKLE
    path.parent.mkdir(parents=True)
    torch.save({"generator_ema": published_tensors(student(layers))}, path)
    put_papers(root, {SELF_FORCING: (SMALL,)})
    return root


def student(layers: int) -> Any:
    """The transformer whose weights were published."""
    return wan_transformer(layers, 9)


def write_anyflow(root: Path) -> Path:
    """A tiny AnyFlow-FAR, which is a pipeline of its own."""
    import torch
    from diffusers import (
        AnyFlowFARPipeline,
        AnyFlowFARTransformer3DModel,
        AutoencoderKLWan,
        FlowMapEulerDiscreteScheduler,
    )

    torch.manual_seed(0)
    words = t5()
    AnyFlowFARPipeline(
        tokenizer=words, text_encoder=umt5(words), scheduler=FlowMapEulerDiscreteScheduler(shift=5.0),
        vae=AutoencoderKLWan(z_dim=16, base_dim=2, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
        transformer=AnyFlowFARTransformer3DModel(
            patch_size=(1, 2, 2), compressed_patch_size=(1, 4, 4), num_attention_heads=2, attention_head_dim=16,
            in_channels=16, out_channels=16, text_dim=16, freq_dim=16, ffn_dim=32, num_layers=2,
            rope_max_seq_len=64,
        ),
    ).save_pretrained(root / ANYFLOW)  # fmt: skip
    put_papers(root, {})
    return root
