"""A clip as an MP4 or a WebM, with its sound: for players that show no WebP; needs the extra ``video``.

MP4 is H.264 and AAC, made by libx264, which the wheel of PyAV bundles under the GPL; WebM is VP9 and
Opus, which are free of it. Both lose some quality, so a copy is made from the kept clip when somebody
wants it, and is never what was made. Frames come at a constant rate, in the colours of BT.709.

A frame is decoded, encoded and let go before the next: memory holds what the encoder looks ahead (some
tens of frames), however long the clip is, and the copy is written straight to its file.
"""

import io
import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from policy.clips import VideoKind
from policy.errors import WrongUse
from workers.clip_files import evenly_timed
from workers.marking import SHOT_KEY, STACK_ID, Marking, packet_of

SOURCE_TYPE = "IPTC:DigitalSourceType"
SOUND_RATE = 48000  # samples a second, of both sound codecs
FINEST = 1001  # the denominator of 24000/1001, the rates of television
XMP_BOX = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")  # XMP specification, part 3: ISO base media files


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    """A kept clip, and what its file does not say as exactly as a video has to."""

    clip: bytes  # animated WebP
    frames: int
    fps: float
    marking: Marking
    sound: bytes | None = None  # a WAV that is heard with it


@dataclass(frozen=True, kw_only=True, slots=True)
class _Codecs:
    """Who encodes, at constant quality: as many bits as it takes."""

    seen: str
    heard: str
    quality: dict[str, str]
    container: dict[str, str]


CODECS = {
    VideoKind.MP4: _Codecs(
        seen="libx264",
        heard="aac",
        quality={"crf": "16"},
        container={
            "movflags": "+faststart+use_metadata_tags"
        },  # plays before all of it is there; keeps our keys
    ),
    VideoKind.WEBM: _Codecs(
        seen="libvpx-vp9", heard="libopus", quality={"crf": "20", "b": "0", "row-mt": "0"}, container={}
    ),
}


def require_encoders(kind: VideoKind) -> None:
    """WrongUse where the extra is missing, or came from somebody who left these encoders out."""
    remedy = "Install rightstep[video], or take the animated WebP."
    if find_spec("av") is None:
        raise WrongUse(f"Clips cannot be copied into {kind.value}: the extra video is not installed.", remedy)
    import av  # noqa: PLC0415 - an extra

    missing = sorted({CODECS[kind].seen, CODECS[kind].heard} - av.codecs_available)
    if missing:
        raise WrongUse(f"Clips cannot be copied into {kind.value}: this PyAV has no {missing[0]}.", remedy)


def write_video(target: Path, kind: VideoKind, film: Film) -> None:
    """Write a copy of a clip, marked, whole or not at all; WrongUse where the extra is missing."""
    require_encoders(kind)
    fresh = target.with_name(f".{target.name}.part")
    _encode(fresh, kind, film)
    if kind is VideoKind.MP4:
        _add_packet(fresh, packet_of(film.marking))
    fresh.replace(target)


def _encode(target: Path, kind: VideoKind, film: Film) -> None:
    import av  # noqa: PLC0415 - an extra

    codecs = CODECS[kind]
    rate = Fraction(film.fps).limit_denominator(FINEST)
    marking = film.marking
    with av.open(str(target), "w", format=kind.value, options=codecs.container) as container:
        container.metadata.update(
            {SHOT_KEY: marking.shot_key, STACK_ID: marking.stack_id, SOURCE_TYPE: marking.source.value}
        )
        seen: Any = container.add_stream(codecs.seen, rate=rate, options=codecs.quality)
        heard: Any = None
        if film.sound is not None:
            heard = container.add_stream(codecs.heard, rate=SOUND_RATE, layout="stereo")
        sounds = iter(()) if film.sound is None else _resampled(film.sound, heard)
        heard_until = Fraction(-1)
        for number, pixels in enumerate(evenly_timed(film.clip, film.frames, film.fps)):
            if number == 0:
                _prepare(seen, pixels.shape, rate)
            container.mux(seen.encode(_frame(pixels, number, rate)))
            while heard_until <= number / rate and (sound := next(sounds, None)) is not None:
                container.mux(heard.encode(sound))  # what belongs together lies together
                heard_until = Fraction(sound.pts, SOUND_RATE)
        container.mux(seen.encode())
        for sound in sounds:
            container.mux(heard.encode(sound))
        if heard is not None:
            container.mux(heard.encode())


def _prepare(stream: Any, shape: tuple[int, ...], rate: Fraction) -> None:
    """Size, and that the colours are BT.709 in the range of television: both coded and said."""
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc  # noqa: PLC0415 - an extra

    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / rate
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709


def _frame(pixels: np.ndarray[Any, np.dtype[np.uint8]], number: int, rate: Fraction) -> Any:
    import av  # noqa: PLC0415 - an extra
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc  # noqa: PLC0415 - an extra

    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        dst_color_trc=ColorTrc.BT709,
        dst_color_primaries=ColorPrimaries.BT709,
    )
    frame.pts, frame.time_base = number, 1 / rate
    return frame


def _resampled(sound: bytes, stream: Any) -> Iterator[Any]:
    """The samples of a WAV at the rate, in the form and in the portions that an encoder takes."""
    import av  # noqa: PLC0415 - an extra

    with wave.open(io.BytesIO(sound)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono" if channels == 1 else "stereo")
    frame.sample_rate, frame.pts = rate, 0
    context = stream.codec_context
    context.open(strict=False)  # only then it says how many samples it takes at once
    resampler = av.AudioResampler(
        format=context.format, layout=context.layout, rate=SOUND_RATE, frame_size=context.frame_size
    )
    yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _add_packet(file: Path, packet: str) -> None:
    """Put an XMP packet behind everything else in an MP4: no place in it that others point to moves."""
    body = packet.encode()
    with file.open("ab") as stream:
        stream.write(struct.pack(">I4s", 8 + len(XMP_BOX) + len(body), b"uuid") + XMP_BOX + body)
