"""The published grids of video and causal methods, computed by the schedulers that will run them."""

import math
from dataclasses import replace

import pytest

from policy.errors import RenderFault
from policy.methods import MethodPreset, SchedulerSpec, StepSchedule
from registry.catalogue import load_catalogue

PRESETS = {preset.name: preset for preset in load_catalogue().presets}
EIGHT = (1000, 972.2, 937.5, 892.9, 833.3, 750, 625, 416.7)
FOUR = (1000, 937.5, 833.33, 625)
FIRST = (1, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875)
SECOND = FIRST[5:]


def live(name: str, steps: int):
    """What the preset's scheduler takes at a step count, told no more than the method file tells it."""
    from workers.schedules import live_schedule

    preset = PRESETS[name]
    return live_schedule(preset.scheduler, steps, preset.schedule_for(steps))


def with_config(preset: MethodPreset, **changes: object) -> SchedulerSpec:
    config = dict(preset.scheduler.config) | changes
    return replace(preset.scheduler, config=tuple(sorted(config.items())))


def warped(listed: tuple[float, ...], shift: float) -> list[float]:
    """A list of 0 to 1000 under the flow shift, by its definition."""
    return [1000 * shift * t / (1000 + (shift - 1) * t) for t in listed]


@pytest.mark.parametrize(
    ("name", "steps", "timesteps"),
    [
        ("wan2.2-lightning-t2v-v1", 4, FOUR),
        ("wan2.2-lightning-t2v-v1.1", 4, FOUR),
        ("wan2.2-lightning-t2v-v2.0", 4, FOUR),
        ("wan2.2-lightning-t2v-250928", 4, FOUR),
        ("wan2.2-lightning-i2v-v1", 4, FOUR),
        ("wan2.2-lightning-t2v-v1", 8, EIGHT),
        ("causvid-lora-v2", 4, (999, 960, 889, 728)),
        ("wan2.1-t2v-1.3b-full", 4, (999, 900, 750, 500)),
        ("self-forcing-dmd", 4, FOUR),
        ("self-forcing-sid", 4, FOUR),
        ("causvid-3step", 3, (1000, 757, 522)),
        ("causvid-warp-4step", 4, (1000, 960, 888.9, 727.3)),
        ("krea-realtime-14b", 4, (1000, 937, 833, 625)),
        ("longlive-1.3b", 4, FOUR),
        ("fastwan2.1-1.3b", 3, (1000, 757, 522)),
        ("anyflow-1.3b", 1, (1000,)),
        ("anyflow-far-1.3b", 2, (1000, 833.3)),
        ("anyflow-far-14b", 4, FOUR),
        ("anyflow-14b", 8, EIGHT),
        ("rcm-wan2.1-1.3b", 4, (987.7, 933.8, 852.9, 609.0)),
        ("rcm-wan2.1-14b", 2, (987.7, 933.8)),
        ("helios-distilled", 6, (999, 871.3, 743.3, 564.6, 385.6, 193.5)),
        ("animatediff-lightning-2step", 3, (999, 666, 332)),
    ],
)
def test_the_timesteps_are_those_of_the_published_table(name, steps, timesteps):
    assert live(name, steps).timesteps == pytest.approx(timesteps, abs=0.05)


@pytest.mark.parametrize(
    ("name", "listed", "shift"),
    [
        ("self-forcing-dmd", (1000, 750, 500, 250), 5),
        ("longlive-2.0-5b", (1000, 750, 500, 250), 5),
        ("causvid-warp-4step", (1000, 750, 500, 250), 8),
        ("causvid-3step", (1000, 280, 120), 8),
    ],
)
def test_a_warped_list_is_its_even_list_under_the_shift(name, listed, shift):
    preset = PRESETS[name]
    assert dict(preset.scheduler.config)["shift"] == shift
    assert live(name, len(listed)).timesteps == pytest.approx(warped(listed, shift), abs=0.7)
    if not preset.schedules[0].explicit_timesteps:
        assert live(name, len(listed)).timesteps == pytest.approx(warped(listed, shift), rel=1e-6)


