import pytest

from policy.errors import RenderFault
from policy.methods import SchedulerSpec, StepSchedule
from workers.schedules import (
    ALLOWED,
    build_scheduler,
    live_schedule,
    pipeline_schedule,
    require_published,
)
from workers.shifts import Caller

BETAS = (("beta_end", 0.012), ("beta_schedule", "scaled_linear"), ("beta_start", 0.00085))
TRAILING = ("timestep_spacing", "trailing")


def make_spec(class_name: str = "LCMScheduler", *extra) -> SchedulerSpec:
    return SchedulerSpec(class_name=class_name, config=(*BETAS, *extra))


@pytest.mark.parametrize(
    ("spec", "steps", "published"),
    [
        (make_spec(), 1, (999,)),
        (make_spec(), 4, (999, 759, 499, 259)),
        (make_spec(), 8, (999, 879, 759, 639, 499, 379, 259, 139)),
        (make_spec("TCDScheduler"), 4, (999, 759, 499, 259)),
        (make_spec("EulerDiscreteScheduler", TRAILING), 4, (999, 749, 499, 249)),
        (make_spec("EulerAncestralDiscreteScheduler", TRAILING), 2, (999, 499)),
        (make_spec("DDIMScheduler", TRAILING), 8, (999, 874, 749, 624, 499, 374, 249, 124)),
    ],
)
def test_published_schedules_are_what_the_schedulers_really_run(spec, steps, published):
    live = live_schedule(spec, steps)
    assert live.timesteps == published
    assert (
        require_published(spec, StepSchedule(steps=steps, timesteps=tuple(map(float, published))), steps)
        == live
    )


def test_sigmas_are_those_of_the_live_scheduler():
    live = live_schedule(make_spec("EulerDiscreteScheduler", TRAILING), 4)
    assert live.sigmas == pytest.approx((14.6146, 4.0817, 1.6129, 0.6932, 0), abs=1e-3)
    assert live_schedule(make_spec(), 4).sigmas == ()


def test_explicit_timesteps_are_run_as_given():
    published = StepSchedule(steps=4, timesteps=(999.0, 749.0, 499.0, 249.0), explicit_timesteps=True)
    assert require_published(make_spec(), published, 4).timesteps == published.timesteps
    assert pipeline_schedule(published, 4)["timesteps"] == [999, 749, 499, 249]


def test_sigmas_of_a_recipe_are_handed_to_the_scheduler():
    spec = SchedulerSpec(class_name="FlowMatchEulerDiscreteScheduler", config=(("shift", 5.0),))
    published = StepSchedule(steps=4, timesteps=(1000.0, 937.5, 833.33, 625.0), sigmas=(1.0, 0.75, 0.5, 0.25))
    assert require_published(spec, published, 4).timesteps == pytest.approx(published.timesteps, abs=0.05)
    assert pipeline_schedule(published, 4)["sigmas"] == [1.0, 0.75, 0.5, 0.25]
    with pytest.raises(RenderFault):
        require_published(spec, StepSchedule(steps=4, timesteps=published.timesteps), 4)


def test_a_preset_does_not_run_on_another_schedule_than_its_own():
    published = StepSchedule(steps=4, timesteps=(999.0, 749.0, 499.0, 249.0))
    with pytest.raises(
        RenderFault, match=r"would run timesteps 751, 501, 251, 1.*published for 999, 749, 499, 249"
    ):
        require_published(
            make_spec("EulerDiscreteScheduler", ("steps_offset", 1), ("timestep_spacing", "leading")),
            published,
            4,
        )


def test_without_a_published_schedule_the_step_count_decides():
    assert len(require_published(make_spec("DDIMScheduler", TRAILING), None, 40).timesteps) == 40
    assert pipeline_schedule(None, 40) == {"num_inference_steps": 40}


@pytest.mark.parametrize("name", ["DDIMInverseScheduler", "__version__", "StableDiffusionPipeline"])
def test_only_listed_schedulers_are_built(name):
    with pytest.raises(RenderFault, match="not on the list"):
        build_scheduler(make_spec(name))


@pytest.mark.parametrize("name", ALLOWED)
def test_every_listed_scheduler_can_be_built(name):
    assert type(build_scheduler(SchedulerSpec(class_name=name, config=()))).__name__ == name


def test_a_setting_that_the_class_does_not_know_is_refused():
    with pytest.raises(RenderFault, match="no setting timestep_spaceing"):
        build_scheduler(make_spec("DDIMScheduler", ("timestep_spaceing", "trailing")))


def test_more_steps_than_a_scheduler_can_run_are_refused_in_its_words():
    with pytest.raises(RenderFault, match="does not run this schedule of 60 steps"):
        live_schedule(make_spec(), 60)


# --- schedules that follow the size ----------------------------------------------------


def flow(**config) -> SchedulerSpec:
    told = {"shift": 3.0, "use_dynamic_shifting": True, **config}
    return SchedulerSpec(class_name="FlowMatchEulerDiscreteScheduler", config=tuple(sorted(told.items())))


def calling(pipeline: str, size: tuple[int, int] | None = (1024, 1024), **settings) -> Caller:
    return Caller(pipeline=pipeline, size=size, settings=tuple(settings.items()))


@pytest.mark.parametrize(
    "pipeline",
    ["FluxPipeline", "Flux2KleinPipeline", "Krea2Pipeline", "StableDiffusion3Pipeline", "ZImagePipeline"],
)
def test_a_dynamic_shift_needs_a_size_and_rises_with_it(pipeline):
    small, large = (
        live_schedule(flow(), 4, None, calling(pipeline, size)) for size in ((512, 512), (1024, 1024))
    )
    assert all(less < more for less, more in zip(small.sigmas[1:-1], large.sigmas[1:-1], strict=True))
    with pytest.raises(RenderFault, match="follows the size of the picture"):
        live_schedule(flow(), 4, None, calling(pipeline, None))


@pytest.mark.parametrize(
    "pipeline", ["FluxPipeline", "Flux2KleinPipeline", "Krea2Pipeline", "ZImagePipeline"]
)
def test_a_fixed_shift_is_the_same_at_every_size(pipeline):
    fixed = flow(use_dynamic_shifting=False)
    assert live_schedule(fixed, 4, None, calling(pipeline, None)) == live_schedule(
        fixed, 4, None, calling(pipeline)
    )


def test_krea_2_distilled_has_one_shift_of_its_own():
    told = calling("Krea2Pipeline", None, is_distilled=True)
    assert live_schedule(flow(), 2, None, told).sigmas == pytest.approx((1, 0.7595, 0), abs=1e-4)


def test_published_figures_hold_at_their_own_size_only():
    spec = flow()
    at_1024 = live_schedule(spec, 4, None, calling("FluxPipeline"))
    published = StepSchedule(steps=4, timesteps=at_1024.timesteps, size=(1024, 1024))
    assert require_published(spec, published, 4, calling("FluxPipeline")) == at_1024
    assert require_published(spec, published, 4, calling("FluxPipeline", (512, 512))) != at_1024
    with pytest.raises(RenderFault, match="the preset was published for"):
        require_published(flow(max_shift=0.9), published, 4, calling("FluxPipeline"))
