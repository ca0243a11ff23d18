"""What a pipeline hands to its scheduler: noise levels, and a shift that may follow the size of the picture.

Flow-matching pipelines set their scheduler in the call, from the number of image tokens. What
each of them does there is done here with their own functions, so that a schedule is known without
any weights; the renderer then compares it with what the pipeline really set.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from transformers.utils import logging

from policy.errors import RenderFault
from policy.methods import Plain

TOKEN = 16  # pixels of an image token, each way: an autoencoder by 8, patches of 2
KREA2_DISTILLED_MU = 1.15  # pipelines/krea2/pipeline_krea2.py


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The pipeline that sets a scheduler, with what its call says."""

    pipeline: str = ""  # class; "" for a scheduler that is set by its step count alone
    settings: tuple[tuple[str, Plain], ...] = ()  # of the pipeline, such as is_distilled
    call: tuple[tuple[str, Plain], ...] = ()  # its further arguments
    size: tuple[int, int] | None = None  # width and height in pixels


BARE = Caller()
Told = dict[str, Any]  # arguments of set_timesteps, beside the step count


def told_by_pipeline(caller: Caller, scheduler: Any, steps: int) -> Told:
    """What a pipeline adds when it sets its scheduler; RenderFault where that needs a size and has none."""
    rule = RULES.get(caller.pipeline)
    return rule(caller, scheduler.config, steps) if rule else {}


def _falling(caller: Caller, config: Mapping[str, Any], steps: int) -> Told:
    """Levels falling evenly to 1/steps, shifted with the number of tokens (FLUX.1, Qwen-Image, Z-Image)."""
    return _levels(steps) | _shift(caller, config, limit=4096, top=1.15)


def _klein(caller: Caller, config: Mapping[str, Any], steps: int) -> Told:
    """The same, shifted by a fit over tokens and steps (FLUX.2-klein)."""
    if not config.get("use_dynamic_shifting"):
        return _levels(steps)
    fit = _own("flux2.pipeline_flux2_klein", "compute_empirical_mu")
    return _levels(steps) | {"mu": fit(image_seq_len=_tokens(caller), num_steps=steps)}


def _krea2(caller: Caller, config: Mapping[str, Any], steps: int) -> Told:
    """The same as FLUX.1 over a wider range; distilled, one fixed shift."""
    if dict(caller.settings).get("is_distilled"):
        return _levels(steps) | {"mu": KREA2_DISTILLED_MU}
    return _levels(steps) | _shift(caller, config, limit=6400, top=1.15)


def _sd3(caller: Caller, config: Mapping[str, Any], steps: int) -> Told:
    """The scheduler's own levels."""
    del steps
    return _shift(caller, config, limit=4096, top=1.16)


def _sprint(caller: Caller, config: Mapping[str, Any], steps: int) -> Told:
    """From max_timesteps down; two steps have a middle of their own."""
    del config
    call = dict(caller.call)
    return {
        "max_timesteps": call.get("max_timesteps", 1.57080),
        "intermediate_timesteps": call.get("intermediate_timesteps", 1.3) if steps == 2 else None,
    }


RULES: dict[str, Callable[[Caller, Mapping[str, Any], int], Told]] = {
    "Flux2KleinKVPipeline": _klein,
    "Flux2KleinPipeline": _klein,
    "FluxPipeline": _falling,
    "Krea2Pipeline": _krea2,
    "QwenImagePipeline": _falling,
    "SanaSprintPipeline": _sprint,
    "StableDiffusion3Pipeline": _sd3,
    "ZImagePipeline": _falling,
}


def _levels(steps: int) -> Told:
    return {"sigmas": np.linspace(1.0, 1 / steps, steps)}


def _shift(caller: Caller, config: Mapping[str, Any], *, limit: int, top: float) -> Told:
    """The shift for the size, where the scheduler takes one; ``limit`` and ``top`` where it names none."""
    if not config.get("use_dynamic_shifting"):
        return {}
    names = {"base_seq_len": ("base_image_seq_len", 256), "max_seq_len": ("max_image_seq_len", limit),
             "base_shift": ("base_shift", 0.5), "max_shift": ("max_shift", top)}  # fmt: skip
    line = {name: config.get(key, default) for name, (key, default) in names.items()}
    if line["base_shift"] == line["max_shift"]:
        return {"mu": line["base_shift"]}  # the same at every size
    return {"mu": _own("flux.pipeline_flux", "calculate_shift")(_tokens(caller), **line)}


def _own(module: str, name: str) -> Callable[..., float]:
    """A function of diffusers' pipelines, whose import takes seconds and talks: only where it is needed."""
    logging.set_verbosity_error()
    return getattr(import_module(f"diffusers.pipelines.{module}"), name)


def _tokens(caller: Caller) -> int:
    if caller.size is None:
        raise RenderFault(
            f"The schedule of {caller.pipeline} follows the size of the picture, and none is given.",
            "Name a width and a height.",
        )
    width, height = caller.size
    return (width // TOKEN) * (height // TOKEN)
