"""Frames in a file: none lost, each as long as the rate says, and the file says what it is."""

import io

import numpy as np
import pytest
from PIL import Image

from policy.errors import FormatFault
from registry.evidence.disclosure import says_machine_made
from workers.clip_files import decoded_frames, durations, marked_clip, middle_frame, smaller_clip
from workers.marking import DigitalSourceType, Marking, read_marking

MARKING = Marking(shot_key="a" * 64, stack_id="b" * 64)
FRAMES = np.random.default_rng(7).integers(0, 256, (9, 24, 32, 3), dtype=np.uint8)


def test_frames_come_back_to_the_last_bit():
    frames, times = decoded_frames(marked_clip(FRAMES, MARKING, fps=8))
    assert np.array_equal(frames, FRAMES)
    assert times == [125] * 9


@pytest.mark.parametrize(("fps", "count"), [(16, 81), (24, 121), (23.976, 240), (30, 1), (120, 7)])
def test_a_clip_is_as_long_as_its_frames_at_the_exact_rate(fps, count):
    times = durations(count, fps)
    assert len(times) == count
    assert sum(times) == round(1000 * count / fps)
    assert max(times) - min(times) <= 1, "a constant rate, to the millisecond that the format knows"


def test_the_same_frames_make_the_same_bytes():
    assert marked_clip(FRAMES, MARKING, fps=24) == marked_clip(FRAMES, MARKING, fps=24)
    assert marked_clip(FRAMES, MARKING, fps=24) != marked_clip(FRAMES, MARKING, fps=25)


@pytest.mark.parametrize("source", list(DigitalSourceType))
def test_a_clip_says_in_its_own_bytes_that_a_machine_made_it(tmp_path, source):
    marking = Marking(shot_key="a" * 64, stack_id="b" * 64, source=source)
    file = tmp_path / "clip.webp"
    file.write_bytes(marked_clip(FRAMES, marking, fps=8))
    assert read_marking(file) == marking
    assert says_machine_made(file.read_bytes())


def test_equal_frames_in_a_row_are_one_that_stands_as_long():
    still = np.concatenate([FRAMES[:1], FRAMES[:1], FRAMES[:1], FRAMES[1:2]])
    frames, times = decoded_frames(marked_clip(still, MARKING, fps=8))
    assert (len(frames), times) == (2, [375, 125])


@pytest.mark.parametrize(("count", "middle"), [(9, 4), (16, 8), (3, 1)])
def test_the_frame_at_half_time_stands_for_a_clip(count, middle):
    frames = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    assert np.array_equal(middle_frame(marked_clip(frames, MARKING, fps=24)), frames[middle])


def test_one_frame_that_stands_stands_for_itself():
    still = np.repeat(FRAMES[:1], 4, axis=0)
    assert np.array_equal(middle_frame(marked_clip(still, MARKING, fps=8)), FRAMES[0])


def test_a_smaller_copy_moves_as_the_clip_does():
    small = smaller_clip(marked_clip(FRAMES, MARKING, fps=24), 16, quality=80)
    with Image.open(io.BytesIO(small)) as file:
        assert (file.n_frames, file.size, file.is_animated) == (9, (16, 12), True)
    assert decoded_frames(small)[1] == durations(9, 24)


def test_a_torn_clip_is_refused():
    with pytest.raises(FormatFault, match="cannot be read"):
        decoded_frames(marked_clip(FRAMES, MARKING, fps=8)[:200])
