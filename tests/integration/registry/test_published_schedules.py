"""The timesteps in the method files are those of the real schedulers, built without any weights."""

from dataclasses import replace

import pytest

from registry.catalogue import load_catalogue

PRESETS = {preset.name: preset for preset in load_catalogue().presets}
CASES = [(preset, schedule) for preset in PRESETS.values() for schedule in preset.schedules]


@pytest.mark.parametrize(
    ("preset", "schedule"), CASES, ids=[f"{preset.name}-{schedule.steps}" for preset, schedule in CASES]
)
def test_the_live_scheduler_reports_what_the_file_publishes(preset, schedule):
    from workers.schedules import require_published

    live = require_published(preset.scheduler, schedule, schedule.steps, caller_of(preset, schedule.steps))
    assert live.timesteps == pytest.approx(schedule.timesteps, abs=0.006)  # printed to two decimals


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_a_schedule_says_at_which_size_it_holds_where_it_follows_the_size(preset):
    from workers.schedules import live_schedule

    steps = preset.recommended_steps
    schedule = preset.schedule_for(steps)
    square, small = (
        live_schedule(preset.scheduler, steps, schedule, caller_of(preset, steps, size))
        for size in ((1024, 1024), (512, 768))
    )
    assert (schedule.size is None) == (square == small)


def caller_of(preset, steps, size=None):
    """The preset's pipeline at a size; without one, at that of the published figures."""
    from workers.schedules import Caller

    published = preset.schedule_for(steps)
    return Caller(
        pipeline=preset.pipeline,
        settings=preset.settings,
        call=preset.call_at(steps),
        size=size or (published.size if published else None),
    )


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_a_scheduler_config_is_complete(preset):
    import inspect

    from workers.schedules import scheduler_class

    built = scheduler_class(preset.scheduler.class_name)
    defaults = {name: given.default for name, given in inspect.signature(built).parameters.items()}
    # Lists have no place in a method file; every scheduler here keeps its own.
    values = {
        name for name, default in defaults.items() if default is not None and default.__class__ is not list
    }
    assert values <= set(dict(preset.scheduler.config)) <= set(defaults)


# Computed with diffusers 0.42.1 for the published recipes: Euler's sigmas, which no method file repeats.
SIGMAS = {
    ("sdxl-turbo", 1): (14.6146, 0),
    ("sdxl-lightning-2step", 2): (14.6146, 1.6129, 0),
    ("sdxl-lightning-4step", 4): (14.6146, 4.0817, 1.6129, 0.6932, 0),
    ("sdxl-lightning-8step", 8): (14.6146, 7.2974, 4.0817, 2.4925, 1.6129, 1.0690, 0.6932, 0.3977, 0),
    ("animatediff-lightning-1step", 1): (25.1461, 0),
    ("animatediff-lightning-2step", 2): (25.1461, 2.2760, 0),
    ("animatediff-lightning-4step", 4): (25.1461, 6.5572, 2.2760, 0.8670, 0),
    ("animatediff-lightning-8step", 8): (
        25.1461, 12.3225, 6.5572, 3.7553, 2.2760, 1.4192, 0.8670, 0.4613, 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "steps"), SIGMAS)
def test_eulers_noise_levels_are_the_published_ones(name, steps):
    from workers.schedules import live_schedule

    assert live_schedule(PRESETS[name].scheduler, steps).sigmas == pytest.approx(
        SIGMAS[name, steps], abs=1e-4
    )


def test_stock_spacing_is_caught():
    """SDXL's own scheduler starts at 751 and a third of the noise: washed out, and refused."""
    from policy.errors import RenderFault
    from workers.schedules import require_published

    preset = PRESETS["sdxl-lightning-4step"]
    stock = replace(preset.scheduler, config=PRESETS["sdxl-full"].scheduler.config)
    with pytest.raises(RenderFault, match="751, 501, 251, 1"):
        require_published(stock, preset.schedule_for(4), 4)


@pytest.mark.parametrize("name", ["emoji-64-lcm", "lcm-lora-sdv1-5", "lcm-lora-sdxl", "lcm-lora-ssd-1b"])
def test_four_distilled_steps_are_the_published_ones(name):
    schedule = PRESETS[name].schedule_for(4)
    assert schedule is not None
    assert schedule.timesteps == (999, 759, 499, 259)


def test_the_students_scheduler_is_the_one_made_from_the_teachers(tmp_path):
    import diffusers

    teacher, student = PRESETS["emoji-64-full"].scheduler, PRESETS["emoji-64-lcm"].scheduler
    derived = diffusers.LCMScheduler.from_config(diffusers.DDIMScheduler(**dict(teacher.config)).config)
    assert {key: derived.config[key] for key, _ in student.config} == dict(student.config)


def test_the_teachers_scheduler_is_the_one_in_its_repository():
    import json

    from registry.sources import builtin_source

    path = builtin_source().locate("rightstep/emoji-64") / "scheduler" / "scheduler_config.json"
    published = json.loads(path.read_text())
    spec = PRESETS["emoji-64-full"].scheduler
    assert published["_class_name"] == spec.class_name
    assert {key: published[key] for key, _ in spec.config} == dict(spec.config)
