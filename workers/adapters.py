"""What a method adds to a base, landed to the last tensor or refused: LoRAs, and parts that stand in."""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import diffusers
import torch
from diffusers.loaders.single_file_utils import convert_ltx2_transformer_to_diffusers
from diffusers.pipelines.ltx2 import LTX2LatentUpsamplerModel
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import safe_open
from safetensors.torch import load_file

from policy.errors import RenderFault
from policy.stacks import AdapterPin, Role
from workers.causal.checkpoint_keys import diffusers_names

LORA_ROLES = frozenset({Role.LORA, Role.DISTILL_LORA})
STAND_INS = {
    Role.UNET: "unet",
    Role.TRANSFORMER: "transformer",
    Role.MOTION_ADAPTER: "motion_adapter",
    Role.UPSCALER: "latent_upsampler",
}
ADDED = {
    "motion_adapter": "MotionAdapter",
    "latent_upsampler": "LTX2LatentUpsamplerModel",
}  # parts that no base of their own has, by what they must be
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt"})
HALVES = (torch.float16, torch.bfloat16)
LTX_TRANSFORMER = "model.diffusion_model."  # where the transformer is in a checkpoint of LTX-2
SHOWN = 6  # tensors named in a refusal


def adapter_name(number: int) -> str:
    """The name an adapter of the stack has inside the pipeline."""
    return f"adapter_{number}"


def weight_file(adapter: AdapterPin) -> str:
    """The weight file of an adapter: the one that is named, else the only one there is.

    One that was published as a pickle is read from the safetensors file it was imported to.
    """
    weights = [file.path for file in adapter.files if file.path.endswith(".safetensors")]
    if adapter.file:
        named = PurePosixPath(adapter.file)
        wanted = str(named.with_suffix(".safetensors")) if named.suffix in PICKLES else adapter.file
        if wanted not in weights:
            raise RenderFault(
                f"{adapter.repo} pins no {wanted}, which its recipe loads.",
                "Pin that file; import it first where it is published as a pickle.",
            )
        return wanted
    if len(weights) != 1:
        raise RenderFault(
            f"{adapter.repo} pins {len(weights)} safetensors files, and a LoRA is exactly one.",
            "Pin only the file that the recipe loads.",
        )
    return weights[0]


def load_stand_in(
    adapter: AdapterPin, folder: Path, base: Path, made_by: Any, dtype: torch.dtype
) -> tuple[str, Any]:
    """A weight file in place of a part of the base, or beside it; every tensor must be there, and no other.

    Its configuration is the one beside the file, else the base's own.
    """
    component = adapter.component or STAND_INS[adapter.role]
    weights = folder / weight_file(adapter)
    config = _config_of(adapter, weights.parent / "config.json", base, component)
    kind = config.get("_class_name", "")
    index = json.loads((base / "model_index.json").read_text())
    wanted = ADDED.get(component) or index.get(component, [None, None])[1]
    if wanted != kind:
        raise RenderFault(
            f"{adapter.repo} brings a {kind or 'part of no known kind'} for the {component} of "
            f"{made_by.__name__}, which is a {wanted}.",
            "Choose a method that is made for this base.",
        )
    made = LTX2LatentUpsamplerModel if component == "latent_upsampler" else getattr(diffusers, kind)
    module = made.from_config(config)
    tensors = _renamed(load_file(weights), kind)
    fill(module, tensors, f"{adapter.file or adapter.repo} does not fit the {component}")
    return component, cast(module, dtype).eval()


def cast(module: Any, dtype: torch.dtype) -> Any:
    """A module in a dtype, but for what its class keeps in 32 bits: as ``from_pretrained`` has it."""
    kept = set(module._keep_in_fp32_modules or ())  # noqa: SLF001 - diffusers offers no public list
    if not kept or dtype not in HALVES:
        return module.to(dtype)
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if kept.isdisjoint(name.split(".")):
            tensor.data = tensor.data.to(dtype)
    return module


def fill(module: Any, tensors: Mapping[str, torch.Tensor], fault: str) -> None:
    """Put tensors in their places: every place is filled and none is left over, or RenderFault names them."""
    places = {name: value.shape for name, value in module.state_dict().items()}
    missing, strange = sorted(places.keys() - tensors.keys()), sorted(tensors.keys() - places.keys())
    bent = sorted(name for name in places.keys() & tensors.keys() if places[name] != tensors[name].shape)
    faults = [
        f"{len(names)} {what} ({shown(names)})"
        for what, names in (("missing", missing), ("unexpected", strange), ("of another shape", bent))
        if names
    ]
    if faults:
        raise RenderFault(
            f"{fault}: tensors {'; '.join(faults)}.", "Use the file that was published for this base."
        )
    module.load_state_dict(tensors, strict=True)


