"""From verified files to a resident diffusers pipeline, its LoRAs counted and fused once."""

import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import peft  # noqa: F401  # pyright: ignore[reportUnusedImport] - now, so that a load measures loading
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors import safe_open

from policy.errors import RenderFault
from policy.stacks import AdapterPin, ModelPin, Role
from policy.tasks import StackLoad

PIPELINES: dict[str, Any] = {
    made.__name__: made for made in (StableDiffusionPipeline, StableDiffusionXLPipeline)
}
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
LORA_ROLES = {Role.LORA, Role.DISTILL_LORA}
EXHAUSTED = ("out of memory", "can't allocate memory", "not enough memory")
SHOWN = 6  # tensors named in a refusal


def load_pipeline(load: StackLoad, device: str) -> Any:
    """Build the pipeline of a stack from its pinned files alone, LoRAs at their scales; raises RenderFault.

    With ``load.fuse`` the LoRAs are merged into the weights and dropped. They are never taken
    out again: unfusing drifts, so another stack is loaded afresh.
    """
    _require_loadable(load)
    roots = dict(zip((pin.pin_id for pin in load.stack.pins), load.parts, strict=True))
    try:
        with pinned_view(load.stack.base, Path(roots[load.stack.base.pin_id].root)) as folder:
            pipeline = _load_base(load, folder)
        for number, adapter in enumerate(load.stack.adapters):
            with pinned_view(adapter, Path(roots[adapter.pin_id].root)) as folder:
                _load_lora(pipeline, adapter, folder, name=adapter_name(number), load=load)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as fault:
        if isinstance(fault, RuntimeError) and is_exhausted(fault):
            raise  # this worker is too small; the stack may be sound
        raise RenderFault(
            f"The stack {load.stack.name} cannot be loaded: {fault}",
            "Check that base and adapters belong together, and that the pins are complete.",
        ) from fault
    _apply_loras(pipeline, load)
    pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def pinned_view(pin: ModelPin, root: Path) -> Generator[Path]:
    """A folder that shows the pinned files and nothing else, so that no unverified byte can be loaded."""
    with tempfile.TemporaryDirectory(prefix="rightstep-view-") as name:
        folder = Path(name)
        for file in pin.files:
            relative = PurePosixPath(file.path)
            if relative.is_absolute() or ".." in relative.parts:
                raise RenderFault(
                    f"The pinned path {file.path} of {pin.repo} leaves its repository.", "Pin it again."
                )
            link = folder / relative
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((root / relative).resolve())
        yield folder


def is_exhausted(fault: RuntimeError) -> bool:
    """Whether a failure means that memory ran out, on a GPU or on the host."""
    return isinstance(fault, torch.OutOfMemoryError) or any(words in str(fault) for words in EXHAUSTED)


def adapter_name(number: int) -> str:
    """The name an adapter of the stack has inside the pipeline."""
    return f"adapter_{number}"


def lora_file(adapter: AdapterPin) -> str:
    """The weight file of an adapter: the one that is named, else the only one there is."""
    if adapter.file:
        return adapter.file
    weights = [file.path for file in adapter.files if file.path.endswith(".safetensors")]
    if len(weights) != 1:
        raise RenderFault(
            f"{adapter.repo} pins {len(weights)} safetensors files, and a LoRA is exactly one.",
            "Pin only the file that the recipe loads.",
        )
    return weights[0]


def _require_loadable(load: StackLoad) -> None:
    stack = load.stack
    if stack.pipeline not in PIPELINES:
        raise RenderFault(
            f"The pipeline {stack.pipeline} is not on the list of allowed ones.",
            f"Use one of {', '.join(PIPELINES)}.",
        )
    if stack.dtype not in DTYPES:
        raise RenderFault(f"The dtype {stack.dtype} is unknown here.", f"Use one of {', '.join(DTYPES)}.")
    strange = [pin.repo for pin in stack.adapters if pin.role not in LORA_ROLES]
    if strange:
        raise RenderFault(
            f"{' and '.join(strange)} is no LoRA, and this renderer applies only LoRAs to a base.",
            "Choose a stack of a base and LoRAs.",
        )
    if [part.pin_id for part in load.parts] != [pin.pin_id for pin in stack.pins]:
        raise RenderFault(f"The files of {stack.name} are not located pin by pin.", "Plan the job again.")


def _load_base(load: StackLoad, folder: Path) -> Any:
    made = PIPELINES[load.stack.pipeline]
    absent = {name: None for name in ("safety_checker",) if name in made._optional_components}  # noqa: SLF001
    return made.from_pretrained(
        str(folder), dtype=DTYPES[load.stack.dtype], use_safetensors=True, local_files_only=True, **absent
    )


def _load_lora(pipeline: Any, adapter: AdapterPin, folder: Path, *, name: str, load: StackLoad) -> None:
    weights = lora_file(adapter)
    with safe_open(folder / weights, framework="pt") as tensors:
        wanted = sorted(key for key in tensors.keys() if not key.endswith(".alpha"))  # noqa: SIM118 - not a mapping
    expected = adapter.expected_tensors
    if expected is not None and len(wanted) != expected:
        raise RenderFault(
            f"{adapter.repo} holds {len(wanted)} LoRA tensors where its recipe names {expected}.",
            "Pin the file that the preset was published for.",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # peft warns and goes on; here it is counted
        pipeline.load_lora_weights(str(folder), weight_name=weights, adapter_name=name, local_files_only=True)
    landed = landed_tensors(pipeline, name)
    if len(landed) != len(wanted):
        lost = _lost(wanted, landed)
        raise RenderFault(
            f"{len(wanted) - len(landed)} of {len(wanted)} tensors of {adapter.repo} found no place "
            f"in {load.stack.name}{': ' + lost if lost else ''}.",
            "A LoRA that lands in part draws wrong pictures without a word; use one made for this base.",
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


def _lora_modules(pipeline: Any) -> list[tuple[str, Any]]:
    """The parts of a pipeline that can carry a LoRA, by name."""
    names = pipeline._lora_loadable_modules  # noqa: SLF001 - diffusers offers no public list
    return [(name, module) for name in names if (module := getattr(pipeline, name, None)) is not None]


def _lost(wanted: list[str], landed: list[str]) -> str:
    """Names of the tensors that found no place, where the file names them as the pipeline does."""
    places = {
        ".".join(part for part in name.split(".") if not part.startswith("adapter_")) for name in landed
    }
    missing = [key for key in wanted if key not in places]
    if len(missing) != len(wanted) - len(
        landed
    ):  # another naming scheme: the count is known, the names are not
        return ""
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    return ", ".join(missing[:SHOWN]) + more


def _apply_loras(pipeline: Any, load: StackLoad) -> None:
    if not load.stack.adapters:
        return
    names = [adapter_name(number) for number in range(len(load.stack.adapters))]
    pipeline.set_adapters(names, adapter_weights=[adapter.scale for adapter in load.stack.adapters])
    if load.fuse:
        components = [name for name, _ in _lora_modules(pipeline)]
        pipeline.fuse_lora(components=components, adapter_names=names, safe_fusing=True)
        pipeline.unload_lora_weights()  # drops the merged adapters; the merged weights stay
