"""The timesteps in the method files are those of the real schedulers, built without any weights."""

import pytest

from registry.catalogue import load_catalogue

PRESETS = {preset.name: preset for preset in load_catalogue().presets}
CASES = [(preset, schedule) for preset in PRESETS.values() for schedule in preset.schedules]


@pytest.mark.parametrize(
    ("preset", "schedule"), CASES, ids=[f"{preset.name}-{schedule.steps}" for preset, schedule in CASES]
)
def test_the_live_scheduler_reports_what_the_file_publishes(preset, schedule):
    import diffusers

    scheduler = getattr(diffusers, preset.scheduler.class_name)(**dict(preset.scheduler.config))
    scheduler.set_timesteps(schedule.steps)
    assert tuple(float(step) for step in scheduler.timesteps) == schedule.timesteps


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_a_scheduler_config_is_complete(preset):
    import inspect

    import diffusers

    built = getattr(diffusers, preset.scheduler.class_name)
    values = {
        name for name, given in inspect.signature(built).parameters.items() if given.default is not None
    }
    assert set(dict(preset.scheduler.config)) == values


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
