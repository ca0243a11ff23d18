"""The names that Wan checkpoints were published under, and those that diffusers has for the same tensors.

Self Forcing, CausVid, LongLive and Krea Realtime publish the names of Wan's own code below
the prefix of a wrapper. What the table does not know is an error that names it: a tensor
that quietly stays behind draws wrong pictures without a word.

Sources: the names of Wan 2.1 and their counterparts, diffusers 0.42.1, loaders/single_file_utils.py;
``generator_ema`` and the wrapper's ``model.``, guandeh17/Self-Forcing@332c827, inference.py and
utils/wan_wrapper.py; ``generator`` in CausVid's file is recalled, not seen.
"""

import re
from collections.abc import Iterable

from policy.errors import RenderFault
from policy.wording import names as quoted

# Of a wrapper around the transformer, plain or sharded over several GPUs while it was trained.
PREFIXES = ("model._fsdp_wrapped_module.", "model.")

# Published -> diffusers, each with .weight and .bias; {n} is the number of a layer.
MODULES = (
    ("patch_embedding", "patch_embedding"),
    ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
    ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
    ("time_projection.1", "condition_embedder.time_proj"),
    ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
    ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
    ("blocks.{n}.self_attn.q", "blocks.{n}.attn1.to_q"),
    ("blocks.{n}.self_attn.k", "blocks.{n}.attn1.to_k"),
    ("blocks.{n}.self_attn.v", "blocks.{n}.attn1.to_v"),
    ("blocks.{n}.self_attn.o", "blocks.{n}.attn1.to_out.0"),
    ("blocks.{n}.self_attn.norm_q", "blocks.{n}.attn1.norm_q"),
    ("blocks.{n}.self_attn.norm_k", "blocks.{n}.attn1.norm_k"),
    ("blocks.{n}.cross_attn.q", "blocks.{n}.attn2.to_q"),
    ("blocks.{n}.cross_attn.k", "blocks.{n}.attn2.to_k"),
    ("blocks.{n}.cross_attn.v", "blocks.{n}.attn2.to_v"),
    ("blocks.{n}.cross_attn.o", "blocks.{n}.attn2.to_out.0"),
    ("blocks.{n}.cross_attn.norm_q", "blocks.{n}.attn2.norm_q"),
    ("blocks.{n}.cross_attn.norm_k", "blocks.{n}.attn2.norm_k"),
    (
        "blocks.{n}.norm3",
        "blocks.{n}.norm2",
    ),  # before the text: the third that was written, the second that runs
    ("blocks.{n}.ffn.0", "blocks.{n}.ffn.net.0.proj"),
    ("blocks.{n}.ffn.2", "blocks.{n}.ffn.net.2"),
    ("head.head", "proj_out"),
)
# Published -> diffusers, whole names: tables that belong to no module.
TABLES = (
    ("blocks.{n}.modulation", "blocks.{n}.scale_shift_table"),
    ("head.modulation", "scale_shift_table"),
)
LAYER = re.compile(r"\bblocks\.(\d+)\.")
RENAMED = dict(TABLES) | {
    f"{published}.{kind}": f"{ours}.{kind}" for published, ours in MODULES for kind in ("weight", "bias")
}


def diffusers_names(names: Iterable[str]) -> dict[str, str]:
    """Each name with the one that diffusers has for it, or with itself where no name is of Wan's own code.

    Raises RenderFault where some are and some are not.
    """
    listed = list(names)
    found = {name: _renamed(name) for name in listed}
    strange = sorted(name for name, renamed in found.items() if renamed is None)
    known = {name: renamed for name, renamed in found.items() if renamed is not None}
    if all(name == _stripped(name) == renamed for name, renamed in known.items()):
        return {name: name for name in listed}  # nothing, or only names that both have
    if strange:
        raise RenderFault(
            f"{len(strange)} of {len(listed)} tensors have names that Wan's code has not: {quoted(strange)}.",
            "Use the file as it was published.",
        )
    if len(set(known.values())) != len(known):
        raise RenderFault(
            "Two tensors of the checkpoint stand for one of the transformer.",
            "Use the file as it was published.",
        )
    return known


def _stripped(name: str) -> str:
    return next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)


def _renamed(name: str) -> str | None:
    plain = _stripped(name)
    layer = LAYER.match(plain)
    if layer is None:
        return RENAMED.get(plain)
    renamed = RENAMED.get(f"blocks.{{n}}.{plain[layer.end() :]}")
    return None if renamed is None else renamed.replace("{n}", layer.group(1))
