"""What is particular to clips: many frames a shot, sound with them, and a second stage at twice the size."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers
import numpy as np

from policy.errors import RenderFault
from policy.tasks import RenderTask
from workers.renderer import Pictures, Sound
from workers.schedules import LiveSchedule, live_schedule, pipeline_schedule

CLIP_DIMENSIONS = 5  # clips, frames, height, width, channels
UPSAMPLER = "latent_upsampler"
TWO_STAGES = ("LTX2Pipeline",)  # pipelines that are called again on what the upsampler made
Run = Callable[[LiveSchedule, dict[str, Any]], Any]  # one call of the pipeline, watched


def pictures_of(output: Any, frames: int) -> Pictures:
    """What a pipeline made: (pictures, height, width, 3), or (clips, frames, height, width, 3) of clips.

    A clip of one frame is a picture.
    """
    made = output.images if hasattr(output, "images") else output.frames
    found = np.asarray(made)
    return found[:, 0] if frames == 1 and found.ndim == CLIP_DIMENSIONS else found


def sound_of(output: Any, pipeline: Any) -> Sound | None:
    """What a pipeline made to be heard with its frames; None where it makes none."""
    made = getattr(output, "audio", None)
    if made is None:
        return None
    return Sound(samples=made.float().cpu().numpy(), rate=int(pipeline.vocoder.config.output_sampling_rate))


def run_stages(
    pipeline: Any, task: RenderTask, arguments: dict[str, Any], expected: LiveSchedule, run: Run
) -> Any:
    """One call, or two: at half the size to latents, enlarged as latents, and noised and denoised again.

    The generators go on from one stage to the other. Sound is carried through both.
    """
    schedule = task.schedule
    if schedule is None or not schedule.second_sigmas:
        return run(expected, arguments | {"output_type": "np"})
    enlarge = getattr(pipeline, UPSAMPLER, None)
    if enlarge is None:
        raise RenderFault(
            f"{task.preset} enlarges its latents between two stages, and the stack has nothing to do it.",
            "Pin the upscaler of the preset.",
        )
    small: dict[str, Any] = {"width": task.width // 2, "height": task.height // 2}
    first = run(expected, arguments | small | {"output_type": "latent"})
    between = diffusers.LTX2LatentUpsamplePipeline(vae=pipeline.vae, latent_upsampler=enlarge)
    between.set_progress_bar_config(disable=True)
    latents = between(
        latents=first.frames, num_frames=task.frames, **small, output_type="latent", return_dict=False
    )[0]
    second = replace(schedule, sigmas=schedule.second_sigmas)
    steps = len(schedule.second_sigmas)
    told = {
        "latents": latents,
        "audio_latents": first.audio,
        "noise_scale": schedule.second_sigmas[0],
        "output_type": "np",
        **pipeline_schedule(second, steps),
    }
    return run(live_schedule(task.scheduler, steps, second), arguments | told)
