"""From verified files to a resident diffusers pipeline, with everything its method adds."""

import inspect
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from policy.errors import RenderFault
from policy.stacks import ModelPin, Stack
from policy.tasks import StackLoad
from workers.adapters import LORA_ROLES, STAND_INS, adapter_name, apply_loras, load_lora, load_stand_in
from workers.clips import TWO_STAGES, UPSAMPLER
from workers.pipelines import pipeline_class

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
EXHAUSTED = ("out of memory", "can't allocate memory", "not enough memory")


def load_pipeline(load: StackLoad, device: str) -> Any:
    """Build the pipeline of a stack from its pinned files alone, LoRAs at their scales; raises RenderFault.

    With ``load.fuse`` the LoRAs are merged into the weights and dropped. They are never taken
    out again: unfusing drifts, so another stack is loaded afresh.
    """
    _require_loadable(load)
    roots = dict(zip((pin.pin_id for pin in load.stack.pins), load.parts, strict=True))
    loras = [adapter for adapter in load.stack.adapters if adapter.role in LORA_ROLES]
    try:
        with pinned_view(load.stack.base, Path(roots[load.stack.base.pin_id].root)) as folder:
            parts: dict[str, Any] = {}
            for adapter in load.stack.adapters:
                if adapter.role in LORA_ROLES:
                    continue
                with pinned_view(adapter, Path(roots[adapter.pin_id].root)) as beside:
                    made = pipeline_class(load.stack.pipeline)
                    component, module = load_stand_in(
                        adapter, beside, folder, made, dtype_of(load.stack, adapter.component)
                    )
                if component in parts:
                    raise RenderFault(
                        f"Two parts of {load.stack.name} stand in for its {component}.", "Use one of them."
                    )
                parts[component] = module
            upsampler = parts.pop(UPSAMPLER, None)
            pipeline = _load_base(load, folder, parts)
            if upsampler is not None:  # no part of the pipeline itself: it stands between two calls of it
                setattr(pipeline, UPSAMPLER, upsampler.to(device))
        for number, adapter in enumerate(loras):
            with pinned_view(adapter, Path(roots[adapter.pin_id].root)) as folder:
                load_lora(pipeline, adapter, folder, name=adapter_name(number), stack=load.stack.name)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as fault:
        if isinstance(fault, RuntimeError) and is_exhausted(fault):
            raise  # this worker is too small; the stack may be sound
        raise RenderFault(
            f"The stack {load.stack.name} cannot be loaded: {fault}",
            "Check that base and adapters belong together, and that the pins are complete.",
        ) from fault
    apply_loras(pipeline, loras, fuse=load.fuse)
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


def dtype_of(stack: Stack, component: str) -> torch.dtype:
    """What a part of the stack is computed in."""
    return DTYPES[dict(stack.component_dtypes).get(component, stack.dtype)]


def _require_loadable(load: StackLoad) -> None:
    stack = load.stack
    pipeline_class(stack.pipeline)
    for dtype in (stack.dtype, *(dtype for _, dtype in stack.component_dtypes)):
        if dtype not in DTYPES:
            raise RenderFault(f"The dtype {dtype} is unknown here.", f"Use one of {', '.join(DTYPES)}.")
    places = {*inspect.signature(pipeline_class(stack.pipeline).__init__).parameters}
    places |= {UPSAMPLER} if stack.pipeline in TWO_STAGES else set()
    for pin in stack.adapters:
        if pin.role in STAND_INS and (part := pin.component or STAND_INS[pin.role]) not in places:
            raise RenderFault(
                f"{stack.pipeline} has no place for a {part}, which {pin.repo} brings.",
                "Choose a method that is made for it.",
            )
    strange = [pin.repo for pin in stack.adapters if pin.role not in LORA_ROLES and pin.role not in STAND_INS]
    if strange:
        raise RenderFault(
            f"{' and '.join(strange)} is no LoRA and stands in for no part of a base.",
            "Choose a stack of a base, LoRAs, a motion adapter or upscaler, and another UNet or transformer.",
        )
    if [part.pin_id for part in load.parts] != [pin.pin_id for pin in stack.pins]:
        raise RenderFault(f"The files of {stack.name} are not located pin by pin.", "Plan the job again.")


def _load_base(load: StackLoad, folder: Path, parts: dict[str, Any]) -> Any:
    stack = load.stack
    made = pipeline_class(stack.pipeline)
    known = inspect.signature(made.__init__).parameters
    strange = [key for key, _ in stack.settings if key not in known]
    if strange:
        raise RenderFault(
            f"{stack.pipeline} has no setting {' or '.join(strange)}.", "Correct the settings of the preset."
        )
    absent = {name: None for name in ("safety_checker",) if name in made._optional_components}  # noqa: SLF001
    dtype: Any = DTYPES[stack.dtype]
    if stack.component_dtypes:
        dtype = {"default": dtype} | {name: DTYPES[told] for name, told in stack.component_dtypes}
    return made.from_pretrained(
        str(folder),
        dtype=dtype,
        variant=stack.variant or None,
        use_safetensors=True,
        local_files_only=True,
        **absent,
        **dict(stack.settings),
        **parts,
    )
