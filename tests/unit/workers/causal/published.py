"""A tiny transformer as Self Forcing and its kin publish theirs: the names of Wan's own code, below a wrapper's."""

from collections import OrderedDict
from typing import Any

# What one layer holds in Wan 2.1's own code (wan/modules/model.py), and what stands beside the layers.
LAYER = (
    "modulation",
    "norm3.weight", "norm3.bias",
    *(f"{kind}_attn.{part}.{what}" for kind in ("self", "cross") for part in "qkvo" for what in ("weight", "bias")),
    *(f"{kind}_attn.norm_{part}.weight" for kind in ("self", "cross") for part in "qk"),
    "ffn.0.weight", "ffn.0.bias", "ffn.2.weight", "ffn.2.bias",
)  # fmt: skip
BESIDE = (
    "patch_embedding.weight", "patch_embedding.bias",
    "text_embedding.0.weight", "text_embedding.0.bias", "text_embedding.2.weight", "text_embedding.2.bias",
    "time_embedding.0.weight", "time_embedding.0.bias", "time_embedding.2.weight", "time_embedding.2.bias",
    "time_projection.1.weight", "time_projection.1.bias",
    "head.modulation", "head.head.weight", "head.head.bias",
)  # fmt: skip


def published_names(layers: int) -> list[str]:
    return [*BESIDE, *(f"blocks.{layer}.{name}" for layer in range(layers) for name in LAYER)]


def published_tensors(model: Any, prefix: str = "model.") -> "OrderedDict[str, Any]":
    """The weights of a tiny transformer under the published names, by the converter of diffusers."""
    import torch
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    state = model.state_dict()
    published: OrderedDict[str, Any] = OrderedDict()
    for name in published_names(model.config.num_layers):
        (ours,) = convert_wan_transformer_to_diffusers({name: torch.zeros(1)})
        published[f"{prefix}{name}"] = state.pop(ours).clone()
    assert not state, "the list above does not hold every tensor"
    return published
