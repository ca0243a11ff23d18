"""What is particular to clips: many frames a shot, out of pipelines of their own."""

from typing import Any

import numpy as np

from workers.renderer import Pictures


def pictures_of(output: Any, frames: int) -> Pictures:
    """What a pipeline made: (pictures, height, width, 3), or (clips, frames, height, width, 3) of clips.

    A clip of one frame is a picture.
    """
    made = output.images if hasattr(output, "images") else output.frames
    found = np.asarray(made)
    return found[:, 0] if frames == 1 and found.ndim == CLIP_DIMENSIONS else found


CLIP_DIMENSIONS = 5
