"""A clip as a WebM: the same frames at the same times, its sound, and what it says about itself."""

import io
from itertools import accumulate

import av
import numpy as np
import pytest

from workers.clip_files import durations, marked_clip, wav_file
from workers.marking import Marking
from workers.video_files import SOURCE_TYPE, webm_copy

MARKING = Marking(shot_key="a" * 64, stack_id="b" * 64)
ROWS = np.linspace(0, 255, 64, dtype=np.uint8)
FRAMES = np.stack([np.stack([np.roll(np.tile(ROWS, (48, 1)), 3 * n, 1)] * 3, axis=-1) for n in range(12)])


def test_a_copy_shows_every_frame_at_its_time_and_says_what_made_it():
    body = webm_copy(marked_clip(FRAMES, MARKING, fps=24), MARKING)
    with av.open(io.BytesIO(body)) as file:
        assert [(stream.type, stream.codec_context.name) for stream in file.streams] == [("video", "vp9")]
        frames = list(file.decode(video=0))
        told = {name.lower(): value for name, value in file.metadata.items()}
    begins = [0, *accumulate(durations(12, 24))][:-1]
    assert [round(float(frame.time) * 1000) for frame in frames] == begins
    shown = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    assert np.abs(shown.astype(int) - FRAMES).mean() < 4, "some loss, and the same picture"
    assert told[SOURCE_TYPE.lower()] == MARKING.source.value
    assert told["rightstep:shot_key"] == MARKING.shot_key


def test_sound_is_heard_for_as_long_as_it_was_made():
    tone = np.sin(np.linspace(0, 2 * np.pi * 220, 24000, dtype=np.float32))
    sound = wav_file(np.stack([tone, tone]), 24000)
    body = webm_copy(marked_clip(FRAMES, MARKING, fps=12), MARKING, sound)
    with av.open(io.BytesIO(body)) as file:
        assert {stream.type: stream.codec_context.name for stream in file.streams} == {
            "video": "vp9", "audio": "opus",
        }  # fmt: skip
        heard = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    seconds = heard.shape[1] / 48000
    assert seconds == pytest.approx(1.0, abs=0.03)
    assert heard.std() == pytest.approx(tone.std(), rel=0.1)