def test_wan_lightning_on_the_pipelines_own_call_is_the_published_grid_to_the_bit():
    """A pipeline says only how many steps; the sigmas must be those of the grid handed over outright."""
    import diffusers
    import numpy as np
    import torch

    from workers.schedules import build_scheduler

    published = diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0)
    published.set_timesteps(sigmas=np.linspace(1, 0, 5)[:-1].tolist())
    ours = build_scheduler(PRESETS["wan2.2-lightning-t2v-v1.1"].scheduler)
    ours.set_timesteps(4, device="cpu")
    assert torch.equal(ours.sigmas, published.sigmas)
    assert torch.equal(ours.timesteps, published.timesteps)


def test_wan_lightnings_experts_share_the_steps_evenly():
    for name in ("wan2.2-lightning-t2v-v1.1", "wan2.2-lightning-i2v-v1"):
        boundary = dict(PRESETS[name].settings)["boundary_ratio"]
        high = [t >= 1000 * float(boundary) for t in live(name, 4).timesteps]
        assert high == [True, True, False, False]


@pytest.mark.parametrize("name", ["wan2.2-lightning-t2v-v2.0", "self-forcing-dmd"])
def test_the_stock_grid_of_flow_matching_is_refused(name):
    from workers.schedules import live_schedule, require_published

    preset = PRESETS[name]
    stock = SchedulerSpec(class_name="FlowMatchEulerDiscreteScheduler", config=(("shift", 5.0),))
    wrong = live_schedule(stock, 4)
    assert wrong.timesteps == pytest.approx((1000, 909.7, 717.3, 24.4), abs=0.05)
    with pytest.raises(RenderFault, match=r"909\.7"):
        require_published(stock, preset.schedule_for(4), 4)


def test_unipc_on_the_same_shift_is_not_the_published_grid_either():
    from workers.schedules import live_schedule, require_published

    preset = PRESETS["wan2.2-lightning-t2v-v1"]
    unipc = with_config(PRESETS["causvid-lora-v1"], flow_shift=5.0)
    found = live_schedule(unipc, 4)
    assert found.timesteps == (999, 937, 833, 625)
    assert found.sigmas == pytest.approx((1, 0.9376, 0.8336, 0.6259, 0), abs=6e-4)
    with pytest.raises(RenderFault, match="999, 937, 833, 625"):
        require_published(unipc, preset.schedule_for(4), 4)


def test_another_runtimes_reading_of_self_forcing_is_refused():
    """LightX2V takes entries 0, 179, 358 and 679 of a shifted grid of 1000: not what was trained."""
    from workers.schedules import require_published

    preset = PRESETS["self-forcing-dmd"]
    entries = (0, 179, 358, 679)
    theirs = tuple(warped(tuple(1000.0 - entry for entry in entries), 5))
    assert theirs == pytest.approx((1000, 958.2, 899.7, 702.7), abs=0.1)
    schedule = replace(preset.schedules[0], timesteps=theirs)
    with pytest.raises(RenderFault, match=r"1000, 937\.5"):
        require_published(preset.scheduler, schedule, 4)


def test_a_list_that_is_warped_already_is_not_warped_again():
    """Nine steps of CausVid at 14B: too many for live work, so no preset, but the engine takes them as they are."""
    from workers.schedules import live_schedule

    listed = (999.0, 934.0, 862.0, 756.0, 603.0, 410.0, 250.0, 140.0, 74.0)
    published = StepSchedule(steps=9, timesteps=listed, explicit_timesteps=True)
    found = live_schedule(PRESETS["causvid-3step"].scheduler, 9, published)
    assert found.timesteps == pytest.approx(listed, rel=1e-6)
    assert found.sigmas == pytest.approx((*(t / 1000 for t in listed), 0), rel=1e-6)


@pytest.mark.parametrize(("sigma_max", "first"), [(80, 987.7), (120, 991.7)])
def test_rcms_angles_are_flow_times(sigma_max, first):
    angles = (math.atan(sigma_max), 1.5, 1.4, 1.0)
    times = [1000 * math.sin(angle) / (math.sin(angle) + math.cos(angle)) for angle in angles]
    assert times[0] == pytest.approx(first, abs=0.05)
    assert times[1:] == pytest.approx(live("rcm-wan2.1-1.3b", 4).timesteps[1:], abs=1e-3)
    if sigma_max == 80:
        assert times[0] == pytest.approx(live("rcm-wan2.1-1.3b", 1).timesteps[0], abs=1e-3)


