"""What a frame of the live canvas is made of, and what cannot be one."""

from dataclasses import replace

import pytest

from policy.canvas import CanvasControls, CanvasLoad, canvas_steps, frame_key, refuse_controls
from tests.factories import make_student_preset
from tests.unit.workers.batches import make_load, make_task

CONTROLS = CanvasControls(prompt="a fox", seed=1, strength=0.75, steps=4)


def make_canvas_load(**changes) -> CanvasLoad:
    task = make_task()
    load = CanvasLoad(
        load=make_load(),
        preset="emoji-64-lcm",
        preset_version=1,
        scheduler=task.scheduler,
        schedules=(),
        steps=(1, 2, 4),
        default_steps=4,
        guidance=(("guidance_scale", 1.0),),
        call=(),
        width=16,
        height=8,
        fps=10.0,
        media_type="image/png",
        runtime=(("renderer", "synthetic"),),
    )
    return replace(load, **changes)


@pytest.mark.parametrize(
    ("steps", "strength", "run"),
    [(4, 1.0, 4), (4, 0.75, 3), (4, 0.74, 2), (4, 0.25, 1), (1, 1.0, 1), (2, 0.4, 0)],
)
def test_strength_says_how_many_of_the_steps_are_run(steps: int, strength: float, run: int):
    assert replace(CONTROLS, steps=steps, strength=strength).steps_run == run


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 3}, "runs 1, 2, 4 steps"),
        ({"steps": 8}, "not 8"),
        ({"strength": 0.2}, "give at least 0.25"),
        ({"steps": 1, "strength": 0.9}, "give at least 1.00"),
        ({"sketch": b"123"}, "16 x 8"),
    ],
)
def test_controls_that_make_no_frame_are_refused_with_what_would(change: dict[str, object], told: str):
    assert told in refuse_controls(replace(CONTROLS, **change), make_canvas_load())


def test_controls_that_make_a_frame_are_not_refused():
    assert refuse_controls(CONTROLS, make_canvas_load()) == ""
    assert refuse_controls(replace(CONTROLS, sketch=b"x" * 384), make_canvas_load()) == ""


def test_each_thing_that_decides_pixels_is_part_of_the_key():
    load = make_canvas_load()
    others = (
        {"prompt": "a cat"},
        {"seed": 2},
        {"strength": 0.5},
        {"steps": 2},
        {"sketch": b"x" * 384},
    )
    keys = {frame_key(load.run, replace(CONTROLS, **one)) for one in ({}, *others)}
    runs = {
        make_canvas_load(**one).run for one in ({}, {"width": 32}, {"preset_version": 2}, {"runtime": ()})
    }
    assert (len(keys), len(runs)) == (6, 4)
    assert load.run == make_canvas_load(media_type="image/webp").run, "the same pixels, packed otherwise"


def test_a_canvas_runs_the_steps_of_a_method_that_keep_up():
    assert canvas_steps(make_student_preset(steps=(1, 2, 4, 8))) == (1, 2, 4)
