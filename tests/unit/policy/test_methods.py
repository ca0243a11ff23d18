import pytest

from tests.factories import make_knob, make_preset, make_quality, make_student_preset


@pytest.mark.parametrize(("steps", "quality"), [(4, 0.7), (7, 0.7), (8, 0.85), (50, 1.0), (1, 0.1)])
def test_quality_is_that_of_the_nearest_measured_count_at_or_below(steps, quality):
    assert make_preset().quality_at(steps) == quality


def test_quality_below_every_measured_count_is_the_lowest_and_unmeasured_is_zero():
    assert make_preset(quality=make_quality((8, 0.85), (4, 0.7))).quality_at(2) == 0.7
    assert make_preset(quality=()).quality_at(40) == 0.0


def test_a_published_schedule_is_found_by_its_steps():
    assert make_student_preset().schedule_for(4).timesteps == (999.0, 759.0, 499.0, 259.0)
    assert make_student_preset().schedule_for(8) is None


def test_guidance_doubles_the_rows_only_above_its_threshold():
    preset = make_preset()
    assert preset.rows_per_picture({"guidance_scale": 3.0}) == 2
    assert preset.rows_per_picture({"guidance_scale": 1.0}) == 1
    assert preset.rows_per_picture({}) == 2


def test_the_greediest_of_several_knobs_decides_and_embedded_guidance_costs_nothing():
    embedded = make_knob(name="guidance_embedded", doubles_batch_above=None)
    assert make_preset(guidance=(embedded,)).rows_per_picture({}) == 1
    assert make_preset(guidance=(embedded, make_knob())).rows_per_picture({}) == 2
    assert make_preset(guidance=()).rows_per_picture({}) == 1
