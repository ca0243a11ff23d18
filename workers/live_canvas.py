"""The live canvas on a diffusers pipeline: every frame is the plain image-to-image call, bit for bit.

The image-to-image pipeline is made of the loaded parts of the stack's own pipeline, so nothing is
loaded twice. A prompt is encoded when it changes; all else of a frame is computed for it.
"""

from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray

from policy.canvas import FROM_A_SKETCH, CanvasControls, CanvasLoad, refuse_controls
from policy.errors import RenderFault, WrongUse
from workers.finishing import quantised
from workers.renderer import RenderOptions
from workers.schedules import build_scheduler, require_published
from workers.shifts import Caller
from workers.sketches import picture_of
from workers.stack_loading import load_pipeline


class DiffusersCanvas:
    """Draws frames of one session after the other on one resident stack."""

    is_synthetic = False

    def __init__(self, options: RenderOptions) -> None:
        self._options = options
        self._pipeline: Any = None
        self._load: CanvasLoad | None = None
        self._encoded: tuple[str, Any] | None = None

    def load(self, load: CanvasLoad) -> None:
        """Make the stack of a session resident; its files are verified already."""
        self._pipeline = self._load = self._encoded = None  # free the old stack first
        torch.set_num_threads(self._options.threads)
        self._pipeline = from_a_sketch(load, load_pipeline(load.load, self._options.device))

    def open(self, load: CanvasLoad) -> None:
        """Begin a session on the resident stack; RenderFault where a schedule is not the published one."""
        caller = Caller(
            pipeline=load.load.stack.pipeline,
            settings=load.load.stack.settings,
            call=load.call,
            size=(load.width, load.height),
        )
        for steps in load.steps:
            published = next((one for one in load.schedules if one.steps == steps), None)
            require_published(load.scheduler, published, steps, caller)
        self._load, self._encoded = load, None

    def draw(self, controls: CanvasControls) -> NDArray[np.uint8]:
        """(height, width, 3) pixels of one frame."""
        load, pipeline = self._load, self._pipeline
        if load is None or pipeline is None:
            raise RenderFault("No session is open here.", "Open one first.")
        if refusal := refuse_controls(controls, load):
            raise WrongUse(refusal, "Send other controls.")
        torch.set_num_threads(self._options.threads)  # torch counts them per thread
        pipeline.scheduler = build_scheduler(load.scheduler)  # fresh: no state of the frame before
        made = pipeline(
            prompt_embeds=self._embeddings(controls.prompt),
            image=picture_of(controls.sketch, (load.width, load.height)),
            strength=controls.strength,
            num_inference_steps=controls.steps,
            generator=torch.Generator("cpu").manual_seed(controls.seed),
            output_type="np",
            **dict(load.guidance),
            **dict(load.call),
        )
        pixels: NDArray[np.uint8] = quantised(np.asarray(made.images))[0]
        return pixels

    def _embeddings(self, prompt: str) -> Any:
        if self._encoded is None or self._encoded[0] != prompt:
            with torch.no_grad():
                found, _ = self._pipeline.encode_prompt(
                    prompt,
                    device=torch.device(self._options.device),
                    num_images_per_prompt=1,
                    do_classifier_free_guidance=False,
                )
            self._encoded = prompt, found
        return self._encoded[1]


def from_a_sketch(load: CanvasLoad, pipeline: Any) -> Any:
    """The image-to-image pipeline of the same loaded parts; RenderFault where there is none."""
    name = FROM_A_SKETCH.get(load.load.stack.pipeline)
    if name is None:
        raise RenderFault(
            f"{load.load.stack.pipeline} draws from no sketch here.", f"Use {', '.join(FROM_A_SKETCH)}."
        )
    made = getattr(diffusers, name)(**pipeline.components, requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made
