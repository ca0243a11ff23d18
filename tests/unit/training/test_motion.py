"""Clips are made, followed and measured as the pages say, and a trained adapter loads in plain diffusers."""

import random

import numpy as np
import pytest
import torch
from diffusers import AnimateDiffPipeline, MotionAdapter

from tests.unit.training.test_resume import make_workshop
from training.bounce import WORD, bounce, on_paper, posed
from training.checkpoints import dice_for
from training.clips import ClipLessons, clip_batch, papers
from training.config import CLIP_FRAMES, PICTURE_SIZE, SHIPPED
from training.diffusion import Rounds
from training.lora import load_lora
from training.motion import new_adapter, noisy_times
from training.pictures import trimmed
from training.projector import clip_prompts
from training.shapes import drawing
from training.stages import train_motion, train_teacher, train_tokenizer, train_vae
from training.subjects import BACKGROUNDS
from training.tracks import flicker, likeness, set_back, track


def real_clip(noun: str = "star", background: str = "blue") -> np.ndarray:
    return bounce(trimmed(drawing(noun)), BACKGROUNDS[background])


def sliding_clip() -> np.ndarray:
    cut = trimmed(drawing("star"))
    return np.stack([on_paper(posed(cut, across, 0.0), BACKGROUNDS["blue"]) for across in range(-8, 8, 2)])


@pytest.mark.parametrize("noun", ["star", "house"])
@pytest.mark.parametrize("background", ["white", "black", "pink"])
def test_a_real_clip_follows_the_bounce(noun, background):
    found = likeness(real_clip(noun, background))
    assert found.correlation > 0.99
    assert found.reach == pytest.approx(1, abs=0.1)


def test_a_clip_that_stands_still_or_slides_does_not_follow():
    still = np.repeat(real_clip()[:1], CLIP_FRAMES, axis=0)
    assert likeness(still).correlation == 0
    assert abs(likeness(sliding_clip()).reach) < 0.05


def test_a_track_is_not_fooled_by_a_background_that_changes():
    changing = real_clip(background="blue")
    changing[::2] = real_clip(background="pink")[::2]
    assert track(changing) == pytest.approx(track(real_clip()), abs=0.5)


def test_undoing_the_bounce_leaves_a_picture_that_hardly_flickers():
    clip = real_clip()
    assert flicker(clip) < 0.02
    shuffled = clip[random.Random(1).sample(range(CLIP_FRAMES), CLIP_FRAMES)]
    assert flicker(shuffled) > 3 * flicker(clip)


def test_a_subject_set_back_is_as_large_as_in_the_pictures_and_in_the_middle():
    back = set_back(real_clip("house"))
    for frame in back:
        rows = np.flatnonzero((frame != frame[0, 0]).any(-1).any(1))
        assert rows[0] == pytest.approx(3, abs=2)
        assert rows[-1] == pytest.approx(PICTURE_SIZE - 4, abs=2)


def test_captions_name_the_motion_or_leave_it_open():
    lessons = ClipLessons(("star", "fox", "ufo"), torch.randn(3, len(papers(0)), CLIP_FRAMES, 4, 16, 16))
    clips, words = clip_batch(lessons, Rounds("seed", 3), 0, 60, dice_for(1, "motion", 0))
    assert clips.shape == (60, CLIP_FRAMES, 4, 16, 16)
    assert 15 < sum(text.endswith(f", {WORD}") for text in words) < 45
    assert {len({prompt.text.endswith(WORD) for prompt in clip_prompts(("fox", "ufo"), 20, 1)})} == {2}


def test_times_are_drawn_towards_the_noisy_end():
    times = torch.cat([noisy_times(8, dice_for(1, "times", step)) for step in range(50)])
    assert 0 <= times.min() < times.max() <= 999
    assert times.float().mean() == pytest.approx(666, abs=20)


def test_a_fresh_adapter_adds_nothing():
    layer = new_adapter(SHIPPED.teacher).mid_block.motion_modules[0]
    hidden = torch.randn(CLIP_FRAMES, 160, 4, 4)
    assert torch.equal(layer(hidden, num_frames=CLIP_FRAMES), hidden)


def test_a_trained_adapter_loads_in_plain_diffusers_and_draws_a_clip(tmp_path):
    torch.set_num_threads(1)
    shop = make_workshop(tmp_path)
    for stage in (train_tokenizer, train_vae, train_teacher, train_motion):
        stage(shop)
    adapter = MotionAdapter.from_pretrained(tmp_path / "motion")
    pipe = AnimateDiffPipeline.from_pretrained(tmp_path / "teacher", motion_adapter=adapter)
    load_lora(pipe, tmp_path / "motion", "picture")
    pipe.set_progress_bar_config(disable=True)
    made = pipe(
        "a star, bouncing",
        num_frames=CLIP_FRAMES,
        num_inference_steps=2,
        height=PICTURE_SIZE,
        width=PICTURE_SIZE,
        output_type="np",
    )
    assert np.asarray(made.frames).shape == (1, CLIP_FRAMES, PICTURE_SIZE, PICTURE_SIZE, 3)