def _renamed(tensors: dict[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
    """Tensors of a published checkpoint under the names of diffusers; one of LTX-2 also holds other parts."""
    if kind == "WanTransformer3DModel":
        named = diffusers_names(tensors)
        return {named[name]: tensor for name, tensor in tensors.items()}
    own = {name: value for name, value in tensors.items() if name.startswith(LTX_TRANSFORMER)}
    return convert_ltx2_transformer_to_diffusers(own) if own else tensors


def _config_of(adapter: AdapterPin, beside: Path, base: Path, component: str) -> dict[str, Any]:
    if beside.exists():
        return json.loads(beside.read_text())
    if adapter.role is not Role.MOTION_ADAPTER:
        return json.loads((base / component / "config.json").read_text())
    # Published without one: what the class says by itself, at the widths of the UNet it goes between.
    unet = json.loads((base / "unet" / "config.json").read_text())
    return {
        "_class_name": ADDED["motion_adapter"],
        "block_out_channels": unet["block_out_channels"],
        "motion_layers_per_block": unet["layers_per_block"],
        "motion_norm_num_groups": unet["norm_num_groups"],
    }


def load_lora(pipeline: Any, adapter: AdapterPin, folder: Path, *, name: str, stack: str) -> None:
    """Attach a LoRA of which every tensor must find its place; raises RenderFault."""
    weights = weight_file(adapter)
    with safe_open(folder / weights, framework="pt") as tensors:
        keys = list(tensors.keys())
    wanted = sorted(key for key in keys if not key.endswith(".alpha"))
    expected = adapter.expected_tensors
    if expected is not None and len(wanted) != expected:
        raise RenderFault(
            f"{adapter.repo} holds {len(wanted)} LoRA tensors where its recipe names {expected}.",
            "Pin the file that the preset was published for.",
        )
    orphans = _orphaned_alphas(keys)
    if orphans:
        raise RenderFault(
            f"{len(orphans)} alphas of {adapter.repo} belong to no tensor: {shown(orphans)}.",
            "Pin the file that the preset was published for.",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # peft warns and goes on; here it is counted
        pipeline.load_lora_weights(
            str(folder), weight_name=weights, adapter_name=name, local_files_only=True, **_expert(adapter)
        )
    landed = landed_tensors(pipeline, name)
    if len(landed) != len(wanted):
        lost = _lost(wanted, landed)
        raise RenderFault(
            f"{len(wanted) - len(landed)} of {len(wanted)} tensors of {adapter.repo} found no place "
            f"in {stack}{': ' + lost if lost else ''}.",
            "A LoRA that lands in part draws wrong pictures without a word; use one made for this base.",
        )
    if adapter.component and any(not place.startswith(f"{adapter.component}.") for place in landed):
        raise RenderFault(
            f"{adapter.repo} lands beside the {adapter.component} it is published for.",
            "Correct the component of the preset.",
        )


def apply_loras(pipeline: Any, adapters: Sequence[AdapterPin], *, fuse: bool) -> None:
    """Set every LoRA to its scale; with ``fuse`` they are merged into the weights and dropped."""
    if not adapters:
        return
    names = [adapter_name(number) for number in range(len(adapters))]
    pipeline.set_adapters(names, adapter_weights=[adapter.scale for adapter in adapters])
    if fuse:
        components = [name for name, _ in _lora_modules(pipeline)]
        pipeline.fuse_lora(components=components, adapter_names=names, safe_fusing=True)
        _require_merged(pipeline)
        pipeline.unload_lora_weights()  # drops the merged adapters; the merged weights stay


def _expert(adapter: AdapterPin) -> dict[str, bool]:
    """How a pipeline with two experts is told that a LoRA is the second one's."""
    return {"load_into_transformer_2": True} if adapter.component == "transformer_2" else {}


def _require_merged(pipeline: Any) -> None:
    """Fusing names no part by itself but the first, so a second expert could be left as it was."""
    left = [
        f"{component}.{name}"
        for component, module in _lora_modules(pipeline)
        for name, part in module.named_modules()
        if isinstance(part, BaseTunerLayer) and not part.merged
    ]
    if left:
        raise RenderFault(
            f"{len(left)} layers kept their LoRA apart when it was fused: {shown(left)}.",
            "Report this: the installed diffusers fuses otherwise than expected.",
        )


def landed_tensors(pipeline: Any, name: str) -> list[str]:
    """Parameters of an adapter that are really attached, by component."""
    found: list[str] = []
    for component, module in _lora_modules(pipeline):
        found += [
            f"{component}.{parameter}"
            for parameter, _ in module.named_parameters()
            if ".lora_" in parameter and f".{name}" in parameter
        ]
    return found


def shown(names: Sequence[str]) -> str:
    """The first few of many names."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _lora_modules(pipeline: Any) -> list[tuple[str, Any]]:
    """The parts of a pipeline that can carry a LoRA, by name."""
    names = pipeline._lora_loadable_modules  # noqa: SLF001 - diffusers offers no public list
    return [(name, module) for name in names if (module := getattr(pipeline, name, None)) is not None]


def _orphaned_alphas(keys: Sequence[str]) -> list[str]:
    stems = {key.rsplit(".lora", 1)[0] for key in keys if ".lora" in key}
    return sorted(key for key in keys if key.endswith(".alpha") and key.removesuffix(".alpha") not in stems)


def _lost(wanted: list[str], landed: list[str]) -> str:
    """Names of the tensors that found no place, where the file names them as the pipeline does."""
    places = {
        ".".join(part for part in name.split(".") if not part.startswith("adapter_")) for name in landed
    }
    missing = [key for key in wanted if key not in places]
    if len(missing) != len(wanted) - len(landed):
        return ""  # another naming scheme: the count is known, the names are not
    return shown(missing)
