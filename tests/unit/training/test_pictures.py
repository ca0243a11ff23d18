"""The closed list, the words around it and the drawings are what the cards say."""

import random

import pytest
import torch

from training.cards import vocabulary
from training.config import PICTURE_SIZE
from training.diffusion import Noise, Rounds, new_scheduler
from training.distil import boundary_scalings
from training.pictures import caption, composed, trimmed
from training.shapes import DRAWINGS, drawing
from training.subjects import BACKGROUNDS, SUBJECTS, TAUGHT, article
from training.tokenizer import known_words, make_tokenizer


def test_names_are_unique_and_every_drawing_is_a_taught_subject():
    names = [subject.name for subject in SUBJECTS]
    assert len(set(names)) == len(names)
    assert set(DRAWINGS) <= {subject.name for subject in TAUGHT} <= set(names)


@pytest.mark.parametrize("noun", sorted(DRAWINGS))
def test_a_drawing_fills_the_frame_on_its_background(noun):
    picture = composed(trimmed(drawing(noun)), BACKGROUNDS["pink"])
    assert picture.shape == (PICTURE_SIZE, PICTURE_SIZE, 3)
    assert tuple(picture[0, 0]) == BACKGROUNDS["pink"]
    assert picture.std() > 10


def test_captions_use_only_known_words():
    words = set(known_words([subject.name for subject in TAUGHT]))
    dice = random.Random(1)
    for subject in TAUGHT:
        text = caption(
            subject.name, dice.choice([None, "flat", "3d", "twemoji"]), dice.choice([*BACKGROUNDS]), dice
        )
        assert set(text.replace(",", "").split()) <= words


def test_known_words_are_single_tokens_and_strange_ones_still_tokenise(tmp_path):
    nouns = [subject.name for subject in TAUGHT]
    tokenizer = make_tokenizer(nouns, tmp_path)
    assert [word for word in known_words(nouns) if len(tokenizer.tokenize(word)) != 1] == ["3d"]
    assert len(tokenizer.tokenize("Zeppelin über 9")) > 3


def test_the_vocabulary_lists_what_is_taught():
    words = vocabulary(["fox", "ufo"])
    assert words["subjects"] == ["fox", "ufo"]
    assert "white" in words["backgrounds"]
    assert "twemoji" not in words["styles"]
    assert article("ufo") == article("unicorn") == "a"
    assert article("owl") == "an"


def test_rounds_visit_every_entry_once_before_any_again():
    rounds = Rounds("seed", 5)
    assert sorted(rounds.take(0, 5)) == sorted(rounds.take(5, 5)) == [0, 1, 2, 3, 4]
    assert rounds.take(3, 4) == [*rounds.take(3, 2), *rounds.take(5, 2)]


def test_a_velocity_gives_back_the_clean_latents_and_the_noise():
    noise = Noise(new_scheduler(), "cpu")
    clean, drawn = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2)
    times = torch.tensor([0, 500, 999])
    parts = noise.parts(noise.velocity(clean, drawn, times), noise.mixed(clean, drawn, times), times)
    assert torch.allclose(parts[0], clean, atol=1e-5)
    assert torch.allclose(parts[1], drawn, atol=1e-5)


def test_the_students_jump_is_the_identity_at_time_zero():
    skip, out = boundary_scalings(torch.tensor([0, 999]))
    assert skip[0] == 1
    assert out[0] == 0
    assert out[1] > 0.999
