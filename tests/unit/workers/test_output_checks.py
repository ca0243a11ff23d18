"""Broken takes are caught one by one; wrong-looking samples only against the stack's own pictures."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from workers.output_checks import (
    SMALLEST_SAMPLE,
    Band,
    ReferenceStatistics,
    file_fault,
    float_fault,
    judge_sample,
    picture_statistics,
    picture_suspicion,
    take_fault,
)


def make_picture(colour=(200, 120, 60), size=64, seed=0):
    noise = np.random.default_rng(seed).integers(-40, 40, (size, size, 3))
    return np.clip(np.array(colour) + noise, 1, 254).astype(np.uint8)


GOOD = [picture_statistics(make_picture(seed=seed)) for seed in range(SMALLEST_SAMPLE)]


def make_reference(slack=0.01):
    bands = {
        name: Band(
            mean=float(np.mean([getattr(one, name) for one in GOOD])),
            std=float(np.std([getattr(one, name) for one in GOOD])),
            slack=slack,
        )
        for name in ("saturation", "clipping", "contrast", "luminance")
    }
    return ReferenceStatistics(**bands, n=len(GOOD))


def test_few_pictures_are_not_judged():
    assert judge_sample(GOOD[:-1], make_reference()).kind == "unjudged"
    assert judge_sample([], make_reference()).kind == "unjudged"


def test_the_stacks_own_pictures_are_good():
    assert judge_sample(GOOD, make_reference()).kind == "good"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"saturation": 0.2, "clipping": 0.3}, "over_driven"),
        ({"contrast": 0.1}, "over_driven"),
        ({"saturation": -0.2}, "washed_out"),
        ({"contrast": -0.1, "saturation": -0.1}, "washed_out"),
        ({"luminance": 0.3}, "washed_out"),
        ({"luminance": -0.3}, "over_driven"),
    ],
)
def test_a_sample_off_its_reference_is_named_in_both_directions(change, kind):
    moved = [replace(one, **{name: getattr(one, name) + by for name, by in change.items()}) for one in GOOD]
    judgement = judge_sample(moved, make_reference())
    assert judgement.kind == kind
    assert len(judgement.reasons) == len(change)


def test_slack_widens_the_band():
    moved = [replace(one, saturation=one.saturation + 0.1) for one in GOOD]
    assert judge_sample(moved, make_reference(slack=0.01)).kind == "over_driven"
    assert judge_sample(moved, make_reference(slack=0.2)).kind == "good"


@pytest.mark.parametrize(("colour", "kind"), [((0, 0, 0), "black"), ((120, 120, 120), "flat")])
def test_one_black_or_flat_picture_is_enough(colour, kind):
    empty = picture_statistics(np.full((64, 64, 3), colour, np.uint8))
    assert picture_suspicion(empty) == kind
    assert judge_sample([empty], make_reference()).kind == kind
    assert judge_sample([*GOOD, empty], make_reference()).kind == kind


def test_a_dark_picture_with_a_subject_is_neither_black_nor_flat():
    picture = np.full((64, 64, 3), (25, 25, 30), np.uint8)
    picture[20:40, 20:40] = 60
    assert picture_suspicion(picture_statistics(picture)) is None


def test_white_paper_is_not_clipping():
    paper = np.full((64, 64, 3), 255, np.uint8)
    assert picture_statistics(paper).clipping == 0
    paper[:32] = (255, 0, 0)
    assert picture_statistics(paper).clipping == 1


def test_a_take_must_be_a_picture_of_the_size_asked_for():
    assert take_fault(None, (64, 64)) is not None
    assert "32x32" in (take_fault(make_picture(size=32), (64, 64)) or "")
    assert take_fault(make_picture().astype(np.float32), (64, 64)) is not None
    assert take_fault(make_picture(), (64, 64)) is None
    assert take_fault(make_picture()[:48], (64, 48)) is None


def test_values_that_are_not_finite_are_counted_before_quantising():
    values = np.zeros((4, 4, 3), np.float32)
    assert float_fault(values) is None
    values[0, 0, 0], values[1, 1, 1] = np.nan, np.inf
    assert "2 of 48" in (float_fault(values) or "")


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_a_cut_off_file_is_a_fault(tmp_path, kind):
    path = tmp_path / f"take.{kind}"
    assert file_fault(path) == "the file is missing"
    Image.fromarray(make_picture()).save(path)
    assert file_fault(path) is None
    path.write_bytes(path.read_bytes()[:-5])
    assert "truncated" in (file_fault(path) or "")
    path.write_bytes(b"")
    assert file_fault(path) == "the file is empty"
    path.write_bytes(b"plain words")
    assert "no PNG" in (file_fault(path) or "")