def test_helios_runs_its_first_chunk_twice_as_finely():
    from workers.schedules import build_scheduler, pyramid_schedule

    preset = PRESETS["helios-distilled"]
    found = pyramid_schedule(build_scheduler(preset.scheduler), 6, amplified=True)
    assert found.timesteps == pytest.approx(
        (999, 935.1, 871.3, 807.4, 743.3, 653.9, 564.6, 475.3, 385.6, 289.6, 193.5, 97.4), abs=0.05
    )
    assert preset.rollout is not None
    assert len(found.timesteps) == 6 + preset.rollout.first_extra_passes


def test_a_pyramid_takes_only_whole_stages():
    from workers.schedules import live_schedule

    with pytest.raises(RenderFault, match="do not divide into the 3 stages"):
        live_schedule(PRESETS["helios-distilled"].scheduler, 4)


LTX = ["ltx-2-distilled", "ltx-2.3-distilled", "ltx-2.5-distilled"]


@pytest.mark.parametrize("name", LTX)
def test_both_stages_of_ltx_run_the_distilled_noise_levels(name):
    from diffusers.pipelines.ltx2.utils import DISTILLED_SIGMA_VALUES, STAGE_2_DISTILLED_SIGMA_VALUES

    from workers.schedules import live_schedule

    preset = PRESETS[name]
    schedule = preset.schedule_for(8)
    assert schedule is not None
    assert (schedule.sigmas, schedule.second_sigmas) == (FIRST, SECOND)
    assert list(schedule.sigmas) == DISTILLED_SIGMA_VALUES
    assert list(schedule.second_sigmas) == STAGE_2_DISTILLED_SIGMA_VALUES
    assert live(name, 8).sigmas == pytest.approx((*FIRST, 0), rel=1e-6)
    second = live_schedule(preset.scheduler, 3, replace(schedule, sigmas=schedule.second_sigmas))
    assert second.sigmas == pytest.approx((*SECOND, 0), rel=1e-6)


def test_the_full_models_scheduler_would_bend_the_distilled_noise_levels():
    import diffusers

    from workers.schedules import refuse_other, require_published, schedule_of

    preset = PRESETS["ltx-2-distilled"]
    schedule = preset.schedule_for(8)
    assert schedule is not None
    stock = with_config(
        preset, use_dynamic_shifting=True, shift_terminal=0.1, base_shift=0.95, max_shift=2.05,
        base_image_seq_len=1024,
    )  # fmt: skip
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(**dict(stock.config))
    scheduler.set_timesteps(sigmas=list(FIRST), mu=2.05)  # the shift of 4096 tokens
    bent = schedule_of(scheduler)
    assert bent.sigmas == pytest.approx((1, 0.9951, 0.9902, 0.9853, 0.9803, 0.924, 0.7206, 0.1, 0), abs=6e-5)
    with pytest.raises(RenderFault, match="995"):
        refuse_other(stock.class_name, schedule.timesteps, bent)
    with pytest.raises(RenderFault):
        require_published(stock, schedule, 8)


def test_a_step_count_instead_of_noise_levels_is_refused():
    from workers.schedules import live_schedule, refuse_other

    preset = PRESETS["ltx-2.5-distilled"]
    (schedule,) = preset.schedules
    told_a_count = live_schedule(preset.scheduler, 8)
    with pytest.raises(RenderFault, match=r"but the preset was published for 1000, 993\.75"):
        refuse_other(preset.scheduler.class_name, schedule.timesteps, told_a_count)


@pytest.mark.parametrize("name", LTX)
def test_every_knob_of_ltx_stands_at_off_and_each_kind_of_guidance_costs_a_pass(name):
    """The pipeline's own defaults run four passes a step; the preset names all eight arguments."""
    import inspect

    import diffusers

    preset = PRESETS[name]
    off = {knob.name: knob.off for knob in preset.guidance}
    assert {knob.name: knob.default for knob in preset.guidance} == off
    assert all(knob.minimum == knob.maximum == knob.off for knob in preset.guidance)
    arguments = inspect.signature(diffusers.LTX2Pipeline.__call__).parameters
    guiding = {argument for argument in arguments if argument.endswith(("_scale", "_rescale"))}
    assert set(off) == guiding - {"noise_scale", "decode_noise_scale"}
    assert len(off) == 8
    stock = {argument: arguments[argument].default for argument in off}
    assert (preset.passes_a_step(off), preset.passes_a_step(stock)) == (1, 4)
    assert preset.passes_a_step(off | {"stg_scale": 1.0, "audio_stg_scale": 1.0}) == 2
    assert preset.passes_a_step(off | {"modality_scale": 3.0}) == 2
    assert preset.rows_per_picture(off | {"audio_guidance_scale": 7.0}) == 2
    assert preset.forward_passes(8, off, 121) == 11


