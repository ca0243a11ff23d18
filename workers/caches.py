"""Training-free caches: diffusers hooks that skip work between steps, on for one call and off again.

FirstBlockCache needs a transformer with the cache mixin, and a pipeline that names its passes
(FLUX, FLUX.2, Qwen-Image). Of the hooks in diffusers 0.42.1 only PyramidAttentionBroadcast fits
a UNet: it finds attention layers by name and asks for nothing else.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import diffusers
from diffusers.hooks import HookRegistry, apply_pyramid_attention_broadcast
from diffusers.models.cache_utils import CacheMixin

from policy.errors import RenderFault
from policy.methods import CacheSpec

BROADCAST = "PyramidAttentionBroadcastConfig"
BROADCAST_HOOK = "pyramid_attention_broadcast"
ALLOWED = ("FirstBlockCacheConfig", BROADCAST)
_NEXT = "Correct the cache of the preset."


@contextmanager
def cached(pipeline: Any, spec: CacheSpec | None, timestep: Callable[[], float]) -> Generator[None]:
    """The pipeline under a cache, with nothing of it left afterwards; ``timestep`` tells the current one."""
    if spec is None:
        yield
        return
    module = getattr(pipeline, spec.component, None)
    if module is None:
        raise RenderFault(f"{type(pipeline).__name__} has no {spec.component} to cache.", _NEXT)
    config = _config(spec, timestep)
    if spec.class_name == BROADCAST:
        # By hand, on every model: a UNet lacks the cache mixin that would do it.
        apply_pyramid_attention_broadcast(module, config)
        try:
            if not _hooked(module):
                raise RenderFault(f"{spec.class_name} finds no attention in {spec.component}.", _NEXT)
            yield
        finally:
            HookRegistry.check_if_exists_or_initialize(module).remove_hook(BROADCAST_HOOK, recurse=True)
        return
    if not isinstance(module, CacheMixin):
        raise RenderFault(f"{spec.class_name} does not fit a {type(module).__name__}.", _NEXT)
    module.enable_cache(config)
    try:
        yield
    finally:
        module.disable_cache()


def _config(spec: CacheSpec, timestep: Callable[[], float]) -> Any:
    if spec.class_name not in ALLOWED:
        raise RenderFault(
            f"The cache {spec.class_name} is not on the list of allowed ones.",
            f"Use one of {', '.join(ALLOWED)}.",
        )
    made = getattr(diffusers, spec.class_name)
    asked = {"current_timestep_callback": timestep} if spec.class_name == BROADCAST else {}
    try:
        return made(**dict(spec.config), **dict(spec.ranges), **asked)
    except TypeError as fault:
        raise RenderFault(f"{spec.class_name} does not take these settings: {fault}", _NEXT) from fault


def _hooked(module: Any) -> bool:
    registries = (getattr(part, "_diffusers_hook", None) for part in module.modules())
    return any(registry and registry.get_hook(BROADCAST_HOOK) for registry in registries)
