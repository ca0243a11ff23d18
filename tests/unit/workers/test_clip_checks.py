"""What a clip gives away by itself: another length fails it, and what does not move like a clip is looked at."""

import numpy as np
import pytest

from workers.clip_checks import clip_fault, clip_motion, clip_statistics, clip_suspicion
from workers.output_checks import picture_statistics

RNG = np.random.default_rng(3)
PICTURE = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
PANNED = np.stack(
    [np.roll(np.repeat(np.repeat(PICTURE[:8, :8], 4, 0), 4, 1), step, axis=1) for step in range(16)]
)
# As many colours as the panned one, and no two frames alike.
SINGLE = RNG.integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)


def suspicion(frames):
    return clip_suspicion(clip_statistics(frames), clip_motion(frames))


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        (None, "no clip was made"),
        (PICTURE, "not a clip of RGB frames"),
        (PANNED[:15], "it has 15 frames, 16 were asked for"),
        (PANNED[:, :16], "size is 32x16, 32x32 was asked for"),
        (PANNED.astype(np.float32), "not an RGB picture of bytes"),
        (PANNED, None),
    ],
)
def test_a_clip_counts_only_whole_and_in_its_size(frames, told):
    found = clip_fault(frames, (32, 32), 16)
    assert found is None if told is None else told in (found or "")


def test_a_slow_pan_is_a_clip():
    assert suspicion(PANNED) is None


def test_one_frame_over_and_over_stands_still():
    assert suspicion(np.repeat(PICTURE[None], 16, axis=0)) == "frozen"


def test_single_pictures_in_a_row_flicker():
    assert suspicion(SINGLE) == "flicker"


def test_black_is_told_before_that_it_stands_still():
    assert suspicion(np.zeros_like(PANNED)) == "black"
    assert suspicion(np.full_like(PANNED, 128)) == "flat"


def test_motion_is_the_mean_change_of_a_value():
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    frames[1] = 255
    frames[2] = 204
    assert clip_motion(frames) == pytest.approx((1.0 + 0.2) / 2)


def test_the_look_of_a_clip_is_that_of_its_frames():
    still = np.repeat(PICTURE[None], 5, axis=0)
    one, all_of_them = picture_statistics(PICTURE), clip_statistics(still)
    for name in ("saturation", "clipping", "contrast", "luminance"):
        assert getattr(all_of_them, name) == pytest.approx(getattr(one, name))