@pytest.mark.parametrize(
    ("name", "frames", "a_chunk", "a_clip"),
    [
        ("self-forcing-dmd", 81, 5, 7 * 5),
        ("self-forcing-dmd", 9, 5, 5),
        ("causvid-3step", 81, 4, 7 * 4),
        ("anyflow-far-1.3b", 81, 5, 8 * 4 + 7),  # nothing looks back at the last chunk
        ("helios-distilled", 132, 6, 4 * 6 + 6),  # the first chunk runs twice as many
        ("longlive-2.0-5b", 61, 5, 2 * 5),
        ("wan2.2-lightning-t2v-v1.1", 81, 4, 4),
        ("wan2.2-t2v-a14b-full", 81, 80, 80),
    ],
)
def test_forward_passes_count_every_chunk_and_what_fills_its_cache(name, frames, a_chunk, a_clip):
    preset = PRESETS[name]
    steps = preset.recommended_steps
    assert preset.chunk_passes(steps, {}) == a_chunk
    assert preset.forward_passes(steps, {}, frames) == a_clip


@pytest.mark.parametrize(
    "preset", [preset for preset in PRESETS.values() if preset.rollout], ids=lambda preset: preset.name
)
def test_a_stream_of_any_length_it_makes_is_whole_chunks(preset):
    rule, rollout = preset.clip, preset.rollout
    longest = rule.longest or rule.shortest + 3 * rule.every
    for frames in range(rule.shortest, longest + 1):
        if rule.takes_frames(frames):
            rest = frames - rollout.first_chunk_frames
            assert rest % rollout.chunk_frames == 0 or rollout.first_latent_frames is not None
            assert rollout.chunks(frames) == 1 + math.ceil(rest / rollout.chunk_frames)


def test_self_forcings_cache_takes_six_gigabytes_and_longlives_less():
    figures = {name: PRESETS[name].rollout.cache_bytes for name in ("self-forcing-dmd", "longlive-1.3b")}
    layers, tokens, width, bytes_each = 30, 32760, 12 * 128, 2
    assert figures["self-forcing-dmd"] == layers * 2 * tokens * width * bytes_each == 6_038_323_200
    assert figures["longlive-1.3b"] * 21 == figures["self-forcing-dmd"] * 12


def test_renoising_goes_through_the_predicted_clean_sample():
    """One step on numbers: x0 = x - sigma v, then (1 - next) x0 + next noise; the last step keeps x0."""
    import torch

    from workers.schedules import build_scheduler

    scheduler = build_scheduler(PRESETS["self-forcing-dmd"].scheduler)
    scheduler.set_timesteps(4)
    x, v = torch.full((1, 2), 3.0), torch.full((1, 2), 2.0)
    noise = torch.randn((1, 2), generator=torch.Generator().manual_seed(7))
    step = scheduler.step(v, scheduler.timesteps[0], x, generator=torch.Generator().manual_seed(7))
    assert torch.allclose(step.prev_sample, (1 - 0.9375) * (x - v) + 0.9375 * noise)
    for t in scheduler.timesteps[1:3]:
        scheduler.step(v, t, x)
    last = scheduler.step(v, scheduler.timesteps[3], x).prev_sample
    assert torch.allclose(last, x - 0.625 * v)


def test_a_list_that_was_rounded_before_it_was_published_is_run_as_it_stands():
    """Krea's 937 is not the 937.5 that the shift gives; the even grid in its place is refused."""
    from workers.schedules import require_published

    preset = PRESETS["krea-realtime-14b"]
    (schedule,) = preset.schedules
    found = require_published(preset.scheduler, schedule, 4)
    assert found.timesteps == pytest.approx((1000, 937, 833, 625), rel=1e-6)
    with pytest.raises(RenderFault, match=r"937\.5"):
        require_published(preset.scheduler, replace(schedule, explicit_timesteps=False), 4)
