"""The pipelines that may be run, and what a call of each is given."""

import inspect
from typing import Any

import diffusers

from policy.errors import RenderFault
from policy.tasks import RenderTask
from workers.schedules import pipeline_schedule

CLIPS = (
    "AnimateDiffPipeline",
    "LTX2Pipeline",
    "WanPipeline",
)
STREAMS = ("AnyFlowFARPipeline",)  # run by the causal engine alone, as is WanPipeline for its students
ALLOWED = (
    *CLIPS,
    *STREAMS,
    "Flux2KleinKVPipeline",
    "Flux2KleinPipeline",
    "FluxPipeline",
    "Krea2Pipeline",
    "LatentConsistencyModelPipeline",
    "QwenImagePipeline",
    "SanaSprintPipeline",
    "StableDiffusion3Pipeline",
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "ZImagePipeline",
)
DENOISERS = ("unet", "transformer", "transformer_2")


def pipeline_class(name: str) -> Any:
    """The class of an allowed pipeline; raises RenderFault."""
    if name not in ALLOWED:
        raise RenderFault(
            f"The pipeline {name} is not on the list of allowed ones.", f"Use one of {', '.join(ALLOWED)}."
        )
    return getattr(diffusers, name)


def denoisers(pipeline: Any) -> list[Any]:
    """What a pipeline runs once or more in every step."""
    return [module for name in DENOISERS if (module := getattr(pipeline, name, None)) is not None]


def call_arguments(task: RenderTask) -> dict[str, Any]:
    """What the plain call is given for a batch, apart from generators and output; raises RenderFault."""
    name = task.load.stack.pipeline
    known = inspect.signature(pipeline_class(name).__call__).parameters
    arguments: dict[str, Any] = {
        "prompt": [shot.prompt for shot in task.shots],
        "width": task.width,
        "height": task.height,
        **dict(task.guidance),
        **dict(task.call),
        **pipeline_schedule(task.schedule, task.steps),
    }
    if name in CLIPS:
        arguments["num_frames"] = task.frames
    if "intermediate_timesteps" in known and task.steps != 2:
        arguments.setdefault("intermediate_timesteps", None)  # its default is refused at any other count
    strange = sorted(set(arguments) - set(known))
    if strange:
        raise RenderFault(f"{name} takes no {' or '.join(strange)}.", "Correct the arguments of the preset.")
    own = arguments.pop("negative_prompt", "")  # of the recipe, for shots without one
    if "negative_prompt" in known and (own or any(shot.negative for shot in task.shots)):
        arguments["negative_prompt"] = [shot.negative or own for shot in task.shots]
    return arguments
