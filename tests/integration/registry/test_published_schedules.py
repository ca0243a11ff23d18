"""The timesteps in the method files are those of the real schedulers, built without any weights."""

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
    from workers.shifts import Caller

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


# What is published for the pictures' recipes, computed once more from the scheduler of each preset: steps, timesteps,
# and noise levels where the scheduler has them. Counts outside a preset's set show what its scheduler would do.
HALVES = (14.6146, 1.6129, 0)
QUARTERS = (14.6146, 4.0817, 1.6129, 0.6932, 0)
EIGHTHS = (14.6146, 7.2974, 4.0817, 2.4925, 1.6129, 1.0690, 0.6932, 0.3977, 0)
TRAILING_8 = (999, 874, 749, 624, 499, 374, 249, 124)
LCM_8 = (999, 879, 759, 639, 499, 379, 259, 139)
LCM_16 = (999, 939, 879, 819, 759, 699, 639, 579, 499, 439, 379, 319, 259, 199, 139, 79)
SHIFT_3 = (1, 0.9545, 0.9, 0.8333, 0.75, 0.6429, 0.5, 0.3, 0)
SHIFT_3_NINE = (1, 0.96, 0.913, 0.8571, 0.7895, 0.7059, 0.6, 0.4615, 0.2727, 0)
HYPER_FLUX = (1, 0.9567, 0.9045, 0.8403, 0.7595, 0.6546, 0.5128, 0.3109, 0)
PUBLISHED = (
    ("sdxl-turbo", 1, (999,), (14.6146, 0)),
    ("sdxl-turbo", 2, (999, 499), HALVES),
    ("sdxl-turbo", 4, (999, 749, 499, 249), QUARTERS),
    ("sd-turbo", 4, (999, 749, 499, 249), QUARTERS),
    ("sdxl-lightning-1step", 1, (999,), (14.6146, 0)),
    ("sdxl-lightning-2step", 2, (999, 499), HALVES),
    ("sdxl-lightning-4step", 4, (999, 749, 499, 249), QUARTERS),
    ("sdxl-lightning-8step", 8, TRAILING_8, EIGHTHS),
    ("lcm-lora-sdxl", 1, (999,), None),
    ("lcm-lora-sdxl", 2, (999, 499), None),
    ("lcm-lora-sdv1-5", 4, (999, 759, 499, 259), None),
    ("lcm-sdxl", 4, (999, 759, 499, 259), None),
    ("lcm-dreamshaper-v7", 6, (999, 839, 679, 499, 339, 179), None),
    ("lcm-lora-ssd-1b", 8, LCM_8, None),
    ("hyper-sdxl-unified", 1, (999,), None),
    ("hyper-sdxl-unified", 4, (999, 759, 499, 259), None),
    ("hyper-sd15-unified", 8, LCM_8, None),
    ("hyper-sdxl-unified", 16, LCM_16, None),
    ("hyper-sdxl-2steps", 1, (999,), None),
    ("hyper-sdxl-2steps", 2, (999, 499), None),
    ("hyper-sdxl-4steps", 4, (999, 749, 499, 249), None),
    ("hyper-sd15-8steps", 8, TRAILING_8, None),
    ("hyper-sdxl-1step-unet", 1, (800,), None),
    ("dmd2-sdxl-4step-unet", 4, (999, 749, 499, 249), None),
    ("dmd2-sdxl-4step-lora", 4, (999, 749, 499, 249), None),
    ("dmd2-sdxl-1step-unet", 1, (399,), None),
    ("animatediff-lightning-1step", 1, (999,), (25.1461, 0)),
    ("animatediff-lightning-2step", 2, (999, 499), (25.1461, 2.2760, 0)),
    ("animatediff-lightning-4step", 4, (999, 749, 499, 249), (25.1461, 6.5572, 2.2760, 0.8670, 0)),
    ("animatediff-lightning-8step", 8, TRAILING_8,
     (25.1461, 12.3225, 6.5572, 3.7553, 2.2760, 1.4192, 0.8670, 0.4613, 0)),
    ("flux1-schnell", 1, (1000,), (1, 0)),
    ("flux1-schnell", 2, (1000, 500), (1, 0.5, 0)),
    ("flux1-schnell", 4, (1000, 750, 500, 250), (1, 0.75, 0.5, 0.25, 0)),
    ("z-image-turbo", 8, None, SHIFT_3),
    ("z-image-turbo", 9, None, SHIFT_3_NINE),
    ("qwen-image-lightning-4steps-v2.0", 4, None, (1, 0.9, 0.75, 0.5, 0)),
    ("qwen-image-lightning-8steps-v2.0", 8, None, SHIFT_3),
    ("sana-sprint-0.6b", 1, (1.5708,), None),
    ("sana-sprint-0.6b", 2, (1.5708, 1.3), None),
    ("sana-sprint-1.6b", 4, (1.5708, 1.1781, 0.7854, 0.3927), None),
    ("flux2-klein-4b", 4, None, (1, 0.9674, 0.9081, 0.7672, 0)),
    ("hyper-flux1-dev-8steps", 8, None, HYPER_FLUX),
)  # fmt: skip


