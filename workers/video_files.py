"""A clip as a WebM: for players that show no animated WebP, and with its sound; needs the extra ``video``.

VP9 and Opus, both free to use; nothing here touches the H.264 and H.265 encoders that the
wheel of PyAV bundles under the GPL. The copy loses some quality, so it is made from the kept
clip when somebody wants it, and is never what was made.
"""

import io
import wave
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import numpy as np

from policy.errors import WrongUse
from workers.clip_files import decoded_frames
from workers.marking import SHOT_KEY, STACK_ID, Marking

MILLISECOND = Fraction(1, 1000)
QUALITY = {"crf": "20", "b": "0", "row-mt": "0"}  # constant quality, whatever it takes
OPUS_RATE = 48000
SOURCE_TYPE = "IPTC:DigitalSourceType"


def is_available() -> bool:
    """Whether the extra is installed."""
    return find_spec("av") is not None


def webm_copy(clip: bytes, marking: Marking, sound: bytes | None = None) -> bytes:
    """A kept clip as a WebM with the same times; ``sound`` is a WAV to be heard with it."""
    if not is_available():
        raise WrongUse(
            "Clips cannot be written as WebM: the extra video is not installed.",
            "Install rightstep[video], or take the animated WebP.",
        )
    import av  # noqa: PLC0415 - an extra

    frames, times = decoded_frames(clip)
    target = io.BytesIO()
    with av.open(target, "w", format="webm") as container:
        container.metadata.update(
            {SHOT_KEY: marking.shot_key, STACK_ID: marking.stack_id, SOURCE_TYPE: marking.source.value}
        )
        seen: Any = container.add_stream("libvpx-vp9", rate=1000, options=QUALITY)
        seen.height, seen.width = frames.shape[1:3]
        seen.pix_fmt = "yuv420p"
        seen.time_base = seen.codec_context.time_base = MILLISECOND
        heard: Any = container.add_stream("libopus", rate=OPUS_RATE) if sound is not None else None
        begins = 0
        for pixels, stands in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base, frame.duration = begins, MILLISECOND, stands
            container.mux(seen.encode(frame))
            begins += stands
        container.mux(seen.encode())
        if heard is not None and sound is not None:
            for frame in _resampled(sound):
                container.mux(heard.encode(frame))
            container.mux(heard.encode())
    return target.getvalue()


def _resampled(sound: bytes) -> list[Any]:
    """The samples of a WAV at the rate that Opus takes."""
    import av  # noqa: PLC0415 - an extra

    with wave.open(io.BytesIO(sound)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(1, -1)
    layout = "mono" if channels == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
    frame.sample_rate = rate
    frame.pts = 0
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=OPUS_RATE, frame_size=960)
    return [*resampler.resample(frame), *resampler.resample(None)]
