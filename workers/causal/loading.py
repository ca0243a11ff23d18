"""A causal transformer from a folder in the Hub's layout, to the last tensor and setting, or refused.

``from_pretrained`` fills what a file lacks with random numbers and says so in a log; a stream
of noise is no way to learn that. Checkpoints that are one file beside a base (Self Forcing,
CausVid, Krea Realtime) are stand-ins, see ``workers.adapters``.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import load_file

from policy.errors import RenderFault
from policy.wording import names
from workers.adapters import cast, fill
from workers.causal.checkpoint_keys import diffusers_names

KINDS = ("AnyFlowFARTransformer3DModel", "WanTransformer3DModel")


def load_transformer(folder: Path, dtype: torch.dtype) -> Any:
    """The transformer of a folder with ``config.json`` and safetensors, in one file or in shards."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = config.get("_class_name")
    if kind not in KINDS:
        raise RenderFault(
            f"{folder.name} was saved as {kind}, which diffusers {diffusers.__version__} does not have.",
            f"Use a repository that was saved as {' or '.join(KINDS)}.",
        )
    made = getattr(diffusers, kind)
    known = inspect.signature(made.__init__).parameters
    strange = sorted(key for key in config if not key.startswith("_") and key not in known)
    if strange:
        raise RenderFault(
            f"{kind} has no setting {names(strange)}.", "Use the repository as diffusers saved it."
        )
    module = made.from_config(config)
    tensors: dict[str, torch.Tensor] = {}
    for shard in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(shard)
    renamed = diffusers_names(tensors)
    fill(module, {renamed[name]: tensor for name, tensor in tensors.items()}, f"{folder} does not fit {kind}")
    return cast(module, dtype).eval()