@pytest.mark.parametrize(("name", "steps", "timesteps", "sigmas"), PUBLISHED)
def test_a_presets_scheduler_runs_the_published_figures(name, steps, timesteps, sigmas):
    from workers.schedules import live_schedule

    preset = PRESETS[name]
    live = live_schedule(preset.scheduler, steps, preset.schedule_for(steps), caller_of(preset, steps))
    if timesteps is not None:
        assert live.timesteps == pytest.approx(timesteps, abs=1e-4)
    if sigmas is not None:
        assert live.sigmas == pytest.approx(sigmas, abs=5e-4)


# A base's own scheduler under a distilled method of four steps: what it would run, and why it washes out.
WRONG = (
    ("sdxl-lightning-4step", "sdxl-full", (751, 501, 251, 1), (4.1167, 1.6237, 0.6984, 0.0413, 0)),
    (
        "qwen-image-lightning-4steps-v2.0",
        "qwen-image-full",
        (1000, 766.7, 455.6, 20),
        (1, 0.7667, 0.4556, 0.02, 0),
    ),
)


@pytest.mark.parametrize(("name", "stock", "timesteps", "sigmas"), WRONG)
def test_a_bases_own_schedule_is_refused(name, stock, timesteps, sigmas):
    from policy.errors import RenderFault
    from workers.schedules import live_schedule, require_published

    preset, scheduler = PRESETS[name], PRESETS[stock].scheduler
    caller = caller_of(preset, 4, (1024, 1024))
    live = live_schedule(scheduler, 4, None, caller)
    assert live.timesteps == pytest.approx(timesteps, abs=0.05)
    assert live.sigmas == pytest.approx(sigmas, abs=1e-4)
    with pytest.raises(RenderFault, match="the preset was published for"):
        require_published(scheduler, preset.schedule_for(4), 4, caller)


def test_the_stock_scheduler_of_sdxl_starts_from_a_third_of_the_noise():
    from workers.schedules import build_scheduler

    noise = {}
    for name in ("sdxl-full", "sdxl-lightning-4step"):
        scheduler = build_scheduler(PRESETS[name].scheduler)
        scheduler.set_timesteps(4)
        noise[name] = float(scheduler.init_noise_sigma)
    assert noise == pytest.approx({"sdxl-full": 4.236, "sdxl-lightning-4step": 14.615}, abs=1e-3)


@pytest.mark.parametrize("name", ["lcm-lora-sdxl", "hyper-sdxl-unified"])
def test_consistency_schedulers_run_no_more_steps_than_they_were_distilled_over(name):
    from policy.errors import RenderFault
    from workers.schedules import live_schedule

    with pytest.raises(RenderFault, match="does not run this schedule of 51 steps"):
        live_schedule(PRESETS[name].scheduler, 51)


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
