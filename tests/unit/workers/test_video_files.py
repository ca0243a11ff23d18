"""A clip as a video: the same frames at a constant rate, its colours, its sound, and what it says about itself."""

import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from policy.clips import VideoKind
from registry.evidence.disclosure import says_machine_made
from workers.clip_files import marked_clip
from workers.marking import Marking
from workers.sound_files import marked_wav
from workers.video_files import SOURCE_TYPE, Film, write_video

MARKING = Marking(shot_key="a" * 64, stack_id="b" * 64)
RAMP = np.linspace(0, 255, 64, dtype=np.uint8)
FRAMES = np.stack([np.stack([np.roll(np.tile(RAMP, (48, 1)), 3 * n, 1)] * 3, axis=-1) for n in range(12)])
TONE = np.sin(np.linspace(0, 2 * np.pi * 220, 24000, dtype=np.float32))
CODECS = {VideoKind.MP4: ("h264", "aac"), VideoKind.WEBM: ("vp9", "opus")}
BT709, TELEVISION = 1, 1  # as H.273 numbers primaries, transfer and matrix; the range as FFmpeg does


def film(frames: np.ndarray = FRAMES, fps: float = 24, sound: bytes | None = None) -> Film:
    clip = marked_clip(frames, MARKING, fps=fps)
    return Film(clip=clip, frames=len(frames), fps=fps, marking=MARKING, sound=sound)


def written(folder: Path, kind: VideoKind, made: Film) -> bytes:
    target = folder / f"clip{kind.suffix}"
    write_video(target, kind, made)
    assert [path.name for path in folder.iterdir()] == [target.name], "nothing else is left behind"
    return target.read_bytes()


def decoded(body: bytes) -> tuple[list[Any], dict[str, str]]:
    with av.open(io.BytesIO(body)) as file:
        frames = list(file.decode(video=0))
        return frames, {name.lower(): value for name, value in file.metadata.items()}


@pytest.mark.parametrize("kind", list(VideoKind))
@pytest.mark.parametrize("fps", [8, 24, 23.976])
def test_a_copy_shows_every_frame_at_a_constant_rate(tmp_path, kind, fps):
    body = written(tmp_path, kind, film(fps=fps))
    with av.open(io.BytesIO(body)) as file:
        assert [(stream.type, stream.codec_context.name) for stream in file.streams] == [
            ("video", CODECS[kind][0])
        ]
        assert float(file.streams.video[0].average_rate) == pytest.approx(fps, rel=1e-4)
    frames, _ = decoded(body)
    assert [float(frame.time) for frame in frames] == pytest.approx(
        [number / fps for number in range(12)], abs=0.0006 if kind is VideoKind.WEBM else 1e-4
    ), "WebM counts milliseconds"
    shown = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    assert np.abs(shown.astype(int) - FRAMES).mean() < 4, "some loss, and the same picture"


@pytest.mark.parametrize("kind", list(VideoKind))
def test_frames_that_stand_in_the_clip_come_as_often_as_they_were_made(tmp_path, kind):
    """The animated WebP holds equal frames in a row once; a player is told of each."""
    frames = FRAMES[[0, 0, 0, 1, 1, 2]]
    still = np.repeat(FRAMES[:1], 5, axis=0)
    for number, made in enumerate((frames, still)):
        folder = tmp_path / str(number)
        folder.mkdir()
        seen, _ = decoded(written(folder, kind, film(made)))
        shown = np.stack([frame.to_ndarray(format="rgb24") for frame in seen]).astype(int)
        assert len(shown) == len(made)
        assert np.abs(shown - made).mean() < 4


@pytest.mark.parametrize("kind", list(VideoKind))
def test_colours_are_coded_as_bt_709_and_said_to_be(tmp_path, kind):
    """A pure red is luma 63 of BT.709 in the range of television; by BT.601, the default, it would be 81."""
    red = np.zeros((4, 48, 64, 3), np.uint8)
    red[..., 0] = 255
    red[:, :, :8] = [[[[n * 9, 0, 0]]] for n in range(4)]  # so that it moves
    body = written(tmp_path, kind, film(red))
    with av.open(io.BytesIO(body)) as file:
        context = file.streams.video[0].codec_context
        told = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        assert told == (BT709, BT709, BT709, TELEVISION)
    frames, _ = decoded(body)
    luma = np.asarray(frames[-1].to_ndarray())[:48, 32:].mean()
    assert luma == pytest.approx(63, abs=1.5)


@pytest.mark.parametrize("kind", list(VideoKind))
def test_a_copy_says_what_made_it_to_a_player_and_in_its_plain_bytes(tmp_path, kind):
    body = written(tmp_path, kind, film())
    _, told = decoded(body)
    assert told[SOURCE_TYPE.lower()] == MARKING.source.value
    assert told["rightstep:shot_key"] == MARKING.shot_key
    assert says_machine_made(body)
    assert MARKING.source.value.encode() in body
    assert not says_machine_made(body.replace(b"trainedAlgorithmicMedia", b"digitalCapture" + b" " * 9))


def test_an_mp4_begins_with_its_index_so_that_it_plays_while_it_comes(tmp_path):
    body = written(tmp_path, VideoKind.MP4, film())
    boxes, at = list[bytes](), 0
    while at < len(body):
        size, kind = struct.unpack_from(">I4s", body, at)
        boxes.append(kind)
        at += size
    assert at == len(body)
    assert boxes.index(b"moov") < boxes.index(b"mdat")
    assert boxes[-1] == b"uuid"


@pytest.mark.parametrize("kind", list(VideoKind))
def test_sound_is_heard_for_as_long_as_it_was_made(tmp_path, kind):
    sound = marked_wav(np.stack([TONE, TONE]), 24000, MARKING)
    body = written(tmp_path, kind, film(fps=12, sound=sound))
    with av.open(io.BytesIO(body)) as file:
        found = {stream.type: stream.codec_context.name for stream in file.streams}
        assert found == {"video": CODECS[kind][0], "audio": CODECS[kind][1]}
        heard = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    assert heard.shape[1] / 48000 == pytest.approx(1.0, abs=0.03)
    assert heard.std() == pytest.approx(TONE.std(), rel=0.1)


def test_what_is_seen_and_heard_together_lies_together(tmp_path):
    sound = marked_wav(np.stack([TONE, TONE]), 24000, MARKING)
    body = written(tmp_path, VideoKind.WEBM, film(fps=12, sound=sound))
    with av.open(io.BytesIO(body)) as file:
        kinds = [packet.stream.type for packet in file.demux() if packet.size]
    assert kinds[0] == "video" or kinds[1] == "video"
    assert kinds.index("audio") < 5, "not all of one before the other"
    assert max(place for place, kind in enumerate(kinds) if kind == "video") > kinds.index("audio") + 20


def test_a_torn_clip_leaves_no_half_of_a_video(tmp_path):
    torn = film().clip[:200]
    with pytest.raises(Exception, match="cannot be read"):
        write_video(tmp_path / "clip.mp4", VideoKind.MP4, Film(clip=torn, frames=12, fps=24, marking=MARKING))
    assert not (tmp_path / "clip.mp4").exists()
